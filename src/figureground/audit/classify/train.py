"""Training: a seeded Lightning run that leaves nothing behind but the best classifier."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.classify.module import Classifier, TrainedKind
from figureground.audit.classify.networks import SMALL_CNN
from figureground.audit.classify.quiet import interruptible, quiet_lightning
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, UsageError

#: An image, float ``[C, H, W]`` in [0, 1], and its label, int64, or float32 ``[K]`` for findings.
TrainingSet = Dataset[tuple[Tensor, Tensor]]
Loader = DataLoader[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training.

    Attributes
    ----------
    architecture : str
        ``"small-cnn"`` or a torchvision classification model.
    epochs : int
        Most passes over the training images.
    batch_size : int
        Images per step.
    learning_rate, weight_decay : float
        Peak learning rate of the one-cycle schedule and AdamW's decoupled weight decay.
    patience : int
        Epochs without a lower validation loss after which training stops.
    seed : int
        Of the initial weights, the order of the images and the mirroring.
    horizontal_flip : bool
        Mirror every training image with probability 1/2.
    num_workers : int
        Processes that load images; 0 loads in this one.
    accelerator : str
        As for ``pytorch_lightning.Trainer``. Equal seeds give equal weights on the CPU.
    """

    architecture: str = SMALL_CNN
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    patience: int = 4
    seed: int = 0
    horizontal_flip: bool = False
    num_workers: int = 0
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        floors = {"epochs": 1, "batch_size": 2, "patience": 1, "seed": 0, "num_workers": 0, "weight_decay": 0}
        for name, floor in floors.items():
            if getattr(self, name) < floor:
                raise _bad_setting(name, getattr(self, name), f"{floor} or more")
        if not self.learning_rate > 0:
            raise _bad_setting("learning_rate", self.learning_rate, "a positive number")
        if self.seed >= 2**32:
            raise _bad_setting("seed", self.seed, "less than 2**32")


def train_classifier(
    train: TrainingSet,
    validation: TrainingSet,
    *,
    classes: Sequence[str],
    preprocess: Preprocess,
    kind: TrainedKind = "multiclass",
    thresholds: Mapping[str, float] | None = None,
    config: TrainConfig | None = None,
    out: Path | None = None,
    progress: bool = False,
) -> Classifier:
    """Train a classifier and keep the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    train, validation : Dataset
        Items are ``(image, label)``: float ``[C, H, W]`` in [0, 1], already resized by ``preprocess``, and
        int64; of findings float32 ``[K]`` of 0, 1 and NaN for unknown.
    classes : sequence of str
        Names in the order of the labels.
    kind : {"multiclass", "multilabel"}
        Classes, or findings.
    thresholds : mapping of str to float, optional
        Operating thresholds that the checkpoint remembers; nothing is trained by them.
    preprocess : Preprocess
        What the images went through; its mean and deviation are applied here.
    config : TrainConfig, optional
        Settings; the defaults suit a few thousand images of 64 pixels.
    out : Path, optional
        Where to write the checkpoint.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Classifier
        On the CPU, in evaluation mode. The global random state is as it was before.

    Raises
    ------
    DataError
        A dataset is too small, or a label is no index of a class.
    UsageError
        A setting is off, or the loss did not stay finite.
    """
    config = config or TrainConfig()
    _check_sizes(train, validation)
    with isolate_rng(), quiet_lightning(), tempfile.TemporaryDirectory() as folder:
        pl.seed_everything(config.seed, workers=True, verbose=False)
        classifier = _new(classes, preprocess, config, kind, thresholds)
        best = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        trainer = _trainer(config, best, folder, progress)
        loaders = _loader(train, config, shuffle=True), _loader(validation, config, shuffle=False)
        _fit(trainer, classifier, *loaders)
        _restore(classifier, best, config)
    if out is not None:
        save_checkpoint(classifier, out)
    return classifier


def _new(
    classes: Sequence[str],
    preprocess: Preprocess,
    config: TrainConfig,
    kind: TrainedKind,
    thresholds: Mapping[str, float] | None,
) -> Classifier:
    return Classifier(
        config.architecture,
        classes,
        preprocess,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        horizontal_flip=config.horizontal_flip,
        settings=asdict(config),
        kind=kind,
        thresholds=thresholds,
    )


def _trainer(config: TrainConfig, best: ModelCheckpoint, folder: str, progress: bool) -> pl.Trainer:
    callbacks: list[Any] = [best, EarlyStopping("val_loss", patience=config.patience)]
    if progress:
        # On stderr: stdout belongs to machine-readable output.
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return pl.Trainer(
        max_epochs=config.epochs,
        accelerator=config.accelerator,
        devices=1,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_model_summary=False,
        enable_progress_bar=progress,
        num_sanity_val_steps=0,
    )


def _loader(images: TrainingSet, config: TrainConfig, *, shuffle: bool) -> Loader:
    return DataLoader(
        images,
        batch_size=config.batch_size,
        shuffle=shuffle,
        # A last batch of one image has no variance to normalise by.
        drop_last=shuffle and len(cast(Sized, images)) > config.batch_size,
        num_workers=config.num_workers,
        generator=torch.Generator().manual_seed(config.seed),
    )


def _fit(trainer: pl.Trainer, classifier: Classifier, train: Loader, validation: Loader) -> None:
    with interruptible():
        trainer.fit(classifier, train, validation)


def _restore(classifier: Classifier, best: ModelCheckpoint, config: TrainConfig) -> None:
    loss = best.best_model_score
    if loss is None or not bool(torch.isfinite(loss)):
        raise UsageError(
            "TRAIN_DIVERGED",
            "learning_rate",
            found=f"a loss that is not finite at {config.learning_rate}",
            expected="a finite validation loss",
            fix="lower the learning rate, or check the images for NaN",
        )
    kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    classifier.to("cpu").load_state_dict(kept["state_dict"])
    classifier.eval()


def _check_sizes(train: TrainingSet, validation: TrainingSet) -> None:
    for name, images, least in (("train", train, 2), ("validation", validation, 1)):
        size = len(cast(Sized, images))
        if size < least:
            raise DataError(
                "TRAIN_SIZE",
                name,
                found=f"{size} images",
                expected=f"{least} or more",
                fix="check the split column and the rows that were set aside",
            )


def _bad_setting(name: str, value: object, expected: str) -> UsageError:
    return UsageError("TRAIN_SETTING", name, found=str(value), expected=expected, fix="change the setting")
