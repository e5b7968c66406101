"""Data without labels: every row stands under the class that the model itself predicts for it.

So attributions and groups have a class to be told by. How good the model is cannot be known, and is not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.progress import Progress, silent
from figureground.datasets.findings import label_columns
from figureground.datasets.images import RowFault
from figureground.datasets.sources import Pixels, Source
from figureground.errors import UsageError

_BATCH = 64


@dataclass(frozen=True)
class PredictedLabels:
    """A source whose labels are the classes that a model predicts for the unchanged pictures.

    Every row of the table is shown to the model once, because rows are drawn by label. A row whose picture cannot be
    read, or whose answer is not finite, has an empty label; reading it tells why.

    Attributes
    ----------
    source : Source
        Without a column ``label``.
    subject : Subject
        A model that gives each picture one class.
    progress : Progress
    """

    source: Source = field(repr=False)
    subject: Subject = field(repr=False)
    progress: Progress = silent

    @classmethod
    def of(cls, source: Source, subject: Subject, progress: Progress = silent) -> PredictedLabels:
        """The source under the model's labels; raises :class:`UsageError` where these cannot stand in for any."""
        check_unlabelled(source.table(), subject, source.where)
        return cls(source, subject, progress)

    @property
    def kind(self) -> str:
        """That of the source."""
        return self.source.kind

    @property
    def where(self) -> str:
        """That of the source."""
        return self.source.where

    def table(self) -> pd.DataFrame:
        """The source's table with ``label``."""
        return self._labelled.copy()

    def pixels(self, position: int) -> Pixels:
        """One row of the source."""
        return self.source.pixels(position)

    def __getattr__(self, name: str) -> Any:
        # What a source has beside its protocol: how it was read, what was joined.
        if name.startswith("_") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    @cached_property
    def _labelled(self) -> pd.DataFrame:
        table = self.source.table()
        with self.progress("Predicting labels", len(table)) as advance, evaluating(self.subject.module):
            answers: dict[int, str] = {}
            for positions, images in self._batches(len(table)):
                answers |= dict(zip(positions, self._answers(images), strict=True))
                advance(len(positions))
        labels = [answers.get(position, "") for position in range(len(table))]
        return table.assign(label=pd.Series(labels, index=table.index, dtype=object))

    def _batches(self, n: int) -> Iterator[tuple[list[int], list[Tensor]]]:
        """Readable pictures in batches of one size each."""
        positions: list[int] = []
        images: list[Tensor] = []
        for position in range(n):
            try:
                image = self.subject.preprocess.image(self.pixels(position).image)
            except RowFault:
                continue
            if images and (len(images) == _BATCH or image.shape != images[0].shape):
                yield positions, images
                positions, images = [], []
            positions.append(position)
            images.append(image)
        if images:
            yield positions, images

    def _answers(self, images: Sequence[Tensor]) -> list[str]:
        device = next((p.device for p in self.subject.module.parameters()), torch.device("cpu"))
        with torch.inference_mode():
            batch = self.subject.preprocess.normalize(torch.stack(list(images))).to(device)
            logits = self.subject.module(batch).double().cpu()
        return [self._answer(row) if bool(torch.isfinite(row).all()) else "" for row in logits]

    def _answer(self, logits: Tensor) -> str:
        task = self.subject.task
        if task.findings:
            return task.classes[int(logits[1] - logits[0] >= task.offset(task.classes[1]))]
        return task.classes[int(logits.argmax())]


def check_unlabelled(table: pd.DataFrame, subject: Subject, where: str) -> None:
    """Refuse data that has labels after all, and models that do not give each picture one class."""
    if subject.task.several or subject.task.scalar:
        raise UsageError(
            "NO_LABELS",
            where,
            found=f"a {subject.kind} model",
            expected="one that gives each image one class: only that can stand in for a label",
            fix="give labels, or audit the model as one of classes",
        )
    if "label" in table or label_columns(table):
        raise UsageError(
            "NO_LABELS",
            where,
            found="a column of labels",
            expected="data without labels, as was said",
            fix="leave out --no-labels, or rename the column",
        )
