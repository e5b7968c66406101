"""Wrapping a model: classes, preprocessing, modes, and the hash of the weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torchvision
from torch import Tensor, nn

from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.subject import Subject, as_subject, evaluating, load_subject, weights_sha256
from figureground.datasets.transforms import Preprocess
from figureground.errors import SubjectError, UsageError


class Named(pl.LightningModule):
    """Somebody else's LightningModule, which names its classes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        for name, value in attributes.items():
            setattr(self, name, value)


def test_our_classifier_brings_everything(classifier: Classifier) -> None:
    subject = as_subject(classifier)
    assert subject.classes == ("coat", "pullover", "shirt")
    assert subject.preprocess == classifier.preprocess
    assert (subject.preprocessing_source, subject.architecture) == ("model", "small-cnn")
    assert subject.module is classifier
    assert subject.code_executed is False


def test_a_foreign_module_says_what_was_assumed() -> None:
    subject = as_subject(torchvision.models.resnet18(weights=None, num_classes=2), classes=["a", "b"])
    assert subject.classes == ("a", "b")
    assert subject.preprocess == Preprocess()
    assert (subject.preprocessing_source, subject.architecture) == ("assumed", "ResNet")
    assert subject.code_executed is True


def test_a_subclass_runs_its_own_code(classifier: Classifier) -> None:
    class Changed(Classifier):
        pass

    assert as_subject(Changed(**classifier.hparams)).code_executed is True


@pytest.mark.parametrize("attribute", ["classes", "class_names"])
def test_classes_from_the_model(attribute: str) -> None:
    assert as_subject(Named(**{attribute: ["a", "b"]})).classes == ("a", "b")
    with pytest.raises(UsageError, match="found b, a; expected the model's own: a, b"):
        as_subject(Named(**{attribute: ["a", "b"]}), classes=["b", "a"])


@pytest.mark.parametrize("own", [{}, {"classes": 2}, {"classes": []}, {"class_names": [0, 1]}])
def test_unknown_classes_are_asked_for(own: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"pass classes=\[\.\.\.\]"):
        as_subject(Named(**own))


@pytest.mark.parametrize("classes", [["a"], ["a", "a"], [], "ab"])
def test_impossible_classes_are_refused(classes: list[str] | str) -> None:
    with pytest.raises(UsageError, match="two or more different names"):
        as_subject(Named(), classes=classes)


def test_transforms(classifier: Classifier) -> None:
    given = Preprocess(resize=20)
    assert as_subject(classifier, transform=given).preprocess is given
    assert as_subject(classifier, transform=given).preprocessing_source == "argument"
    preset = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    subject = as_subject(Named(), classes=["a", "b"], transform=preset)
    assert subject.preprocess == Preprocess(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert subject.preprocessing_source == "argument"


def test_a_bicubic_preset_stays_bicubic() -> None:
    bicubic = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()
    found = as_subject(Named(), classes=["a", "b"], transform=bicubic).preprocess
    assert (found.resize, found.crop, found.interpolation) == (256, 224, "bicubic")


def test_transforms_that_masks_cannot_follow_are_refused() -> None:
    with pytest.raises(UsageError, match="OwnTransform"):
        as_subject(Named(), classes=["a", "b"], transform=lambda image: image)


@pytest.mark.parametrize("model", ["resnet18", dict, None])
def test_what_is_no_module_is_refused(model: object) -> None:
    with pytest.raises(SubjectError, match="MODEL_TYPE"):
        as_subject(model, classes=["a", "b"])


def test_wrappers_are_taken_off() -> None:
    model = Named(classes=["a", "b"])
    assert as_subject(nn.DataParallel(model)).module is model
    compiled = torch.compile(model, backend="eager")
    assert as_subject(compiled).module is model


def test_evaluating_restores_every_submodule_also_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3).eval(), nn.ReLU()))
    before = [module.training for module in model.modules()]
    assert set(before) == {True, False}

    def fail() -> None:
        with evaluating(model) as module:
            assert module is model
            assert not any(m.training for m in model.modules())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [module.training for module in model.modules()] == before


def test_hash_of_a_module_and_of_its_checkpoint(classifier: Classifier, tmp_path: Path) -> None:
    path = save_checkpoint(classifier, tmp_path / "model.ckpt")
    subject = load_subject(path)
    assert isinstance(subject, Subject)
    assert subject.sha256 == as_subject(classifier).sha256
    assert subject.code_executed is False
    assert load_subject(str(path)).classes == classifier.classes


def test_hash_sees_weights_names_shapes_and_types_and_nothing_else() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    reference = weights_sha256(model)
    model.train().requires_grad_(False)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert weights_sha256(model) == reference
    same = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    same.load_state_dict(model.state_dict())
    assert weights_sha256(same) == reference
    with torch.no_grad():
        same[0].bias[0] += 1e-6
    changed = [
        same,
        nn.Sequential(model),
        nn.Sequential(model[0], model[1]).half(),
    ]
    assert len({reference, *map(weights_sha256, changed)}) == 4


def test_hash_of_extra_state() -> None:
    class Extra(nn.Module):
        def __init__(self, state: object) -> None:
            super().__init__()
            self.state = state

        def get_extra_state(self) -> object:
            return self.state

    first, same, other = (weights_sha256(Extra({"a": value})) for value in (1, 1, 2))
    assert first == same != other


def test_hash_is_over_the_documented_bytes() -> None:
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(Tensor([[1.0, -2.0]]))
    expected = hashlib.sha256(b"weight\0torch.float32[1, 2]\0" + bytes.fromhex("0000803f000000c0"))
    assert weights_sha256(model) == expected.hexdigest()


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match="no such file"):
        load_subject(tmp_path / "model.ckpt")
