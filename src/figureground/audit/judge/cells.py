"""The subgroups as memberships: everything, each label, each level, each label x level; absent ones included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from figureground.audit.judge.grouping import Group
from figureground.audit.keeping.tables import ALL

#: Beyond this many labels the crossing label x attribute is not tabulated.
MAX_LABELS = 20


@dataclass(frozen=True)
class Cell:
    """One subgroup: its names and, per usable row, whether it belongs."""

    attribute: str
    level: str
    label: str
    origin: str
    member: pd.Series = field(repr=False)


def make_cells(rows: pd.DataFrame, groups: Sequence[Group], labels: Sequence[str] | None = None) -> Iterator[Cell]:
    """All subgroups: everything, each label, each level, each label x level; absent ones included."""
    labels = sorted(rows["label"].unique()) if labels is None else labels
    everyone = pd.Series(True, index=rows.index)
    levels = [(ALL, ALL, "declared", everyone)]
    for group in groups:
        values = group.values.loc[rows.index]
        levels += [(group.attribute, level, group.origin, values == level) for level in group.levels]
    for attribute, level, origin, member in levels:
        yield Cell(attribute, level, ALL, origin, member)
        for label in labels if len(labels) <= MAX_LABELS else []:
            yield Cell(attribute, level, label, origin, member & (rows["label"] == label))
