"""The Lightning module: normalisation, labels, hyper-parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional as F

from figureground.audit.classify.module import Classifier
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, UsageError


def test_training_normalises_and_forward_does_not(classifier: Classifier) -> None:
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    logits = classifier((images - mean[:, None, None]) / std[:, None, None])
    expected = -F.log_softmax(logits, dim=1)[torch.arange(4), labels].mean()
    torch.testing.assert_close(classifier.training_step((images, labels), 0), expected)
    assert not torch.allclose(classifier(images), logits)


def test_flipping_is_by_image(classifier: Classifier) -> None:
    flipping = Classifier("small-cnn", classifier.classes, classifier.preprocess, horizontal_flip=True).eval()
    flipping.load_state_dict(classifier.state_dict())
    image, label = torch.rand(1, 3, 32, 32), torch.tensor([1])
    plain = classifier.training_step((image, label), 0).item()
    mirrored = classifier.training_step((image.flip(-1), label), 0).item()
    assert plain != pytest.approx(mirrored, rel=1e-6)
    found = [flipping.training_step((image, label), 0).item() for _ in range(20)]
    assert all(min(abs(loss - plain), abs(loss - mirrored)) < 1e-5 for loss in found)
    assert 2 <= sum(abs(loss - mirrored) < 1e-5 for loss in found) <= 18


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_labels_outside_the_classes_are_refused(label: int, classifier: Classifier) -> None:
    with pytest.raises(DataError, match=f"{label}.*expected 0 to 2"):
        classifier.training_step((torch.rand(2, 3, 32, 32), torch.tensor([label, label])), 0)


@pytest.mark.parametrize("classes", [["only"], ["a", "a"], [], "ab"])
def test_classes_must_be_two_or_more_names(classes: list[str] | str) -> None:
    with pytest.raises(UsageError, match="two or more different names"):
        Classifier("small-cnn", classes, Preprocess())


def test_lightning_checkpoints_load_with_weights_only(classifier: Classifier, tmp_path: Path) -> None:
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(classifier)
    trainer.save_checkpoint(tmp_path / "lightning.ckpt", weights_only=True)
    content = torch.load(tmp_path / "lightning.ckpt", weights_only=True)
    again = Classifier(**content["hyper_parameters"]).eval()
    again.load_state_dict(content["state_dict"])
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again(images), classifier(images))
    assert again.preprocess == classifier.preprocess
    assert again.classes == classifier.classes


def test_grey_preprocessing_makes_a_grey_network() -> None:
    grey = Classifier("small-cnn", ("a", "b"), Preprocess(mean=(0.5,), std=(0.5,)))
    assert grey(torch.rand(2, 1, 32, 32)).shape == (2, 2)


# -- several findings


def of_findings(**more):
    return Classifier(
        "small-cnn", ("mass", "effusion"), Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3), kind="multilabel", **more
    )


def test_unknown_labels_enter_no_loss_and_give_no_gradient():
    model = of_findings().train()
    images = torch.rand(4, 3, 32, 32)
    labels = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan], [1.0, 0.0]])
    loss, logits = model._loss(images, labels)
    known = ~torch.isnan(labels)
    reference = torch.nn.functional.binary_cross_entropy_with_logits(logits[known], labels[known])
    torch.testing.assert_close(loss, reference)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool((gradient[~known] == 0).all())
    assert bool((gradient[known] != 0).all())


def test_a_batch_of_unknown_labels_costs_nothing():
    loss, _ = of_findings()._loss(torch.rand(2, 3, 32, 32), torch.full((2, 2), torch.nan))
    assert float(loss.detach()) == 0


@pytest.mark.parametrize("labels", [torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0]]), torch.tensor([[-1.0, 0.0]])])
def test_labels_that_no_finding_has_are_refused(labels):
    with pytest.raises(DataError, match=r"\[1, 2\] of 0, 1 and NaN"):
        of_findings()._loss(torch.rand(1, 3, 32, 32), labels)


def test_thresholds_belong_to_findings():
    assert of_findings(thresholds={"mass": 0.2}).hparams["thresholds"] == {"mass": 0.2}
    with pytest.raises(UsageError, match="THRESHOLD"):
        of_findings(thresholds={"lung": 0.2})
