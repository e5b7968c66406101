"""Trainings that take a second, in either namespace of Lightning."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch
import numpy as np
import pytest
import pytorch_lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from figureground.datasets.planted import Planted

NAMESPACES = [pytorch_lightning, lightning.pytorch]
both = pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda module: module.__name__)
quiet = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec:FutureWarning",
    "ignore:Starting from v1.9.0:UserWarning",
    "ignore:.*number of training batches.*is smaller:UserWarning",
    "ignore:You defined a `validation_step` but have no:UserWarning",
)


class Scenes(Dataset[dict[str, Any]]):
    """Planted pictures as a Trainer's own dataset gives them: tensors, with the mask and the background beside them."""

    def __init__(self, per_label: int = 16, split: str = "test") -> None:
        planted = Planted(association=0.5, split=split, per_label=per_label)
        self.rows, self.planted = planted.manifest(), planted

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.from_numpy(np.array(self.planted.render(index))).float().expand(3, -1, -1) / 255
        mask = torch.from_numpy(np.array(self.planted.mask(index))).to(torch.uint8)
        row = self.rows.iloc[index]
        label = self.classes.index(row["label"])
        return {"image": image, "label": label, "mask": mask, "environment": str(row["background"])}

    @property
    def classes(self) -> list[str]:
        return sorted(self.rows["label"].unique())


class Noise(Dataset[dict[str, Any]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": torch.full((3, 8, 8), index / 8), "label": index % 2}


def module_of(namespace: Any, net: nn.Module) -> Any:
    """A classifier with dropout, so that a generator which was moved on shows in the weights."""

    class Classifying(namespace.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.drop = net, nn.Dropout(0.3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.net(self.drop(x)))

        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

        def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.log("loss", nn.functional.cross_entropy(self(batch["image"]), batch["label"]), batch_size=8)

        def test_step(self, batch: dict[str, Tensor], index: int) -> None:
            self.validation_step(batch, index)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)

    return Classifying()


def trainer_of(namespace: Any, folder: Path, callbacks: Any = (), **options: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    given = {"logger": False, "max_epochs": 1, "accelerator": "cpu", "default_root_dir": folder, "log_every_n_steps": 1}
    chosen = callbacks if isinstance(callbacks, namespace.Callback) else list(callbacks)
    return namespace.Trainer(callbacks=chosen, **{**given, **quiet, **options})


def loader(data: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(data, batch_size=8, **options)


def rows_of(log_dir: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((log_dir / "metrics.csv").read_text().splitlines())]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    if isinstance(left, np.ndarray):
        return bool((left == right).all())
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
