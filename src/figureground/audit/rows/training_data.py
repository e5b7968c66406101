"""The data that a model was trained on, as far as an audit looks at it: what it shares with the rows of the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.audit.document.audit_json import TrainingOverlap
from figureground.audit.keeping.files import file_sha256
from figureground.audit.progress import Progress, silent
from figureground.datasets.intake import Examples
from figureground.datasets.overlap import (
    NEAR_BITS,
    SHARED_ROLES,
    Compare,
    Overlap,
    hashing,
    training_table,
)
from figureground.datasets.sources import Source, open_source

#: So many rows of each kind are named.
_NAMED = 20


@dataclass(frozen=True)
class TrainingData:
    """Training rows, known from their table; their pictures are read when they are compared.

    Attributes
    ----------
    source : Source
    rows : pandas.DataFrame
        Index: positions in the source.
    """

    source: Source = field(repr=False)
    rows: pd.DataFrame = field(repr=False)

    @classmethod
    def read(cls, train: Any, data: Any, classes: Sequence[str], columns: Mapping[str, str]) -> TrainingData | None:
        """From what a caller gave; None where that is nothing.

        Parameters
        ----------
        train : as ``data`` of :func:`~figureground.datasets.sources.open_source`
        data
            What is audited, to tell whether it is the same table.
        classes : sequence of str
        columns : mapping of str to str
            Of the audited data; what it says of labels, units, splits and keys holds here too.

        Raises
        ------
        UsageError
            There are no training rows, or the package that looks for pictures that look alike is missing.
        """
        if train is None:
            return None
        hashing()
        mapping = {role: name for role, name in columns.items() if role in SHARED_ROLES}
        source = open_source(train, classes=classes, columns=mapping, labelled=False)
        return cls(source, training_table(source, _same(train, data)))

    def compare(self, audited: Source, examples: Examples, progress: Progress = silent) -> TrainingOverlap:
        """What they share with the usable rows of an audit."""
        usable = examples.usable[["row_id", "position", "cluster"]]
        with progress("Comparing with the training data", len(usable) + len(self.rows)) as advance:
            found = Compare(self.source, audited)(self.rows, usable, examples.clusters_given, advance)
        return self._document(found)

    def _document(self, found: Overlap) -> TrainingOverlap:
        kinds = {"unit": found.unit_rows, "equal": found.equal, "alike": found.alike}
        path = Path(self.source.where)
        return TrainingOverlap(
            training_sha256=file_sha256(path) if self.source.kind == "manifest" else None,
            training_rows=found.training_rows,
            unreadable=found.unreadable,
            rows=found.rows,
            shared_units=found.shared_units,
            unit_rows=len(found.unit_rows),
            equal=len(found.equal),
            alike=len(found.alike),
            near_bits=NEAR_BITS,
            row_ids={kind: [str(row) for row in rows[:_NAMED]] for kind, rows in kinds.items() if rows},
        )


def _same(train: Any, data: Any) -> bool:
    if isinstance(train, str | Path) and isinstance(data, str | Path):
        return Path(train).resolve() == Path(data).resolve()
    return train is data
