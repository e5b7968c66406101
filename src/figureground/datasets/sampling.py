"""Which rows are looked at: a seeded, stratified draw of whole clusters from the table, before anything is decoded.

Clusters with masks and those without are two populations, and in each the cells of label x environment are strata:
half of the units are spread over the cells in proportion, and no cell gets less than half of an equal share. Levels
that would come out with too few units get a higher rate. Every cluster drawn stands for
``clusters of its stratum / clusters drawn from it``: its design weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.errors import UsageError

Bools = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

#: Reason in the ledger of the rows that were not drawn.
SAMPLED_OUT = "sampled_out"
#: A draw that would leave out less than this share of the clusters is not worth its weights: all are used.
SPARED = 0.2
#: Strata in which fewer units are expected are pooled, so that every cluster has somebody who stands for it.
_EXPECTED = 2
#: Name of the pooled strata.
POOLED = "(several)"
_KEYS = ("label", "environment", "masked")


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes
    ----------
    weight : pandas.Series
        float64, index of the rows given: inverse rate of the row's cluster, 1.0 where all were taken, NaN where the
        row was not drawn.
    strata : pandas.DataFrame
        ``label``, ``environment``, ``masked``, ``clusters`` and ``rows`` given, ``drawn`` clusters and
        ``rows_drawn``, ``weight``; one line a stratum.
    """

    weight: pd.Series = field(repr=False)
    strata: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class ClusterDraw:
    """Draws whole clusters.

    Attributes
    ----------
    seed : int
    units : int or None
        Clusters wanted with masks, and as many without; their effective number (Kish) is not smaller than that of a
        simple random sample of this size. None: as many as ``max_rows`` allows.
    least : int
        Clusters wanted of every level; all of those of a level that has fewer.
    max_rows : int or None
        At most so many rows; levels may then come out with fewer clusters than wanted.
    """

    seed: int
    units: int | None
    least: int = 0
    max_rows: int | None = None

    def __call__(self, rows: pd.DataFrame, levels: Sequence[Bools] = ()) -> Drawn:
        """Draw.

        Parameters
        ----------
        rows : pandas.DataFrame
            ``row_id``, ``cluster``, ``label``, ``environment`` (or all null) and ``masked`` (bool): the candidates. A
            cluster belongs to the label and environment of its first row, and is masked if any of its rows is.
        levels : sequence of ndarray
            bool ``[N]``: members of each level that must have ``least`` clusters; with masks too, where it has any.

        Raises
        ------
        UsageError
            Not one whole cluster fits into ``max_rows``.
        """
        units = clusters_of(rows)
        wanted = self._wanted(units)
        if wanted is not None:
            members = _members(rows, units, levels)
            goals = np.full(len(members), ceil(self.least + 3 * sqrt(self.least)), dtype=float)
            while (rates := _rates(units, members, goals, wanted)).sum() <= self._most(units):
                taken, strata = self._take(units, rates)
                short = _short(members, taken, self.least)
                if self.max_rows is not None or not short.any():
                    return _drawn(rows, units, taken, strata)
                goals[short] *= 1.5  # rarely: chance left a level with too few
        every = np.ones(len(units))
        return _drawn(rows, units, every > 0, _strata(units, every))

    def _most(self, units: pd.DataFrame) -> float:
        """Clusters beyond which all are used."""
        return np.inf if self.max_rows is not None else (1 - SPARED) * len(units)

    def _wanted(self, units: pd.DataFrame) -> float | None:
        """Clusters wanted of each kind; None: all."""
        if self.max_rows is None:
            return None if self.units is None else float(self.units)
        if units["rows"].sum() <= self.max_rows:
            return None
        kinds = units["masked"].nunique()
        return max(1.0, self.max_rows / float(units["rows"].mean()) / kinds)

    def _take(self, units: pd.DataFrame, rates: Reals) -> tuple[Bools, npt.NDArray[np.int64]]:
        if self.max_rows is not None:
            rates = np.minimum(1.0, rates * min(1.0, self.max_rows / float(rates @ units["rows"])))
        strata = _strata(units, rates)
        chance = np.random.default_rng(np.random.SeedSequence([self.seed, 0x5A])).random(len(units))
        turn = pd.Series(chance).groupby(strata).rank(method="first").to_numpy() - 1
        # Spread over (0, 1]: in the order of `at`, every prefix has its share of every stratum.
        at = (turn + 0.5) / (rates * np.bincount(strata)[strata])
        at[turn == 0] = np.minimum(at[turn == 0], 1.0)
        if self.max_rows is None:
            return np.asarray(at <= 1 + 1e-9), strata
        order = np.lexsort((chance, at))
        fits = np.cumsum(units["rows"].to_numpy()[order]) <= self.max_rows
        if not fits.any():
            raise _no_room(self.max_rows, int(units["rows"].iloc[order[0]]))
        taken = np.zeros(len(units), dtype=bool)
        taken[order[fits]] = True
        return taken, strata


def clusters_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a cluster, sorted by name: ``cluster``, ``label``, ``environment``, ``masked``, ``rows``."""
    first = rows.sort_values(["cluster", "row_id"]).drop_duplicates("cluster")
    by_cluster = rows.groupby("cluster", sort=True)
    units = first[["cluster", "label", "environment"]].reset_index(drop=True)
    units["masked"] = by_cluster["masked"].any().to_numpy()
    units["rows"] = by_cluster.size().to_numpy()
    return units.assign(environment=units["environment"].fillna("").astype(str), label=units["label"].astype(str))


def _members(rows: pd.DataFrame, units: pd.DataFrame, levels: Sequence[Bools]) -> list[Bools]:
    """Clusters of each level, and those of them that have masks where some do and some do not."""
    masked = units["masked"].to_numpy(dtype=bool)
    found = []
    for level in levels:
        member = units["cluster"].isin(rows.loc[level, "cluster"].unique()).to_numpy()
        found += [member] if masked.all() or not masked.any() else [member, member & masked]
    return [member for member in found if member.any()]


def _rates(units: pd.DataFrame, members: Sequence[Bools], goals: Reals, wanted: float) -> Reals:
    """Rate in (0, 1] at which each cluster is drawn."""
    masked = units["masked"].to_numpy(dtype=bool)
    cells = units.groupby(["label", "environment"]).ngroup().to_numpy()
    rates = np.zeros(len(units))
    for kind in (masked, ~masked):
        rates[kind] = _allocated(cells[kind], wanted)
    for member, goal in zip(members, goals, strict=True):
        if rates[member].sum() < goal:
            rates[member] = np.maximum(rates[member], min(1.0, goal / member.sum()))
    return rates


def _allocated(cells: npt.NDArray[np.int64], wanted: float) -> Reals:
    counts = np.bincount(cells).astype(float)
    occupied = max(int((counts > 0).sum()), 1)
    # An equal share of less than a handful would only make weights uneven.
    equal = wanted / (2 * occupied) if wanted / (2 * occupied) >= _EXPECTED else 0.0
    taken = np.minimum(counts, np.maximum(wanted * counts / max(len(cells), 1), equal))
    return np.asarray((taken / np.maximum(counts, 1))[cells], dtype=np.float64)


def _strata(units: pd.DataFrame, rates: Reals) -> npt.NDArray[np.int64]:
    """Strata as codes: cells of one rate; small ones pooled over environments, then over labels as well."""
    keys = units[list(_KEYS)].assign(rate=np.round(rates, 9))
    names = keys.astype({"masked": str})
    for pooled in (["environment"], ["environment", "label"]):
        groups = names.groupby(["label", "environment", "masked", "rate"])["rate"]
        small = (groups.transform("size") * names["rate"] < _EXPECTED) & (names["rate"] < 1)
        names.loc[small, pooled] = POOLED
    codes = names.groupby(["label", "environment", "masked", "rate"]).ngroup()
    return np.asarray(codes, dtype=np.int64)


def _short(members: Sequence[Bools], taken: Bools, least: int) -> Bools:
    counts = [((member & taken).sum(), member.sum()) for member in members]
    return np.array([found < min(least, given) for found, given in counts], dtype=bool)


def _drawn(rows: pd.DataFrame, units: pd.DataFrame, taken: Bools, strata: npt.NDArray[np.int64]) -> Drawn:
    table = units.assign(stratum=strata, drawn=taken, rows_drawn=units["rows"] * taken)
    lines = table.groupby("stratum").agg(
        label=("label", _one_name),
        environment=("environment", _one_name),
        masked=("masked", "first"),
        clusters=("cluster", "size"),
        rows=("rows", "sum"),
        drawn=("drawn", "sum"),
        rows_drawn=("rows_drawn", "sum"),
    )
    lines["weight"] = lines["clusters"] / lines["drawn"].where(lines["drawn"] > 0)
    by_cluster = pd.Series(np.where(taken, lines["weight"].to_numpy()[strata], np.nan), index=units["cluster"])
    weight = pd.Series(by_cluster.reindex(rows["cluster"]).to_numpy(), index=rows.index, dtype=float)
    return Drawn(weight, lines.reset_index(drop=True))


def _one_name(values: pd.Series) -> str:
    return str(values.iloc[0]) if values.nunique() == 1 else POOLED


def _no_room(max_rows: int, size: int) -> UsageError:
    return UsageError(
        "SAMPLE_SIZE",
        "max_images",
        found=f"room for {max_rows} images",
        expected=f"at least one whole cluster; the first that was drawn has {size} images",
        fix=f"--max-images {size}, or map --column cluster= to the unit that is independent",
    )
