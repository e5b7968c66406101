"""Which counts are hidden so that no small cell can be read or recomputed.

A cell is a set of people by label and attribute. One of fewer rows, or fewer independent units, than the threshold is
hidden; and so many others beside it that whoever knows all that is shown can narrow no hidden cell down to a range
smaller than the threshold. What they can know is a linear programme: counts are not negative, and the shown margins
are their sums (complementary suppression; Willenborg and de Waal, Elements of Statistical Disclosure Control, 2001,
chapter 4; Fischetti and Salazar, Management Science 47, 2001).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from figureground.audit.keeping.tables import ALL

#: Attribute, level, label; ``ALL`` is a margin.
Key = tuple[str, str, str]
TOTAL: Key = (ALL, ALL, ALL)
#: Tables with more hidden cells than this are hidden whole: each cell takes two linear programmes.
MOST_PROGRAMMES = 400
_SLACK = 1e-6


@dataclass(frozen=True)
class Count:
    """Rows of a cell, and the independent units (people, animals, bursts) among them."""

    rows: int
    units: int

    def small(self, threshold: int) -> bool:
        """Whether somebody is in it, and fewer than the threshold."""
        return self.rows > 0 and min(self.rows, self.units) < threshold


@dataclass(frozen=True)
class Shown:
    """What a reader knows, as a linear programme over the counts that are hidden.

    Attributes
    ----------
    counts : mapping of Key to Count
        Every cell and margin of one family of tables: each attribute by label, with shared margins of the labels.
    hidden : frozenset of Key
    """

    counts: Mapping[Key, Count]
    hidden: frozenset[Key]

    def _crossed(self, attribute: str, level: str) -> bool:
        return any((attribute, level, label) in self.counts for label in self.labels)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels with a margin."""
        return tuple(label for attribute, _, label in self.counts if attribute == ALL and label != ALL)

    @cached_property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Levels by attribute."""
        found: dict[str, list[str]] = {}
        for attribute, level, label in self.counts:
            if attribute != ALL and label == ALL:
                found.setdefault(attribute, []).append(level)
        return {name: tuple(levels) for name, levels in found.items()}

    @cached_property
    def sums(self) -> tuple[tuple[Key, tuple[Key, ...]], ...]:
        """Every sum that holds among the cells: the whole, and its parts."""
        return tuple(self._sums())

    def _sums(self) -> Iterator[tuple[Key, tuple[Key, ...]]]:
        if self.labels:
            yield TOTAL, tuple((ALL, ALL, label) for label in self.labels)
        for attribute, levels in self.levels.items():
            yield TOTAL, tuple((attribute, level, ALL) for level in levels)
            for level in levels:
                if self._crossed(attribute, level):
                    yield (attribute, level, ALL), tuple((attribute, level, label) for label in self.labels)
            for label in self.labels:
                if all((attribute, level, label) in self.counts for level in levels):
                    yield (ALL, ALL, label), tuple((attribute, level, label) for level in levels)

    @cached_property
    def _columns(self) -> dict[Key, int]:
        return {key: at for at, key in enumerate(sorted(self.hidden))}

    @cached_property
    def _programme(self) -> tuple[csr_matrix, npt.NDArray[np.float64]]:
        """Equations over the hidden cells, margins among them: one for each sum that has a hidden member."""
        data: list[float] = []
        rows: list[int] = []
        columns: list[int] = []
        right: list[float] = []
        for whole, parts in self.sums:
            members = [(whole, -1.0), *((part, 1.0) for part in parts)]
            if not any(key in self.hidden for key, _ in members):
                continue
            for key, sign in members:
                if key in self.hidden:
                    data.append(sign)
                    rows.append(len(right))
                    columns.append(self._columns[key])
            right.append(-sum(sign * self.counts[key].rows for key, sign in members if key not in self.hidden))
        shape = (len(right), len(self._columns))
        return csr_matrix((data, (rows, columns)), shape=shape), np.array(right, dtype=float)

    def span(self, key: Key) -> tuple[float, float]:
        """The least and the most that a reader can think a hidden cell holds."""
        matrix, right = self._programme
        cost = np.zeros(len(self._columns))
        cost[self._columns[key]] = 1.0
        ends = [self._end(sign * cost, matrix, right) for sign in (1.0, -1.0)]
        if None in ends:  # counts that do not add up: nothing is known of what a reader can work out
            return 0.0, 0.0
        low, high = (float(end or 0.0) for end in ends)
        return low, -high

    @staticmethod
    def _end(cost: npt.NDArray[np.float64], matrix: csr_matrix, right: npt.NDArray[np.float64]) -> float | None:
        """The least cost; None where there is none."""
        found = linprog(cost, A_eq=matrix, b_eq=right, bounds=(0, None), method="highs")  # type: ignore[call-overload]  # stubs know dense matrices only
        return float(found.fun) if found.status == 0 else None

    def narrow(self, threshold: int) -> list[Key]:
        """Hidden cells, empty ones left aside, that a reader can narrow down to less than the threshold."""
        wide = {key: self.span(key) for key in sorted(self.hidden) if self.counts[key].rows}
        return [key for key, (low, high) in wide.items() if high - low < threshold - _SLACK]


def hide(counts: Mapping[Key, Count], threshold: int) -> frozenset[Key]:
    """The cells to hide.

    Parameters
    ----------
    counts : mapping of Key to Count
        Every cell and margin of the tables of one label: ``(attribute, level, label)``, margins with ``ALL``; the
        levels of an attribute, and the labels, each divide all rows.
    threshold : int
        Cells with fewer rows, or units, are small. Empty cells are not: they are about nobody.

    Returns
    -------
    frozenset of Key
        Small cells, and as many others as it takes. Every table in which that cannot be reached is hidden whole.
    """
    hidden = frozenset(key for key, count in counts.items() if key != TOTAL and count.small(threshold))
    while hidden:
        shown = Shown(counts, hidden)
        if len(hidden) > MOST_PROGRAMMES:
            return _whole(shown, hidden)
        narrow = shown.narrow(threshold)
        more = frozenset(filter(None, (_beside(shown, key) for key in narrow)))
        if not more:
            return _whole(shown, frozenset(narrow)) if narrow else hidden
        hidden |= more
    return hidden


def _beside(shown: Shown, key: Key) -> Key | None:
    """The smallest shown cell that stands in one sum with a hidden one; then the smallest of its table."""
    near = {part for whole, parts in shown.sums if key in parts for part in parts}
    own = {other for other in shown.counts if other[0] == key[0] and other != TOTAL}
    for among in (near, own):
        free = [other for other in among - shown.hidden if shown.counts[other].rows]
        if free:
            return min(free, key=lambda other: (shown.counts[other].rows, other))
    return None


def _whole(shown: Shown, of: frozenset[Key]) -> frozenset[Key]:
    """All cells of the tables of some hidden ones; of all tables where a label is among them."""
    attributes = {key[0] for key in of}
    everything = ALL in attributes
    return shown.hidden | {key for key in shown.counts if key != TOTAL and (everything or key[0] in attributes)}
