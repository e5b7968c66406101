"""Whose maps are averaged: a few images of every subgroup that is large enough to say nothing about one person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from figureground.audit.judge.cells import make_cells
from figureground.audit.judge.grouping import Group

#: Fewer images, or independent units, than this are not averaged.
LEAST = 10
#: Images of one subgroup, and of all together, whose maps are averaged at most.
OF_ONE, OF_ALL = 24, 240
COLUMNS = ("attribute", "level", "label", "row_id", "cluster")


def mean_cells(
    rows: pd.DataFrame, groups: Sequence[Group], labels: Sequence[str], seed: int, of_all: int = OF_ALL
) -> pd.DataFrame:
    """The images whose maps are averaged, by subgroup.

    Of every subgroup that was declared before the run, crossings with labels included and those of columns with each
    other not, the same number is drawn, from one order of all rows: a simple random sample of each.

    Parameters
    ----------
    rows : pandas.DataFrame
        Usable rows with ``row_id``, ``cluster`` and ``label``.
    groups : sequence of Group
        Of the rows; those that were asked for after the run are left aside.
    labels : sequence of str
    seed : int
        Of the run.
    of_all : int
        Images at most, over all subgroups. Where it does not suffice, the later subgroups are left out.

    Returns
    -------
    pandas.DataFrame
        A line for each subgroup and image in it.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x3E]))
    order = rows.sort_values("row_id").iloc[rng.permutation(len(rows))]
    cells = [members for members in _cells(order, groups, labels) if _enough(members)]
    each = next((n for n in range(OF_ONE, LEAST, -1) if _spread(cells, n) <= of_all), LEAST)
    kept: list[pd.DataFrame] = []
    for members in cells:
        if _spread([*kept, members], each) <= of_all:
            kept.append(members.head(each))
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=list(COLUMNS))


def within(cells: pd.DataFrame, of_all: float) -> pd.DataFrame:
    """The first subgroups that take no more images than this together: for explanations that cost more passes."""
    kept: list[pd.DataFrame] = []
    for _, members in cells.groupby(["attribute", "level", "label"], sort=False) if len(cells) else ():
        if len({row_id for part in (*kept, members) for row_id in part["row_id"]}) > of_all:
            break
        kept.append(members)
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=list(COLUMNS))


def _cells(order: pd.DataFrame, groups: Sequence[Group], labels: Sequence[str]) -> Iterator[pd.DataFrame]:
    known = [group for group in groups if group.origin != "exploratory" and "*" not in group.attribute]
    for cell in make_cells(order, known, labels):
        keys = {"attribute": cell.attribute, "level": cell.level, "label": cell.label}
        yield order[cell.member.to_numpy()].assign(**keys)[list(COLUMNS)]


def _enough(members: pd.DataFrame) -> bool:
    return len(members) >= LEAST and members["cluster"].nunique() >= LEAST


def _spread(cells: Sequence[pd.DataFrame], each: int) -> int:
    """Images in the first so many of every subgroup together."""
    return len({row_id for members in cells for row_id in members["row_id"].head(each)})
