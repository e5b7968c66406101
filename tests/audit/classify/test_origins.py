"""Models by name and by file: what is built, what is said of it, and what is refused before any code runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from figureground.audit.classify.blueprints import Blueprint
from figureground.audit.classify.named_code import importable, load_class
from figureground.audit.classify.origins import Origin
from figureground.audit.classify.subject import load_subject, weights_sha256
from figureground.datasets.transforms import Preprocess
from figureground.errors import FiguregroundError, IntegrityError, SubjectError, UsageError

OWN = """
from dataclasses import dataclass
import torch
from torch import nn

print("hello from somebody else's code")


@dataclass
class Size:
    width: int = 4


class Net(nn.Module):
    def __init__(self, width, outputs=3):
        super().__init__()
        self.width = Size(width).width
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(width, outputs)

    def forward(self, images):
        return self.head(self.body(images))


def make():
    return Net(6)


number = 3
"""
CLASSES = ("a", "b", "c")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def trained(own: Path, width: int = 4) -> nn.Module:
    return Blueprint(f"{own}:Net", {"width": width}).build(3)


def test_weights_of_a_torchvision_model_in_safetensors(tmp_path: Path) -> None:
    model = torchvision.models.mobilenet_v3_small(num_classes=3).eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    for spec, origin in (
        ("torchvision:mobilenet_v3_small", Origin(weights=tmp_path / "w.safetensors")),
        (str(tmp_path / "w.safetensors"), Origin(model_class="torchvision:mobilenet_v3_small")),
    ):
        subject = load_subject(spec, classes=CLASSES, origin=origin)
        images = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(subject.module(images), model(images))
        assert subject.sha256 == weights_sha256(model)
        assert (subject.spec, subject.code_executed) == ("torchvision:mobilenet_v3_small", False)
        # Nobody has said how its pictures were prepared: torchvision's own way is assumed, and said to be.
        assert (subject.preprocess.resize, subject.preprocess.crop) == (256, 224)
        assert subject.preprocessing_source == "assumed"


def test_what_is_said_of_the_input_goes_before_the_preset(tmp_path: Path) -> None:
    torch.save(torchvision.models.mobilenet_v3_small(num_classes=3).state_dict(), tmp_path / "w.pt")
    subject = load_subject(
        "torchvision:mobilenet_v3_small",
        classes=CLASSES,
        transform=Preprocess(resize=64),
        origin=Origin(weights=tmp_path / "w.pt"),
    )
    assert (subject.preprocess, subject.preprocessing_source) == (Preprocess(resize=64), "argument")


def test_a_timm_model(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("resnet10t", num_classes=3).eval()
    torch.save({"state_dict": {f"module.{n}": v for n, v in model.state_dict().items()}}, tmp_path / "w.pth")
    subject = load_subject("timm:resnet10t", classes=CLASSES, origin=Origin(weights=tmp_path / "w.pth"))
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(subject.module(images), model(images))
    assert (subject.prefix_removed, subject.code_executed) == ("module.", False)


@pytest.mark.fault("A18")
def test_a_class_in_a_file_with_its_arguments(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained(own).eval()
    capsys.readouterr()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    origin = Origin(model_class=f"{own}:Net", arguments={"width": 4})
    subject = load_subject(tmp_path / "w.pt", classes=CLASSES, origin=origin)
    torch.testing.assert_close(subject.module(torch.ones(1, 3, 9, 9)), model(torch.ones(1, 3, 9, 9)))
    assert (subject.spec, subject.code_executed) == ("own.py:Net(width=4)", True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "hello" in said.err


@pytest.mark.fault("A10")
def test_arguments_come_from_a_lightning_checkpoint_and_missing_ones_are_named(own: Path, tmp_path: Path) -> None:
    content = {"state_dict": trained(own, 5).state_dict(), "pytorch-lightning_version": "2.6.6"}
    torch.save(content | {"hyper_parameters": {"width": 5, "lr": 0.1}}, tmp_path / "with.ckpt")
    torch.save(content, tmp_path / "without.ckpt")
    origin = Origin(model_class=f"{own}:Net")
    assert load_subject(tmp_path / "with.ckpt", classes=CLASSES, origin=origin).module.width == 5
    with pytest.raises(SubjectError, match=r"no width.*--model-arg width=VALUE"):
        load_subject(tmp_path / "without.ckpt", classes=CLASSES, origin=origin)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("namespace", ["pytorch_lightning", "lightning.pytorch"])
def test_a_checkpoint_that_lightning_wrote(namespace: str, tmp_path: Path) -> None:
    lightning = pytest.importorskip(namespace)
    file = tmp_path / "lit.py"
    file.write_text(
        f"import {namespace} as pl\\nimport torch\\nfrom torch import nn\\n\\n\\n".replace("\\n", "\n")
        + "class Lit(pl.LightningModule):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.save_hyperparameters()\n"
        "        self.net = nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                                 nn.Linear(width, 3))\n\n"
        "    def forward(self, images):\n"
        "        return self.net(images)\n\n"
        "    def training_step(self, batch, at):\n"
        "        return self(batch[0]).square().mean()\n\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), 0.1)\n"
    )
    module = Blueprint(f"{file}:Lit", {"width": 4}).build(3)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(4, 3, 8, 8)))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_steps=2, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "lit.ckpt")
    subject = load_subject(tmp_path / "lit.ckpt", classes=CLASSES, origin=Origin(model_class=f"{file}:Lit"))
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(subject.module(images), module.eval()(images))


def test_a_factory_brings_its_own_weights(own: Path) -> None:
    subject = load_subject(f"{own}:make", classes=CLASSES)
    assert subject.module.width == 6
    assert subject.code_executed


@pytest.mark.parametrize(
    ("spec", "origin", "classes", "told"),
    [
        ("torchvision:resnet18", Origin(), CLASSES, "nothing is downloaded"),
        ("torchvision:resnet81", Origin(weights=Path("w")), CLASSES, "no such file"),
        ("torchvision:resnet18", Origin(weights=Path("w"), model_class="x:Y"), CLASSES, "leave one of them out"),
        ("timm:resnet10t", Origin(weights=Path("w")), None, "names of classes"),
        ("nowhere.pt", Origin(), CLASSES, "no such file"),
        ("no_such_package_here:make", Origin(), CLASSES, "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_name(
    spec: str, origin: Origin, classes: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FiguregroundError, match=told):
        load_subject(spec, classes=classes, origin=origin)


@pytest.mark.parametrize(
    ("spec", "arguments", "told"),
    [
        ("torchvision:resnet81", {}, "did you mean"),
        ("torchvision:resnet18", {"colour": 1}, "colour"),
        ("{own}:number", {}, "a int"),
        ("{own}:Missing", {}, "one of"),
        ("{own}:Size", {}, "a Size"),
        ("{own}:Net", {"width": 4, "hight": 3}, "an argument 'hight'"),
        ("{own}:Net", {"width": "wide"}, "TypeError"),
        ("{own}x.py:Net", {}, "no file"),
    ],
)
def test_what_cannot_be_built_says_why(own: Path, spec: str, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Blueprint(spec.format(own=own), arguments).build(3)


@pytest.mark.fault("A18")
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def Net():\n    raise SystemExit('bye')", r"SystemExit: bye \(bad.py:2\)"),
        ("def Net():\n    print('x')\n    raise KeyError('y')", r"KeyError: 'y' \(bad.py:3\)"),
        ("raise ValueError('no licence')", r"ValueError: no licence \(bad.py:1\)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
    ],
)
def test_code_that_fails_or_leaves_is_named_with_its_line(
    tmp_path: Path, code: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(UsageError, match=told) as refused:
        Blueprint(f"{tmp_path / 'bad.py'}:Net").build(3)
    assert refused.value.exit_code == 2
    assert capsys.readouterr().out == ""


def test_damaged_weights_are_refused_before_anybodys_code_runs(own: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    own.write_text(f"open({str(ran)!r}, 'w').close()\n{OWN}")
    (tmp_path / "w.pt").write_bytes(b"PK nothing")
    with pytest.raises(FiguregroundError):
        load_subject(tmp_path / "w.pt", classes=CLASSES, origin=Origin(model_class=f"{own}:Net"))
    assert not ran.exists()


def test_building_leaves_the_random_state_alone(own: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    trained(own)
    assert torch.equal(torch.rand(3), expected)


CFG = """
import pathlib

pathlib.Path(__file__).with_suffix(".ran").touch()


class Cfg:
    def __init__(self, width):
        self.width = width


def call(width):
    return width
"""


@pytest.fixture
def configured(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """A Lightning checkpoint with an object of a class in its hyper-parameters, and what is said of it."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "fgcfg.py").write_text(CFG)
    model = trained(own)
    with importable([folder]):
        made = importlib.import_module("fgcfg").Cfg(4)
    content = {"state_dict": model.state_dict(), "hyper_parameters": {"width": 4, "cfg": made}}
    torch.save(content, tmp_path / "w.ckpt")
    del sys.modules["fgcfg"]
    (folder / "fgcfg.ran").unlink()
    return Origin(model_class=f"{own}:Net", python_path=(folder,))


@pytest.mark.fault("A8")
def test_objects_of_other_classes_are_listed_and_taken_where_allowed(configured: Origin, tmp_path: Path) -> None:
    path, ran = tmp_path / "w.ckpt", tmp_path / "code" / "fgcfg.ran"
    with pytest.raises(SubjectError, match=r"objects of fgcfg\.Cfg;.*fix: .*--allow-global fgcfg\.Cfg$") as refused:
        load_subject(path, classes=CLASSES, origin=configured)
    assert refused.value.exit_code == 4
    assert not ran.exists()
    subject = load_subject(path, classes=CLASSES, origin=replace(configured, allow_globals=("fgcfg.Cfg",)))
    assert (subject.allowed_globals, subject.code_executed, ran.exists()) == (("fgcfg.Cfg",), True, True)
    assert str(tmp_path / "code") not in sys.path
    del sys.modules["fgcfg"]


class Runs:
    """What an attacker saves, by a class that starts a process."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return subprocess.Popen, (["touch", str(self.target)],)


@pytest.mark.fault("A8")
def test_what_reaches_outside_is_refused_even_where_it_is_allowed(own: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": trained(own).state_dict(), "x": Runs(tmp_path / "ran")}, tmp_path / "w.pt")
    origin = Origin(model_class=f"{own}:Net", arguments={"width": 4}, allow_globals=("subprocess.Popen",))
    with pytest.raises(IntegrityError, match=r"subprocess\.Popen"):
        load_subject(tmp_path / "w.pt", classes=CLASSES, origin=origin)
    assert not (tmp_path / "ran").exists()


def test_a_function_is_no_class_and_is_never_called(tmp_path: Path) -> None:
    (tmp_path / "fgcfg.py").write_text(CFG)
    with importable([tmp_path]):
        assert load_class("fgcfg.Cfg").__name__ == "Cfg"
        with pytest.raises(UsageError, match="a function; expected a class"):
            load_class("fgcfg.call")
        with pytest.raises(UsageError, match="AttributeError"):
            load_class("fgcfg.Nothing")
    del sys.modules["fgcfg"]


@pytest.mark.fault("A13")
def test_weights_that_are_not_finite_are_taken_where_allowed_and_named(own: Path, tmp_path: Path) -> None:
    state = trained(own).state_dict()
    state["head.bias"][1] = torch.inf
    torch.save(state, tmp_path / "w.pt")
    origin = Origin(model_class=f"{own}:Net", arguments={"width": 4})
    with pytest.raises(SubjectError, match=r"not finite in head\.bias.*--allow-nonfinite"):
        load_subject(tmp_path / "w.pt", classes=CLASSES, origin=origin)
    subject = load_subject(tmp_path / "w.pt", classes=CLASSES, origin=replace(origin, allow_nonfinite=True))
    assert subject.nonfinite == ("head.bias",)
