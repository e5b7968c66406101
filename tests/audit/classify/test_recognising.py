"""Which architectures a file of weights fits: those that it was saved of, and none that it only resembles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from figureground.audit.classify.blueprints import Blueprint
from figureground.audit.classify.recognising import Fit, recognise
from figureground.cli import app

pytest.importorskip("timm")


def saved(tmp_path: Path, spec: str, outputs: int, prefix: str = "") -> Path:
    state = Blueprint(spec).build(outputs).state_dict()
    save_file({prefix + name: value for name, value in state.items()}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    "spec",
    [
        "torchvision:mobilenet_v3_small",  # kernels that are made and thrown away again
        "torchvision:squeezenet1_1",  # a head that is a convolution
        "torchvision:regnet_x_400mf",  # widths computed with tensors
        pytest.param("timm:deit_tiny_distilled_patch16_224", marks=pytest.mark.slow),  # two heads
        "timm:convnext_atto",
    ],
)
def test_what_was_saved_is_found(tmp_path: Path, spec: str) -> None:
    assert Fit(spec, 3) in recognise(saved(tmp_path, spec, 3))


def test_all_that_fit_are_named_and_no_more(tmp_path: Path) -> None:
    found = recognise(saved(tmp_path, "torchvision:resnet18", 7, "module."))
    assert {fit.spec for fit in found} == {"torchvision:resnet18", "timm:resnet18", "timm:resnetblur18"}
    assert {(fit.outputs, fit.prefix) for fit in found} == {(7, "module.")}
    for fit in found:
        wanted = Blueprint(fit.spec).build(7).state_dict()
        assert {name: value.shape for name, value in wanted.items()} == shapes_of(tmp_path / "w.safetensors")


def shapes_of(path: Path) -> dict[str, torch.Size]:
    return {name.removeprefix("module."): value.shape for name, value in load_file(path).items()}


def test_the_usual_number_of_outputs_needs_no_second_look(tmp_path: Path) -> None:
    path = saved(tmp_path, "torchvision:shufflenet_v2_x0_5", 1000)
    assert Fit("torchvision:shufflenet_v2_x0_5", 1000) in recognise(path)


def test_the_command_names_the_command_to_use(tmp_path: Path) -> None:
    path = saved(tmp_path, "torchvision:squeezenet1_1", 2)
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 0, done.output
    command = f"figureground audit {path} DATA -o RUN --model-class torchvision:squeezenet1_1 --classes NAME0,NAME1"
    assert command in done.stdout.splitlines()[1].strip()


def test_what_nothing_fits_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "own.pt")
    assert recognise(tmp_path / "own.pt") == []
    done = CliRunner().invoke(app, ["check", str(tmp_path / "own.pt")])
    assert "WEIGHTS_ARCHITECTURE" in str(done.exception)
    assert getattr(done.exception, "exit_code", None) == 4
