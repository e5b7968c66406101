"""Differences between the levels of an attribute, standardised over labels, and their permutation test.

Levels that differ in their labels differ in everything that hangs on the label (Simpson's paradox), so values are
compared within labels, and every label counts the same. The unit is a cluster within a level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.judge.influence import linearised, mean_influence, welch_p
from figureground.audit.judge.intervals import FloatArray, IntArray, Interval
from figureground.audit.judge.roc import auroc_influence
from figureground.audit.judge.rows import p_value

PERMUTATIONS = 1999
#: Permutations are made in blocks of about this many numbers, to bound the memory.
_BLOCK = 4_000_000
#: A side of a comparison within a label needs this many units, or it has no spread.
_FEWEST = 2


@dataclass(frozen=True)
class Units:
    """U units (a cluster within a level), L labels, Q measures.

    Attributes
    ----------
    levels : tuple of str
    level : ndarray of int64, [U]
        Index into ``levels``.
    cluster : ndarray of object, [U]
    stratum : ndarray of int64, [U]
        The unit's commonest label; levels are permuted within it.
    values : ndarray of float64, [U, L, Q]
        Mean of the unit's rows with that label; NaN where it has none.
    rows : ndarray of float64, [U, L, Q]
        How many rows that mean is of.
    weight : ndarray of float64, [U], or None
        Design weight of the unit; None where all count the same.
    """

    levels: tuple[str, ...]
    level: IntArray = field(repr=False)
    cluster: npt.NDArray[np.object_] = field(repr=False)
    stratum: IntArray = field(repr=False)
    values: FloatArray = field(repr=False)
    rows: FloatArray = field(repr=False)
    weight: FloatArray | None = field(default=None, repr=False)


def make_units(
    level: pd.Series, label: pd.Series, cluster: pd.Series, values: pd.DataFrame, weights: FloatArray | None = None
) -> Units:
    """Units from rows of one index; ``values`` has one column per measure, NaN where a row has none.

    Design weights ``[N]`` of the rows become those of their units: a draw takes whole clusters.
    """
    keys = [cluster.rename("cluster"), level.rename("level"), label.rename("label")]
    grouped = values.groupby(keys, sort=True)
    means, counts = grouped.mean(), grouped.count()
    labels, names = sorted(label.unique()), sorted(level.unique())
    sizes = grouped.size().unstack("label").reindex(columns=labels).fillna(0)
    found = [_cube(part, sizes.index, labels) for part in (means, counts)]
    return Units(
        levels=tuple(names),
        level=np.array([names.index(name) for name in sizes.index.get_level_values("level")], dtype=np.int64),
        cluster=sizes.index.get_level_values("cluster").to_numpy(dtype=object),
        stratum=sizes.to_numpy().argmax(axis=1).astype(np.int64),
        values=found[0],
        rows=np.nan_to_num(found[1]),
        weight=None if weights is None else _unit_weights(weights, keys[:2], sizes.index),
    )


def _unit_weights(weights: FloatArray, keys: list[pd.Series], index: pd.Index) -> FloatArray:
    means = pd.Series(weights, index=keys[0].index).groupby(keys, sort=True).mean()
    return np.asarray(means.reindex(index), dtype=np.float64)


@dataclass(frozen=True)
class Difference:
    """One level against the others in one measure.

    Attributes
    ----------
    mean : Interval
        Mean over labels of the difference of the means of units; ``n`` counts rows, ``n_clusters`` the clusters of the
        smaller side.
    delta : Interval
        Cliff's delta, mean over labels, in [-1, 1]: how much more often a unit of the level lies above one of the
        others than below.
    delta_p : float or None
        Of the test of Brunner & Munzel (Biometrical Journal 42 (2000) 17-25), stratified by label.
    labels : int
        Labels that both sides have.
    """

    mean: Interval
    delta: Interval
    delta_p: float | None
    labels: int


def difference(units: Units, level: int, measure: int, confidence: float) -> Difference:
    """The difference without its permutation test; Welch's interval (see :func:`linearised`) over labels and sides."""
    sides = [_Side.of(units, level, measure, label) for label in range(units.values.shape[1])]
    kept = [side for side in sides if side.complete]
    if not kept:
        nothing = Interval(np.nan, np.nan, np.nan, confidence, sum(side.n for side in sides), 0, np.nan, 0.0)
        return Difference(nothing, nothing, None, 0)
    clusters = np.concatenate([units.cluster[side.at] for side in kept])
    strata = np.concatenate([2 * number + side.inside for number, side in enumerate(kept)])
    smaller = min(len(set(clusters[strata % 2 == inside])) for inside in (0, 1))
    shifts, areas = [side.shift() for side in kept], [side.delta() for side in kept]
    found = []
    for parts, bounds in ((shifts, None), (areas, (-1.0, 1.0))):
        influence = np.concatenate([values for _, values in parts]) / len(kept)
        estimate = float(np.mean([value for value, _ in parts]))
        interval = linearised(estimate, influence, clusters, confidence, strata=strata, bounds=bounds)
        found.append(replace(interval, n=sum(side.n for side in kept), n_clusters=smaller))
    p = welch_p(found[1])
    return Difference(found[0], found[1], p if p is not None else p_value(found[1]), len(kept))


@dataclass(frozen=True)
class _Side:
    """The units of one label: which are inside the level, and their values."""

    at: IntArray
    inside: npt.NDArray[np.bool_]
    values: FloatArray
    n: int
    weight: FloatArray | None

    @classmethod
    def of(cls, units: Units, level: int, measure: int, label: int) -> _Side:
        at = np.flatnonzero(np.isfinite(units.values[:, label, measure]))
        n = int(units.rows[at, label, measure].sum())
        weight = None if units.weight is None else units.weight[at]
        return cls(at, units.level[at] == level, units.values[at, label, measure], n, weight)

    @property
    def complete(self) -> bool:
        return bool(min(self.inside.sum(), (~self.inside).sum()) >= _FEWEST)

    def shift(self) -> tuple[float, FloatArray]:
        influence, means = np.empty(len(self.values)), []
        for part, sign in ((self.inside, 1), (~self.inside, -1)):
            weight = None if self.weight is None else self.weight[part]
            influence[part] = sign * mean_influence(self.values[part], weight)
            means.append(float(np.average(self.values[part], weights=weight)))
        return means[0] - means[1], influence

    def delta(self) -> tuple[float, FloatArray]:
        area, influence = auroc_influence(self.values, self.inside, self.weight)
        return 2 * area - 1, 2 * influence


@dataclass(frozen=True)
class Permuted:
    """Permutation tests of M levels in Q measures.

    Attributes
    ----------
    single : ndarray of float64, [M, Q]
        p of each level against the others; NaN where there is no statistic.
    largest : ndarray of float64, [M, Q]
        The same, adjusted for the largest statistic over the levels (Westfall & Young, 1993).
    any_level : ndarray of float64, [Q]
        p of "no level differs", from the largest statistic.
    """

    single: FloatArray
    largest: FloatArray
    any_level: FloatArray


def permute(units: Units, tested: Sequence[int], seed: int, permutations: int | None = None) -> Permuted:
    """Stratified permutation test of the studentised differences: levels are exchanged within labels.

    Studentised, so that unequal spreads do not pass for a shift (Chung & Romano, Annals of Statistics 41 (2013)
    484-507). Exact where every cluster has one label; else its commonest label stands for it.

    Parameters
    ----------
    units : Units
    tested : sequence of int
        The levels that are compared with all others; one is enough for two levels.
    seed : int
    permutations : int, optional
        :data:`PERMUTATIONS` where not given; p is never below ``1 / (permutations + 1)``.
    """
    draws = PERMUTATIONS if permutations is None else permutations
    sums = _Sums.of(units)
    observed = sums.statistics(units.level[None], tested)[0]
    single, largest, top = np.ones_like(observed), np.ones_like(observed), np.nanmax(_filled(observed), axis=0)
    any_level = np.ones(observed.shape[1])
    for block in _shuffled(units, draws, np.random.default_rng(np.random.SeedSequence([seed, 0x6D]))):
        found = _filled(sums.statistics(block, tested))
        most = found.max(axis=1)
        single += (found >= observed - 1e-6).sum(axis=0)
        largest += (most[:, None] >= observed - 1e-6).sum(axis=0)
        any_level += (most >= top - 1e-6).sum(axis=0)
    known, some = np.isfinite(observed), np.isfinite(observed).any(axis=0)
    blank = [np.where(known, values / (draws + 1), np.nan) for values in (single, largest)]
    return Permuted(blank[0], blank[1], np.where(some, any_level / (draws + 1), np.nan))


@dataclass(frozen=True)
class _Sums:
    """What means and variances need as columns, so that sums by level are one matrix product, ``[U, S L Q]``.

    Three sums: values, squares, counts. Six with design weights w: w z, w² z², counts, w, w² z, w².
    """

    columns: npt.NDArray[np.float32] = field(repr=False)
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, units: Units) -> _Sums:
        values = units.values
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.nansum(values, axis=(0, 1)) / np.maximum(np.isfinite(values).sum(axis=(0, 1)), 1)
            scale = np.nanmax(np.abs(np.nan_to_num(values - centre)), axis=(0, 1))
        scaled = (values - centre) / np.where(scale > 0, scale, 1.0)
        known = np.isfinite(scaled)
        z, there = np.where(known, scaled, 0), known.astype(np.float64)
        if units.weight is None:
            sums = [z, z**2, there]
        else:
            w = there * (units.weight / units.weight.mean())[:, None, None]
            sums = [w * z, (w * z) ** 2, there, w, w**2 * z, w**2]
        parts = np.stack(sums, axis=1)
        return cls(parts.reshape(len(values), -1).astype(np.float32), (len(sums), *values.shape[1:]))

    def statistics(self, levels: npt.NDArray[np.integer[Any]], tested: Sequence[int]) -> FloatArray:
        """Absolute studentised differences ``[B, M, Q]`` for assignments ``[B, U]``."""
        whole = self.columns.astype(np.float64).sum(axis=0)
        found = []
        for level in tested:
            inside = ((levels == level).astype(np.float32) @ self.columns).astype(np.float64)
            sides = [part.reshape(len(levels), *self.shape) for part in (inside, whole - inside)]
            found.append(_studentised(*sides))
        return np.stack(found, axis=1)


def _studentised(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """From sums ``[B, S, L, Q]`` to ``[B, Q]``; NaN where no label has enough units."""
    (a, va, na), (b, vb, nb) = _moments(inside), _moments(outside)
    kept = (na >= _FEWEST) & (nb >= _FEWEST)
    labels = kept.sum(axis=1)
    shift = np.where(kept, a - b, 0).sum(axis=1)
    error = np.sqrt(np.where(kept, va + vb, 0).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.abs(shift) / np.where(error > 1e-5, error, np.nan)
    # Without any spread a shift is beyond every other, and none is none.
    found = np.where((labels > 0) & (error <= 1e-5), np.where(np.abs(shift) > 1e-4, np.inf, 0.0), found)
    return np.where(labels > 0, found, np.nan)


def _moments(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means, variances of the means, and counts ``[B, L, Q]``."""
    total, squares, count = sums[:, 0], sums[:, 1], sums[:, 2]
    # Without weights they are all 1: the mass is the count, and so is that of the squares.
    mass, crossed, squared = (sums[:, 3], sums[:, 4], sums[:, 5]) if sums.shape[1] > 3 else (count, total, count)
    safe = np.where(mass > 0, mass, 1.0)
    mean = total / safe
    spread = np.maximum(squares - 2 * mean * crossed + mean**2 * squared, 0)
    return mean, spread / safe**2 * count / np.maximum(count - 1, 1), count


def _shuffled(units: Units, draws: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int16]]:
    """Assignments ``[B, U]`` in blocks, levels exchanged within strata."""
    blocks = [np.flatnonzero(units.stratum == stratum) for stratum in np.unique(units.stratum)]
    size = max(1, _BLOCK // max(len(units.level), 1))
    for start in range(0, draws, size):
        found = np.tile(units.level.astype(np.int16), (min(size, draws - start), 1))  # short, so that shuffling is fast
        for block in blocks:
            found[:, block] = rng.permuted(found[:, block], axis=1)
        yield found


def _filled(statistics: FloatArray) -> FloatArray:
    return np.where(np.isnan(statistics), -np.inf, statistics)


def _cube(table: pd.DataFrame, index: pd.Index, labels: list[str]) -> FloatArray:
    wide = [table[name].unstack("label").reindex(index=index, columns=labels).to_numpy(dtype=float) for name in table]
    return np.stack(wide, axis=2) if wide else np.empty((len(index), len(labels), 0))
