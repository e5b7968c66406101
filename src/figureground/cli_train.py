"""``figureground train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from figureground.options.common import Data, Seed, Thresholds, UncertainLabels
from figureground.options.data import OfRows, OfTable
from figureground.options.files import OfFiles
from figureground.options.groups import takes_groups
from figureground.options.texts import as_thresholds, as_uncertain
from figureground.visible import one_line


@takes_groups
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write.")],
    *,
    arch: Annotated[
        str, typer.Option("--arch", help="small-cnn, or any torchvision classification model.")
    ] = "small-cnn",
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Most passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=2)] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", min=1, help="Epochs without a lower validation loss.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=8, help="Resize to this many pixels, square. Default: as stored.")
    ] = None,
    seed: Seed = 0,
    table: OfTable,
    rows: OfRows,
    uncertain: UncertainLabels = None,
    threshold: Thresholds = None,
    files: OfFiles,
) -> None:
    """Train a Lightning classifier and write a self-describing checkpoint."""
    from figureground.audit.classify.train import TrainConfig
    from figureground.datasets.transforms import Preprocess
    from figureground.training import train_classifier

    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "patience": patience}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    half = (0.5, 0.5, 0.5)
    classifier = train_classifier(
        data,
        out=out,
        preprocess=Preprocess(resize=None if size is None else (size, size), mean=half, std=half),
        uncertain=as_uncertain(uncertain),
        thresholds=as_thresholds(threshold),
        config=TrainConfig(architecture=arch, seed=seed, **settings),
        progress=True,
        **(table | rows | files),
    )
    typer.echo(one_line(f"{arch} for {', '.join(classifier.classes)}: {out}"))
