"""Training and validation images of a data table: whole clusters on one side, never on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from figureground.datasets.datamodule import CACHE_BYTES, LabelledImages, Row, RowReader, rows_of
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.findings import Uncertain, label_columns
from figureground.datasets.intake import Examples, Intake
from figureground.datasets.joining import Attributes
from figureground.datasets.normalized import Normalized
from figureground.datasets.sources import DatasetSource, Source, open_source
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

VALIDATION_SHARE = 0.1
Kind = Literal["multiclass", "multilabel"]


@dataclass(frozen=True)
class TrainingSets:
    """Two datasets of (image, label) pairs, with what a model must remember of them."""

    train: Dataset[tuple[Tensor, Tensor]]
    validation: Dataset[tuple[Tensor, Tensor]]
    classes: tuple[str, ...]
    preprocess: Preprocess
    set_aside: dict[str, int]
    kind: Kind = "multiclass"


def labelled_images(
    data: Any,
    classes: Sequence[str] | None,
    columns: Mapping[str, str] | None,
    root: Path | None,
    split: str | None,
    preprocess: Preprocess | None,
    seed: int,
    uncertain: Uncertain | None = None,
    decoding: Decoding = PLAIN,
    *,
    attributes: Attributes | None = None,
    normalized: Normalized | None = None,
    dedupe: bool = False,
) -> TrainingSets:
    """Read the rows of a split (default ``train``; all without a split column) and split off a validation set.

    Parameters
    ----------
    data, columns, root, attributes, normalized
        As for :func:`~figureground.datasets.sources.open_source`.
    classes : sequence of str or None
        None: the labels found, sorted; for several findings their columns, in the order of the table.
    preprocess : Preprocess or None
        None: pictures as they are stored, scaled to [-1, 1].
    seed : int
        Of the draw of validation clusters.
    uncertain : {"exclude", "positive", "negative"} or None
        What an uncertain label of a finding counts as.
    decoding : Decoding
        What is declared about files of pictures.
    dedupe : bool
        Whether rows that repeat another one in every cell are left out; otherwise they are refused.
    """
    source = open_source(
        data,
        classes=classes or (),
        columns=columns,
        root=root,
        decoding=decoding,
        attributes=attributes,
        normalized=normalized,
    )
    table = source.table()
    several = bool(label_columns(table))
    names = tuple(classes) if classes is not None else _names(table, source)
    intake = Intake(names, split, default_split="train", several=several, uncertain=uncertain, dedupe=dedupe)
    examples = intake(source, table)
    prepared = preprocess or Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3)
    if prepared.resize is None and len(examples.sizes()) > 1:
        found = ", ".join(f"{w}x{h}" for h, w in list(examples.sizes())[:4])
        raise UsageError(
            "IMAGE_SIZE", source.where, found=f"sizes {found}", expected="one size", fix="give --size PIXELS"
        )
    held = validation_rows(examples.usable, seed)
    reader = RowReader(source, prepared, names)
    train, validation = (_dataset(rows_of(examples.usable[chosen]), reader) for chosen in (~held, held))
    kind: Kind = "multilabel" if several else "multiclass"
    return TrainingSets(train, validation, names, prepared, _set_aside(examples), kind)


def _names(table: pd.DataFrame, source: Source) -> tuple[str, ...]:
    if found := label_columns(table):
        return found
    if isinstance(source, DatasetSource) and table["label"].str.fullmatch(r"\d+").all():
        raise UsageError(
            "CLASSES", source.where, found="integer labels", expected="class names", fix="give classes=[...] in order"
        )
    return tuple(sorted(set(table["label"]) - {""}))


def validation_rows(rows: pd.DataFrame, seed: int) -> np.ndarray:
    """bool ``[N]``: whole clusters of each label, about :data:`VALIDATION_SHARE` of them, at least one."""
    held: set[str] = set()
    for number, (_, cell) in enumerate(rows.groupby("label", sort=True)):
        clusters = np.array(sorted(cell["cluster"].unique()), dtype=object)
        count = max(1, round(VALIDATION_SHARE * len(clusters)))
        held |= set(np.random.default_rng(np.random.SeedSequence([seed, 0x7A, number])).permutation(clusters)[:count])
    return np.asarray(rows["cluster"].isin(held))


def _dataset(rows: tuple[Row, ...], reader: RowReader) -> Dataset[tuple[Tensor, Tensor]]:
    images = LabelledImages(rows, reader)
    if not rows or images[0][0].nbytes * len(rows) > CACHE_BYTES:
        return images
    pictures, labels = zip(*(images[index] for index in range(len(rows))), strict=True)
    # TensorDataset gives tuples of as many tensors as it was made of; its type says only "some".
    return cast("Dataset[tuple[Tensor, Tensor]]", TensorDataset(torch.stack(pictures), torch.stack(labels)))


def _set_aside(examples: Examples) -> dict[str, int]:
    reasons = examples.frame.loc[examples.frame["status"] == "quarantined", "reason"]
    return {str(reason): int(n) for reason, n in reasons.value_counts().items()}
