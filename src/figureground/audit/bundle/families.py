"""The counts of people that a run shows, as the tables in which cells are hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from figureground.audit.bundle.cells import TOTAL, Count, Key, hide
from figureground.audit.keeping.tables import ALL

#: Fewer people than this are a small cell.
SMALL = 10
#: What joins the columns of a crossing, in its name.
_CROSSED = "*"


@dataclass(frozen=True)
class Hidden:
    """What may not be shown.

    Attributes
    ----------
    cells : mapping of str or None to frozenset of Key
        By finding; None for data with one label.
    attributes : frozenset of str
        Attributes of which nothing is shown.
    """

    cells: Mapping[str | None, frozenset[Key]]
    attributes: frozenset[str] = frozenset()

    @property
    def levels(self) -> frozenset[tuple[str, str]]:
        """Attribute and level where the level as a whole is hidden, whatever the finding."""
        return frozenset(
            (attribute, level) for cells in self.cells.values() for attribute, level, label in cells if label == ALL
        )

    @property
    def labels(self) -> frozenset[str]:
        """Labels of which not even the total is shown."""
        return frozenset(
            label for cells in self.cells.values() for attribute, _, label in cells if attribute == ALL and label != ALL
        )

    @property
    def any(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.attributes) or any(self.cells.values())

    def hides(self, attribute: str, level: str, label: str = ALL, finding: str | None = None) -> bool:
        """Whether a cell may not be shown; a label by itself hides all of its cells but empty ones."""
        if attribute in self.attributes or (attribute, level) in self.levels:
            return True
        return (attribute, level, label) in self.cells.get(finding, frozenset())


NOTHING = Hidden({})


def hidden_cells(subgroups: pd.DataFrame, threshold: int = SMALL) -> Hidden:
    """What of a run's subgroups may not be shown.

    Parameters
    ----------
    subgroups : pandas.DataFrame
        The table of the run.
    threshold : int
        Fewer rows or independent units than this are a small cell.
    """
    families = {_finding(name): _counts(part) for name, part in subgroups.groupby("finding", dropna=False, sort=True)}
    dropped = _dropped(families, threshold)
    cells = {
        finding: hide({key: count for key, count in counts.items() if key[0] not in dropped}, threshold)
        for finding, counts in families.items()
    }
    return Hidden(cells, dropped)


def _finding(name: object) -> str | None:
    return None if pd.isna(name) else str(name)  # type: ignore[call-overload]  # whatever pandas groups by


def _counts(rows: pd.DataFrame) -> dict[Key, Count]:
    """Rows and units of every cell; units as in the estimate that most of them entered."""
    most = rows.groupby(["attribute", "level", "label"], sort=True)[["n_rows", "n_clusters"]].max()
    found = {
        (str(a), str(b), str(c)): Count(int(n), int(units) or int(n))
        for (a, b, c), n, units in zip(most.index, most["n_rows"], most["n_clusters"], strict=True)
    }
    found.setdefault(TOTAL, Count(0, 0))
    return found


def _dropped(families: Mapping[str | None, Mapping[Key, Count]], threshold: int) -> frozenset[str]:
    """Attributes that are linked with others: a crossing with a small cell, and a column that is cut twice.

    What such a table shows can be subtracted from what another one does.
    """
    small = {
        key[0]
        for counts in families.values()
        for key, count in counts.items()
        if _CROSSED in key[0] and count.small(threshold)
    }
    return frozenset(small) | frozenset(_cut_twice(dict.fromkeys(key[0] for c in families.values() for key in c)))


def _cut_twice(attributes: Mapping[str, None]) -> Iterator[str]:
    """All but the first cut of every column, and the crossings that cut one otherwise."""
    first: dict[str, str] = {}
    for name in sorted((name for name in attributes if name != ALL), key=lambda name: name.count(_CROSSED)):
        parts = [part.strip() for part in name.split(_CROSSED)]
        for part in parts:
            column = part.split(":")[0]
            if first.setdefault(column, part) != part:
                yield name
