"""Training: it learns, it repeats itself, it leaves nothing behind."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from figureground.audit.classify.checkpoint import load_checkpoint
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.train import TrainConfig, train_classifier
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, UsageError

GREY = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CONFIG = TrainConfig(epochs=3, batch_size=16, seed=4, accelerator="cpu")


def discs_and_squares(count: int, seed: int, side: int = 16) -> TensorDataset:
    """Dark discs (0) and squares (1) of equal area somewhere on noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    images, labels = np.empty((count, 3, side, side), dtype=np.float32), np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        y, x = rng.uniform(5, side - 5, 2)
        dy, dx = np.abs(rows - y), np.abs(columns - x)
        inside = np.maximum(dy, dx) < 3.5 if label else np.hypot(dy, dx) < 3.95
        image[:] = np.where(inside, 0.1, rng.uniform(0.5, 1, (side, side)))
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


def train(config: TrainConfig, out: Path | None = None, *, progress: bool = False) -> Classifier:
    return train_classifier(
        discs_and_squares(96, 0), discs_and_squares(32, 1),
        classes=("disc", "square"), preprocess=GREY, config=config, out=out, progress=progress,
    )  # fmt: skip


def accuracy(model: Classifier, images: TensorDataset) -> float:
    pixels, labels = images.tensors
    with torch.no_grad():
        return float((model(GREY.normalize(pixels)).argmax(dim=1) == labels).float().mean())


@pytest.mark.slow
def test_learns_shapes() -> None:
    model = train_classifier(
        discs_and_squares(480, 0), discs_and_squares(100, 1),
        classes=("disc", "square"), preprocess=GREY, config=replace(CONFIG, epochs=8),
    )  # fmt: skip
    assert accuracy(model, discs_and_squares(200, 2)) > 0.9
    assert not any(module.training for module in model.modules())
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def test_same_seed_same_weights_and_another_seed_others() -> None:
    torch.manual_seed(123)
    first = train(replace(CONFIG, horizontal_flip=True)).state_dict()
    torch.manual_seed(321)
    second = train(replace(CONFIG, horizontal_flip=True)).state_dict()
    third = train(replace(CONFIG, horizontal_flip=True, seed=5)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["network.head.weight"], third["network.head.weight"])


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(replace(CONFIG, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_leaves_nothing_behind_but_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = train(CONFIG, Path("models/m.ckpt"))
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == ["models/m.ckpt"]
    again = load_checkpoint(Path("models/m.ckpt"))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert again.hparams["settings"]["seed"] == 4


def test_is_silent_without_progress_and_on_stderr_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    train(replace(CONFIG, epochs=1))
    assert capfd.readouterr() == ("", "")
    train(replace(CONFIG, epochs=1), progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "val_loss" in shown.err


def test_keeps_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are spoiled before the last epoch, which then cannot be the best."""
    seen: list[tuple[float, dict[str, Tensor]]] = []

    def remember(self: Classifier) -> None:
        loss = float(self.trainer.callback_metrics["val_loss"])
        seen.append((loss, {name: value.clone() for name, value in self.state_dict().items()}))

    def spoil(self: Classifier) -> None:
        if self.current_epoch == 3:
            with torch.no_grad():
                self.network.head.weight.normal_(0, 30)  # type: ignore[union-attr, operator]

    monkeypatch.setattr(Classifier, "on_train_epoch_start", spoil)
    monkeypatch.setattr(Classifier, "on_validation_epoch_end", remember)
    kept = train(replace(CONFIG, epochs=4, patience=10)).state_dict()
    best = min(seen, key=lambda entry: entry[0])[1]
    assert len(seen) == 4
    assert all(torch.equal(value, best[name]) for name, value in kept.items())
    assert not torch.equal(kept["network.head.weight"], seen[-1][1]["network.head.weight"])


def test_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[int] = []
    monkeypatch.setattr(Classifier, "on_train_epoch_start", lambda self: epochs.append(self.current_epoch))
    train(replace(CONFIG, learning_rate=1e-12, epochs=30, patience=1, batch_size=96))
    assert len(epochs) < 30


class OneByOne(Dataset[tuple[Tensor, Tensor]]):
    """17 images in batches of 16: the last one would be alone."""

    def __init__(self, label: int = 1, value: float = 0.5) -> None:
        self.label, self.value = label, value

    def __len__(self) -> int:
        return 17

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.full((3, 8, 8), self.value), torch.tensor(self.label if index % 2 else 0)


def test_a_last_batch_of_one_does_not_stop_the_training() -> None:
    model = train_classifier(
        OneByOne(), OneByOne(), classes=("a", "b"), preprocess=GREY,
        config=TrainConfig(architecture="resnet18", epochs=1, batch_size=16, accelerator="cpu"),
    )  # fmt: skip
    assert model.architecture == "resnet18"


def test_bad_labels_and_nan_are_told(tmp_path: Path) -> None:
    good = OneByOne()
    with pytest.raises(DataError, match="expected 0 to 1"):
        train_classifier(OneByOne(7), good, classes=("a", "b"), preprocess=GREY, config=CONFIG)
    with pytest.raises(UsageError, match="TRAIN_DIVERGED"):
        train_classifier(
            good, OneByOne(value=float("nan")),
            classes=("a", "b"), preprocess=GREY, config=CONFIG, out=tmp_path / "m.ckpt",
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_empty_data_is_told() -> None:
    empty = TensorDataset(torch.empty(0, 3, 8, 8), torch.empty(0, dtype=torch.int64))
    with pytest.raises(DataError, match="train: found 0 images"):
        train_classifier(empty, OneByOne(), classes=("a", "b"), preprocess=GREY)
    with pytest.raises(DataError, match="validation: found 0 images"):
        train_classifier(OneByOne(), empty, classes=("a", "b"), preprocess=GREY)


def test_ctrl_c_stays_a_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning alone turns it into exit code 1 and leaves the signal ignored."""

    def interrupt(self: Classifier) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "on_train_epoch_start", interrupt)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_request_to_end_is_no_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def terminate(self: Classifier) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Classifier, "on_train_epoch_start", terminate)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        train(CONFIG)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("batch_size", 1), ("patience", 0), ("seed", -1), ("seed", 2**32),
        ("learning_rate", 0.0), ("learning_rate", float("nan")), ("weight_decay", -1.0), ("num_workers", -1),
    ],
)  # fmt: skip
def test_settings_are_checked(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        TrainConfig(**{name: value})  # type: ignore[arg-type]
