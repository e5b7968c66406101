"""The Lightning classifier: a network that knows its classes and its preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from figureground.audit.classify.networks import build_network
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, UsageError

#: Pixels in [0, 1] and their labels.
LabelledBatch = tuple[Tensor, Tensor]


class Classifier(LightningModule):
    """An image classifier trained with cross-entropy, AdamW and the one-cycle schedule.

    The hyper-parameters are plain types only, so that a checkpoint loads with ``weights_only=True``.

    Parameters
    ----------
    architecture : str
        As in :func:`~figureground.audit.classify.networks.build_network`.
    classes : sequence of str
        Names in the order of the logits; two or more, all different.
    preprocess : Preprocess or dict
        What an image goes through; its number of channels is the network's.
    learning_rate, weight_decay : float
        Peak learning rate of the schedule and decoupled weight decay of AdamW.
    horizontal_flip : bool
        Mirror every training image with probability 1/2.
    settings : dict, optional
        Further settings of the training, recorded in the checkpoint; nothing is computed from them.

    Examples
    --------
    >>> model = Classifier("small-cnn", ("coat", "pullover"), Preprocess())
    >>> model(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        architecture: str,
        classes: Sequence[str],
        preprocess: Preprocess | dict[str, Any],
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-2,
        horizontal_flip: bool = False,
        settings: dict[str, str | int | float | bool] | None = None,
    ) -> None:
        super().__init__()
        self.architecture, self.classes = architecture, _checked_classes(classes)
        if isinstance(preprocess, dict):  # as it stands in a checkpoint
            preprocess = Preprocess.from_dict(preprocess)
        self.preprocess: Preprocess = preprocess
        self.network = build_network(architecture, len(self.classes), self.preprocess.channels)
        self.accuracy = MulticlassAccuracy(len(self.classes), average="micro")
        self.save_hyperparameters(
            {
                "architecture": architecture,
                "classes": list(self.classes),
                "preprocess": self.preprocess.to_dict(),
                "learning_rate": float(learning_rate),
                "weight_decay": float(weight_decay),
                "horizontal_flip": bool(horizontal_flip),
                "settings": dict(settings or {}),
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]`` for normalised float ``[B, C, H, W]``."""
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: LabelledBatch, _index: int) -> Tensor:
        """Cross-entropy of a batch of pixels in [0, 1], mirrored at random where that is wanted."""
        images, labels = batch
        if self.hparams["horizontal_flip"]:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
        return self._loss(images, labels)[0]

    def validation_step(self, batch: LabelledBatch, _index: int) -> None:
        """Log ``val_loss`` and ``val_accuracy`` over the epoch."""
        images, labels = batch
        loss, logits = self._loss(images, labels)
        self.accuracy(logits, labels)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(images))
        self.log("val_accuracy", self.accuracy, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW under one cycle over all steps of the training."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.hparams["learning_rate"], weight_decay=self.hparams["weight_decay"]
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.hparams["learning_rate"],
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _loss(self, images: Tensor, labels: Tensor) -> LabelledBatch:
        # cross_entropy takes -100 for "ignore" and leaves other strangers to the device.
        if int(labels.min()) < 0 or int(labels.max()) >= len(self.classes):
            raise DataError(
                "TRAIN_LABEL",
                "label",
                found=f"labels from {int(labels.min())} to {int(labels.max())}",
                expected=f"0 to {len(self.classes) - 1}",
                fix="number the labels in the order of the classes",
            )
        logits = self(self.preprocess.normalize(images))
        return F.cross_entropy(logits, labels), logits


def _checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(map(str, classes))
    if isinstance(classes, str) or len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            "CLASSES",
            "classes",
            found=repr(classes),
            expected="two or more different names",
            fix="give the names in the order of the logits",
        )
    return names
