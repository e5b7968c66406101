"""The Lightning classifier: a network that knows its classes and its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

from figureground.audit.classify.networks import build_network
from figureground.audit.declared.task import Task, check_thresholds
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, UsageError

#: Pixels in [0, 1] and their labels.
LabelledBatch = tuple[Tensor, Tensor]
#: Kinds that are trained here; a single logit is only ever somebody else's.
TrainedKind = Literal["multiclass", "multilabel"]


class Classifier(LightningModule):
    """An image classifier trained with AdamW and the one-cycle schedule.

    Classes are trained with cross-entropy, findings with binary cross-entropy of a sigmoid each; a label that is
    unknown (NaN) enters no loss.

    The hyper-parameters are plain types only, so that a checkpoint loads with ``weights_only=True``.

    Parameters
    ----------
    architecture : str
        As in :func:`~figureground.audit.classify.networks.build_network`.
    classes : sequence of str
        Names in the order of the logits, all different; two or more classes, or one or more findings.
    preprocess : Preprocess or dict
        What an image goes through; its number of channels is the network's.
    learning_rate, weight_decay : float
        Peak learning rate of the schedule and decoupled weight decay of AdamW.
    horizontal_flip : bool
        Mirror every training image with probability 1/2.
    settings : dict, optional
        Further settings of the training, recorded in the checkpoint; nothing is computed from them.
    kind : {"multiclass", "multilabel"}
        One of several classes, or several findings that may each be present.
    thresholds : mapping of str to float, optional
        Operating thresholds, as probabilities, of findings or of the second of two classes; 0.5 by default.

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
        kind: TrainedKind = "multiclass",
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.kind: TrainedKind = kind
        self.architecture, self.classes = architecture, _checked_classes(classes, kind)
        self.thresholds = {str(name): float(value) for name, value in (thresholds or {}).items()}
        check_thresholds(self.thresholds, Task(kind, self.classes))
        if isinstance(preprocess, dict):  # as it stands in a checkpoint
            preprocess = Preprocess.from_dict(preprocess)
        self.preprocess: Preprocess = preprocess
        self.network = build_network(architecture, len(self.classes), self.preprocess.channels)
        self.accuracy = _accuracy(kind, len(self.classes))
        self.save_hyperparameters(
            {
                "architecture": architecture,
                "classes": list(self.classes),
                "preprocess": self.preprocess.to_dict(),
                "learning_rate": float(learning_rate),
                "weight_decay": float(weight_decay),
                "horizontal_flip": bool(horizontal_flip),
                "settings": dict(settings or {}),
                "kind": kind,
                "thresholds": dict(self.thresholds),
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]`` for normalised float ``[B, C, H, W]``."""
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: LabelledBatch, _index: int) -> Tensor:
        """Loss of a batch of pixels in [0, 1], mirrored at random where that is wanted."""
        images, labels = batch
        if self.hparams["horizontal_flip"]:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
        return self._loss(images, labels)[0]

    def validation_step(self, batch: LabelledBatch, _index: int) -> None:
        """Log ``val_loss`` and ``val_accuracy`` over the epoch."""
        images, labels = batch
        loss, logits = self._loss(images, labels)
        known = ~torch.isnan(labels)
        if self.kind == "multiclass" or bool(known.any()):
            self.accuracy(*((logits, labels) if self.kind == "multiclass" else (logits[known], labels[known].long())))
        # Weighted by what entered the loss: a batch of unknown labels says nothing.
        self.log("val_loss", loss, prog_bar=True, batch_size=int(known.sum()) or 1)
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
        if self.kind == "multilabel":
            return self._findings_loss(images, labels)
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

    def _findings_loss(self, images: Tensor, labels: Tensor) -> LabelledBatch:
        known = ~torch.isnan(labels)
        strange = known & (labels != 0) & (labels != 1)
        if labels.shape != (len(images), len(self.classes)) or bool(strange.any()):
            raise DataError(
                "TRAIN_LABEL",
                "label",
                found=f"labels {list(labels.shape)} with {int(strange.sum())} values beside 0, 1 and NaN",
                expected=f"[{len(images)}, {len(self.classes)}] of 0, 1 and NaN",
                fix="give a value for every finding, in their order",
            )
        logits = self(self.preprocess.normalize(images))
        losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        # The mean over what is known; where nothing is, 0 with a gradient of 0.
        return (losses * known).sum() / known.sum().clamp(min=1), logits


def _accuracy(kind: TrainedKind, n: int) -> Metric:
    """Share of right answers; of findings, over all known labels together."""
    metric: Metric = MulticlassAccuracy(n, average="micro") if kind == "multiclass" else BinaryAccuracy()
    return metric


def _checked_classes(classes: Sequence[str], kind: TrainedKind) -> tuple[str, ...]:
    names, least = tuple(map(str, classes)), 2 if kind == "multiclass" else 1
    if isinstance(classes, str) or len(names) < least or len(set(names)) < len(names):
        raise UsageError(
            "CLASSES",
            "classes",
            found=repr(classes),
            expected=f"{'two' if least == 2 else 'one'} or more different names",
            fix="give the names in the order of the logits",
        )
    return names
