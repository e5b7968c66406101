"""A folder that transformers saved: its classes, its preprocessing, its logits, and what is refused in it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_image

from figureground.audit.classify.origins import Origin
from figureground.audit.classify.pretrained import load_pretrained
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import load_subject
from figureground.audit.explain.layers import choose_layer
from figureground.datasets.transforms import Preprocess
from figureground.errors import FiguregroundError, IntegrityError, SubjectError, UsageError

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

PROCESSOR = {
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.2],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        id2label={0: "wolf", 1: "husky", 2: "fox"}, label2id={"wolf": 0, "husky": 1, "fox": 2},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return tmp_path


def test_everything_that_an_audit_needs_is_in_the_folder(folder: Path) -> None:
    subject = load_subject(folder)
    assert subject.classes == ("wolf", "husky", "fox")
    assert subject.preprocess == Preprocess((32, 32), None, (0.5, 0.4, 0.3), (0.2,) * 3, "bicubic")
    assert (subject.preprocessing_source, subject.code_executed) == ("model", False)
    assert subject.spec == "transformers:ViTForImageClassification"
    images = torch.rand(3, 3, 32, 32)
    own = transformers.ViTForImageClassification.from_pretrained(folder).eval()(images).logits
    torch.testing.assert_close(subject.module(images), own)
    layer = choose_layer(subject.module, images)
    assert (layer.name, layer.layout) == ("model.vit.layers.1.layernorm_before", "tokens")
    assert {line.status for line in check_auditable(subject, images, layer.name, layer.layout)} == {"passed"}


def test_classes_are_the_folders_own(folder: Path) -> None:
    assert load_subject(folder, classes=["wolf", "husky", "fox"]).classes == ("wolf", "husky", "fox")
    with pytest.raises(UsageError, match="the model's own: wolf, husky, fox"):
        load_subject(folder, classes=["husky", "wolf", "fox"])


def _config(folder: Path, **changed: Any) -> None:
    told = json.loads((folder / "config.json").read_text()) | changed
    (folder / "config.json").write_text(json.dumps(told))


def _weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_pickled, "found pytorch_model.bin; expected model.safetensors"),
        (lambda f: _config(f, auto_map={"AutoModel": "own.Net"}), "brings its own code"),
        (lambda f: _config(f, model_type="nothing"), "ValueError"),
        (lambda f: _config(f, id2label={"first": "a"}), "id2label|ValueError"),
        (lambda f: (f / "config.json").write_text("{"), "JSONDecodeError"),
        (lambda f: _weights(f, lambda s: s.pop("classifier.bias")), "classifier.bias is missing"),
        (lambda f: _weights(f, lambda s: s.update(more=torch.zeros(2))), "more is unknown"),
        (lambda f: _weights(f, lambda s: s.update({"classifier.bias": torch.zeros(5)})), "of another shape"),
        (lambda f: _weights(f, lambda s: s["classifier.bias"].fill_(torch.nan)), "not finite in classifier.bias"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{"), "Error"),
    ],
)
def test_what_is_not_whole_or_not_plain_is_refused(folder: Path, change: Callable[[Path], Any], told: str) -> None:
    change(folder)
    with pytest.raises(SubjectError, match=told):
        load_pretrained(folder)


def test_other_weights_than_expected_are_refused(folder: Path) -> None:
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load_subject(folder, origin=Origin(sha256=digest)).classes
    with pytest.raises(IntegrityError, match="WEIGHTS_SHA256"):
        load_subject(folder, origin=Origin(sha256="0" * 64))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"size": 224, "do_center_crop": False}, ((224, 224), None)),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
         (256, (224, 224))),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (256, (224, 224))),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, ((384, 384), None)),
        ({"do_resize": False}, (None, None)),
    ],
)  # fmt: skip
def test_geometry_is_the_librarys(folder: Path, changed: dict[str, Any], expected: tuple[Any, Any]) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | changed))
    found = load_pretrained(folder).preprocess
    assert found is not None
    assert (found.resize, found.crop) == expected


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("ViTImageProcessor", {}),
        ("ViTImageProcessor", {"resample": 2, "size": {"height": 40, "width": 24}}),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
    ],
)
def test_pictures_come_out_as_from_the_library(folder: Path, kind: str, changed: dict[str, Any]) -> None:
    told = PROCESSOR | changed
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    preprocess = load_pretrained(folder).preprocess
    assert preprocess is not None
    picture = Image.fromarray(load_sample_image("china.jpg")).resize((120, 90))
    theirs = getattr(transformers, kind)(**told)(picture, return_tensors="pt")["pixel_values"]
    ours = preprocess.normalize(preprocess.image(picture)[None])
    assert ours.shape == theirs.shape
    # Antialiasing is Pillow's here and torchvision's there; a step of one in 255 is 0.02 after normalisation.
    assert (ours - theirs).abs().mean() < 0.02


@pytest.mark.parametrize("changed", [{"rescale_factor": 1.0}, {"resample": 0}])
def test_what_masks_or_pixels_cannot_follow_is_refused(folder: Path, changed: dict[str, Any]) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | changed))
    with pytest.raises(UsageError, match="--mean"):
        load_pretrained(folder)


def test_without_the_library_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'figureground\[transformers\]'"):
        load_pretrained(folder)


def test_a_folder_of_another_kind_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FiguregroundError, match="found a folder"):
        load_subject(tmp_path)
