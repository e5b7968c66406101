"""Weights of somebody else's model: read safely, fitted whole or refused by name. Faults A1-A16 of the fault list."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from figureground.audit.classify import releases
from figureground.audit.classify.weights import PREFIXES, Weights, fit_weights, read_weights
from figureground.errors import IntegrityError, SubjectError

HINT = "weights_only=False"


def network(outputs: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, outputs)
    )


def of(state: Any) -> Weights:
    return Weights(state, {}, "here.pt")


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
def test_weights_are_found_where_training_code_keeps_them(tmp_path: Path, key: str | None) -> None:
    state = network().state_dict()
    torch.save(state if key is None else {"epoch": 3, key: state, "note": "x"}, tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt")
    assert found.tensors.keys() == state.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in state.items())


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    assert all(torch.equal(read_weights(tmp_path / "w.safetensors").tensors[n], v) for n, v in state.items())


@pytest.mark.fault("A2", "A4")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs", "git lfs pull"),
        (b"<html>", "HTML"),
        (b"x" * 40, "no safetensors"),
    ],
)
def test_what_is_no_safetensors_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(SubjectError, match=told):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.fault("A3")
def test_the_first_half_of_a_safetensors_is_refused(tmp_path: Path) -> None:
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SubjectError, match="no safetensors"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.fault("A1")
def test_a_file_that_is_not_there_comes_with_the_nearest_name(tmp_path: Path) -> None:
    for name in ("best_model.pt", "aaa.pt", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SubjectError, match=r"did you mean best_model\.pt"):
        read_weights(tmp_path / "best_modle.pt")


class Runs:
    """What an attacker saves."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {self.target}",)


@pytest.mark.fault("A5", "A6")
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": network().state_dict(), "x": Runs(tmp_path / "ran")}, tmp_path / "w.pt")
    for forced in ("0", "1"):
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
        with pytest.raises(IntegrityError, match="system") as refused:
            read_weights(tmp_path / "w.pt")
        assert refused.value.exit_code == 6
        assert HINT not in str(refused.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.fault("A9")
def test_a_pickled_network_is_told_apart_from_an_attack(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "net.pt")
    with pytest.raises(SubjectError, match=r"state_dict.*--model-class"):
        read_weights(tmp_path / "net.pt")
    torch.save([network(), Runs(tmp_path / "ran")], tmp_path / "both.pt")
    with pytest.raises(IntegrityError):
        read_weights(tmp_path / "both.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.fault("A7")
def test_lightnings_instantiator_is_refused(tmp_path: Path) -> None:
    content = {"state_dict": network().state_dict(), "hyper_parameters": {"_instantiator": "os.system"}}
    torch.save(content, tmp_path / "w.ckpt")
    with pytest.raises(IntegrityError, match=r"os\.system"):
        read_weights(tmp_path / "w.ckpt")


def archive(pickled: bytes) -> bytes:
    """What torch.save writes, around a pickle of one's own."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as file:
        for name, content in (("data.pkl", pickled), ("data/0", bytes(24)), ("version", b"3\n")):
            file.writestr(f"archive/{name}", content)
    return stored.getvalue()


def test_torn_archives_are_damaged_files(tmp_path: Path) -> None:
    # Found by benchmarks/fuzz/checkpoint.py.
    whole = archive(b"\x80\x02}.")
    directory = whole.index(b"PK\x01\x02")
    version, offset, flags, name = (directory + at for at in (6, 42, 9, 46))
    changed = {
        "another version": whole[:version] + b"\x4b" + whole[version + 1 :],
        "an offset before the file": whole[: offset + 3] + b"\xff" + whole[offset + 4 :],
        "a name that is no UTF-8": whole[:flags] + b"\x08" + whole[flags + 1 : name] + b"\xad" + whole[name + 1 :],
        "a number cut off": archive(b"\x80\x02X\x01"),
    }
    for told, content in changed.items():
        (tmp_path / "w.pt").write_bytes(content)
        with pytest.raises(SubjectError, match="CKPT_DAMAGED"):
            pytest.fail(f"read in spite of {told}: {read_weights(tmp_path / 'w.pt')}")


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("odd", [torch.eye(2).to_sparse(), torch.empty(2, device="meta")])
def test_tensors_that_hold_no_plain_values_are_refused(tmp_path: Path, odd: torch.Tensor) -> None:
    torch.save({"a": torch.ones(2), "b": odd}, tmp_path / "w.pt")
    with pytest.raises(SubjectError, match=r"WEIGHTS_DENSE.*found b sparse"):
        read_weights(tmp_path / "w.pt")


def test_eight_bit_floats_are_looked_at(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "w.pt")
    assert list(read_weights(tmp_path / "w.pt").tensors) == ["a"]
    torch.save({"a": torch.tensor([math.nan]).to(torch.float8_e4m3fn)}, tmp_path / "w.pt")
    with pytest.raises(SubjectError, match="WEIGHTS_FINITE"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.fault("A13")
def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    state = network().state_dict()
    state["4.bias"][1] = math.nan
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(SubjectError, match=r"not finite in 4\.bias"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [[1, 2], {"lr": 0.1}, {"state_dict": {"a": 1}}, {}])
def test_a_file_without_weights_says_what_it_holds(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(SubjectError, match="tensors by name"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.fault("A14")
def test_another_file_than_expected_is_refused(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pt")
    digest = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    assert read_weights(tmp_path / "w.pt", expect_sha256=digest.upper()).tensors
    with pytest.raises(IntegrityError, match="another file"):
        read_weights(tmp_path / "w.pt", expect_sha256="0" * 64)


@pytest.mark.fault("A11")
@given(st.lists(st.sampled_from(PREFIXES), max_size=3))
def test_prefixes_of_wrappers_come_off_and_the_logits_are_the_same(chain: list[str]) -> None:
    trained, fresh, prefix = network().eval(), network(seed=1).eval(), "".join(chain)
    removed = fit_weights(fresh, of({prefix + name: value for name, value in trained.state_dict().items()}))
    assert removed == prefix
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(fresh(images), trained(images), rtol=0, atol=0)


@pytest.mark.fault("A11")
def test_a_prefix_that_not_every_name_has_stays() -> None:
    state = {f"module.{name}": value for name, value in network().state_dict().items()}
    state["extra"] = torch.zeros(1)
    with pytest.raises(SubjectError, match=r"0\.bias is missing"):
        fit_weights(network(), of(state))


def test_a_network_whose_own_names_begin_like_a_wrapper_keeps_them() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

    assert fit_weights(Wrapped(), of(Wrapped().state_dict())) == ""


@pytest.mark.fault("A12")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("4.bias"), r"4\.bias is missing"),
        (lambda s: s.update(more=torch.zeros(2)), "more is unknown"),
        (lambda s: s.update({"4.weight": torch.zeros(5, 4)}), r"4\.weight is \[5, 4\] in place of \[3, 4\]"),
    ],
)
def test_weights_fit_whole_or_not_at_all(change: Any, told: str) -> None:
    module = network(seed=1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = dict(network().state_dict())
    change(state)
    with pytest.raises(SubjectError, match=told) as refused:
        fit_weights(module, of(state))
    assert "--model-arg" in str(refused.value)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@pytest.mark.fault("A16")
def test_what_was_saved_on_a_gpu_is_read_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = network().state_dict()
    with monkeypatch.context() as patch:  # what torch writes beside each storage that lies on the first GPU
        patch.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:0")
        torch.save(state, tmp_path / "w.pt")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(tmp_path / "w.pt", weights_only=True)
    found = read_weights(tmp_path / "w.pt").tensors
    assert {value.device.type for value in found.values()} == {"cpu"}
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.fault("A15")
def test_a_tensor_that_is_larger_than_what_is_stored_of_it_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(2**40)}, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 10_000
    with pytest.raises(IntegrityError, match=r"w of shape \[1099511627776\] on 4 bytes"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.fault("A7")
@pytest.mark.parametrize(
    ("name", "old"), [("torch", "2.9.1+cpu"), ("pytorch-lightning", "2.6.5"), ("lightning", "2.5.0")]
)
def test_releases_with_known_holes_read_no_pickle(tmp_path: Path, monkeypatch, name: str, old: str) -> None:
    state = network().state_dict()
    torch.save(state, tmp_path / "w.pt")
    save_file(state, tmp_path / "w.safetensors")
    real = releases.version
    monkeypatch.setattr(releases, "version", lambda given: old if given == name else real(given))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was read"))
    with pytest.raises(IntegrityError, match=f"RELEASE.*{name} {old.split('+')[0]}") as caught:
        read_weights(tmp_path / "w.pt")
    assert caught.value.exit_code == 6
    assert set(read_weights(tmp_path / "w.safetensors").tensors) == set(state)
