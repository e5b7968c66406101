"""Checkpoints: what is written, what comes back, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from figureground.audit.classify.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.subject import weights_sha256
from figureground.datasets.transforms import Preprocess
from figureground.errors import IntegrityError, SubjectError

HINT = "weights_only=False"


@pytest.fixture
def saved(classifier: Classifier, tmp_path: Path) -> Path:
    return save_checkpoint(classifier, tmp_path / "model.ckpt")


def test_round_trip(classifier: Classifier, saved: Path) -> None:
    classifier.train()
    again = load_checkpoint(saved)
    images = torch.rand(2, 3, 32, 32)
    assert not again.training
    assert torch.equal(again(images), classifier.eval()(images))
    assert (again.classes, again.preprocess, again.architecture) == (
        ("coat", "pullover", "shirt"), classifier.preprocess, "small-cnn",
    )  # fmt: skip
    assert weights_sha256(again) == weights_sha256(classifier)
    assert dict(again.hparams) == dict(classifier.hparams)


def test_the_file_describes_itself(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert set(content) == {"figureground", "state_dict", "hyper_parameters", "pytorch-lightning_version"}
    described = content["figureground"]
    assert described["format"] == FORMAT == "figureground-classifier/1"
    assert described["architecture"] == "small-cnn"
    assert described["classes"] == ["coat", "pullover", "shirt"]
    assert Preprocess.from_dict(described["preprocess"]).resize == (32, 32)
    assert described["training"]["learning_rate"] == 1e-3
    assert described["versions"]["torch"] == torch.__version__.split("+")[0]
    assert {"torchvision", "pytorch-lightning", "figureground"} <= set(described["versions"])


def test_equal_classifiers_give_equal_files_without_paths(classifier: Classifier, tmp_path: Path) -> None:
    first = save_checkpoint(classifier, tmp_path / "secret-folder" / "first.ckpt").read_bytes()
    second = save_checkpoint(classifier, tmp_path / "second.ckpt").read_bytes()
    assert first == second
    for word in (b"secret-folder", b"first", os.fsencode(tmp_path), os.fsencode(Path.home())):
        assert word not in first


def test_lightning_loads_it_too(classifier: Classifier, saved: Path) -> None:
    again = Classifier.load_from_checkpoint(saved, weights_only=True).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again(images), classifier(images))


def test_a_failed_write_leaves_the_old_file(
    classifier: Classifier, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(_content: object, file: io.BufferedWriter) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(classifier, saved)
    assert [p.name for p in saved.parent.iterdir()] == ["model.ckpt"]
    assert saved.read_bytes() == before


def test_loading_leaves_the_random_state_alone(saved: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_checkpoint(saved)
    assert torch.equal(torch.rand(3), expected)


class Marker:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


class SystemMarker(Marker):
    """The classic."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch '{self.path}'",))


@pytest.mark.fault("A5", "A6")
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", [Marker, SystemMarker])
@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "inside ours"])
def test_nothing_pickled_is_executed(
    how: str, kind: type[Marker], force: bool, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.ckpt"
    described = torch.load(saved, weights_only=True) if how == "inside ours" else {"state_dict": {}}
    _write(described | {"extra": kind(marker)}, path, how)
    if force:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(IntegrityError) as caught:
        load_checkpoint(path)
    assert not marker.exists()
    assert HINT not in str(caught.value)
    if how in ("zip", "inside ours"):
        assert ("posix.system" if kind is SystemMarker else "pathlib") in str(caught.value)
    pickle.loads(path.read_bytes()) if how == "pickle" else torch.load(path, weights_only=False)  # noqa: S301
    assert marker.exists(), "the file is no attack: the test would prove nothing"


def _write(content: object, path: Path, how: str) -> None:
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")


def test_lightnings_instantiator_is_not_followed(saved: Path, tmp_path: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["hyper_parameters"]["_instantiator"] = "os.system"
    torch.save(content, tmp_path / "evil.ckpt")
    with pytest.raises(SubjectError, match="_instantiator"):
        load_checkpoint(tmp_path / "evil.ckpt")


@pytest.mark.fault("A9")
def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(SubjectError, match=r"a pickled network.*state_dict.*--model-class.*fg\.run_audit") as caught:
        load_checkpoint(tmp_path / "module.pt")
    assert HINT not in str(caught.value)


@pytest.mark.fault("A2", "A4")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html></html>", "HTML"),
        (b"weights", "no torch archive"),
        (b"PK\x03\x04 and then nothing", "truncated"),
    ],
)
def test_what_is_no_checkpoint_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(SubjectError, match=told) as caught:
        load_checkpoint(path)
    assert HINT not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.fault("A1")
def test_missing_files_and_folders(saved: Path) -> None:
    with pytest.raises(SubjectError, match=r"no such file.*model\.ckpt"):
        load_checkpoint(saved.parent / "modle.ckpt")
    with pytest.raises(SubjectError, match="a folder"):
        load_checkpoint(saved.parent)
    with pytest.raises(SubjectError, match="check the path"):
        load_checkpoint(saved.parent / "absent" / "m.ckpt")


@pytest.mark.fault("A3", "A14")
def test_truncation_and_flipped_bits_are_found(saved: Path) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SubjectError, match=f"{len(whole) // 2} bytes of a truncated archive"):
        load_checkpoint(saved)
    middle = len(whole) // 2
    saved.write_bytes(whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :])
    with pytest.raises(SubjectError, match="wrong checksum in archive/data"):
        load_checkpoint(saved)


@pytest.mark.fault("A15")
def test_what_unpacks_to_far_more_than_the_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # Windows has none
    bomb, zeros = tmp_path / "bomb.ckpt", bytes(2**20)
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("archive/data/0", "w") as member,
    ):
        for _ in range(220):
            member.write(zeros)
    assert bomb.stat().st_size < 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match="compressed members"):
        load_checkpoint(bomb)
    # The peak of the process in KiB; it is what it was unless this took more than anything before.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.fault("A15")
def test_compressed_archives_are_refused(saved: Path, tmp_path: Path) -> None:
    deflated = tmp_path / "deflated.ckpt"
    with zipfile.ZipFile(saved) as given, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in given.namelist():
            packed.writestr(member, given.read(member))
    with pytest.raises(IntegrityError, match="compressed members"):
        load_checkpoint(deflated)


def test_other_archives_are_foreign(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(SubjectError, match=r"torch\.save did not write"):
        load_checkpoint(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"state_dict": {}, "pytorch-lightning_version": "2.5"}, "a Lightning checkpoint with the keys"),
        ({"fc.weight": torch.zeros(2)}, "a dictionary with the keys fc.weight"),
        ([1, 2], "a list"),
        (torch.zeros(3), "a Tensor"),
        ({"figureground": {"format": "figureground-classifier/9"}}, "format figureground-classifier/9"),
        ({"figureground": "yes"}, "a dictionary"),
    ],
)
def test_foreign_checkpoints_are_described(content: object, told: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(SubjectError, match=told) as caught:
        load_checkpoint(tmp_path / "foreign.pt")
    assert "--model-class" in str(caught.value)


def _rename(content: dict[str, Any]) -> None:
    weights = content["state_dict"]
    weights["module.network.head.bias"] = weights.pop("network.head.bias")


def _reshape(content: dict[str, Any]) -> None:
    content["state_dict"]["network.head.weight"] = torch.zeros(5, 32)


def _poison(content: dict[str, Any]) -> None:
    content["state_dict"]["network.head.bias"][1] = float("nan")


def _relabel(content: dict[str, Any]) -> None:
    content["figureground"]["classes"] = ["pullover", "coat", "shirt"]


def _unbuild(content: dict[str, Any]) -> None:
    content["figureground"]["architecture"] = content["hyper_parameters"]["architecture"] = "resnet8"


def _drop(content: dict[str, Any]) -> None:
    del content["state_dict"]


def _confuse(content: dict[str, Any]) -> None:
    content["hyper_parameters"] = ["small-cnn"]


def _list(content: dict[str, Any]) -> None:
    content["state_dict"] = {"network.head.bias": [1.0]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_rename, r"module\.network\.head\.bias is unknown; network\.head\.bias is missing"),
        (_reshape, r"network\.head\.weight is \[5, 32\] in place of \[3, 32\]"),
        (_poison, r"values that are not finite in network\.head\.bias"),
        (_relabel, "a description that differs from the hyper-parameters"),
        (_unbuild, "makes no classifier .*resnet8"),
        (_drop, "no state_dict"),
        (_confuse, "differs from the hyper-parameters"),
        (_list, "no mapping of tensors"),
    ],
)
def test_content_that_does_not_fit(change: Callable[[dict[str, Any]], None], told: str, saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    change(content)
    torch.save(content, saved)
    with pytest.raises(SubjectError, match=told):
        load_checkpoint(saved)


def test_many_faults_are_counted(classifier: Classifier, saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    content["state_dict"] = {f"_orig_mod.{name}": value for name, value in content["state_dict"].items()}
    torch.save(content, saved)
    with pytest.raises(SubjectError, match=f"and {2 * len(classifier.state_dict()) - 5} more"):
        load_checkpoint(saved)
