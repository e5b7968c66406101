"""How much better, or worse, a model answers than another one on the same pictures: overall, and its worst group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.compare.differing import Ruler, of_rows, shared_level
from figureground.audit.compare.document import Difference, GroupChange, group_name
from figureground.audit.judge.cells import make_cells
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.influence import mean_influence
from figureground.audit.judge.intervals import (
    FloatArray,
    Interval,
    count_clusters,
    effective_clusters,
    unanimous_bounds,
    unequal_weights,
)
from figureground.audit.judge.worst_group import MAX_CORRELATED
from figureground.audit.keeping.tables import ALL

#: Draws behind the interval of the worst group.
DRAWS = 10_000
Members = Sequence[npt.NDArray[np.bool_]]
#: A subgroup by attribute, level and label, and who belongs to it, bool ``[N]``.
Named = dict[tuple[str, str, str], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class CommonAnswers:
    """Correctness in both audits, 1 or 0, of rows that both have and that both models answered.

    Attributes
    ----------
    rows : pandas.DataFrame
        Of the first audit's ``examples``, with its own index.
    first, second : ndarray of float64, [N]
    cluster : ndarray of int64, [N]
    weight : ndarray of float64, [N], or None
    """

    rows: pd.DataFrame = field(repr=False)
    first: FloatArray = field(repr=False)
    second: FloatArray = field(repr=False)
    cluster: npt.NDArray[np.int64] = field(repr=False)
    weight: FloatArray | None = field(default=None, repr=False)

    @classmethod
    def of(cls, first: pd.DataFrame, second: pd.DataFrame, common: pd.DataFrame) -> CommonAnswers:
        """From two tables of rows with ``correct`` and the common rows."""
        told = second.set_index("row_id")["correct"]
        own = first.reset_index(names="at").merge(common, left_on="row_id", right_on="first", suffixes=("", "_unit"))
        correct = told.reindex(own["second"]).to_numpy(dtype=np.float64)
        known = np.isfinite(correct) & own["correct"].notna().to_numpy(dtype=bool)
        kept = own[known]
        weight = kept["weight_unit"].to_numpy(dtype=np.float64) if "weight_unit" in kept else None
        return cls(
            first.loc[kept["at"]],
            kept["correct"].to_numpy(dtype=np.float64),
            correct[known],
            pd.factorize(kept["cluster_unit"])[0].astype(np.int64),
            None if weight is None or np.isnan(weight).any() else unequal_weights(weight, correct[known]),
        )

    def __len__(self) -> int:
        return len(self.first)

    def difference(self, ruler: Ruler, member: npt.NDArray[np.bool_] | None = None) -> Difference:
        """Accuracy of the second minus the first, of all rows or of some: a score interval for paired answers."""
        at = np.ones(len(self), dtype=bool) if member is None else member
        weight = None if self.weight is None else self.weight[at]
        interval = multiway_mean(
            self.second[at] - self.first[at], self.cluster[at], level=ruler.level, bounds=(-1.0, 1.0), weights=weight
        )
        means = [float(np.average(values[at], weights=weight)) if at.any() else math.nan for values in self._both]
        return of_rows(interval, (means[0], means[1]), "share", ruler)

    @property
    def _both(self) -> tuple[FloatArray, FloatArray]:
        return self.first, self.second

    def members(self, groups: Sequence[Group], labels: Sequence[str] | None, least: int) -> Named:
        """Who belongs to each subgroup with enough independent units, bool ``[N]``, by name."""
        found = {}
        for cell in make_cells(self.rows, groups, labels):
            member = cell.member.to_numpy(dtype=bool)
            if (cell.attribute, cell.label) != (ALL, ALL) and len(np.unique(self.cluster[member])) >= least:
                found[cell.attribute, cell.level, cell.label] = member
        return found


@dataclass(frozen=True)
class WorstGroup:
    """The worst group in both audits; not necessarily the same one."""

    difference: Difference
    first: str
    second: str


def group_changes(answers: CommonAnswers, members: Named, ruler: Ruler, finding: str | None) -> list[GroupChange]:
    """Every subgroup, with intervals that hold for all of them at once (Bonferroni)."""
    each = replace(ruler, level=shared_level(1 - ruler.level, len(members)))
    return [
        GroupChange(
            finding=finding,
            attribute=attribute,
            level=level,
            label=label,
            difference=answers.difference(each, member),
        )
        for (attribute, level, label), member in members.items()
    ]


def worst_group(answers: CommonAnswers, members: Named, ruler: Ruler, seed: int) -> WorstGroup | None:
    """Worst-group accuracy of the second audit minus that of the first; None without two groups to be worse than.

    The lowest of many accuracies is low by chance, in both audits alike, and which group it is may differ. So the two
    minima are drawn together: accuracies of all groups in both audits come from their joint normal distribution, with
    the covariance of their influences summed within clusters. It is the paired cluster bootstrap with Gaussian
    multipliers in place of counts: the same covariance, at a cost that does not grow with the rows. Where one audit has
    one worst group and the other has several, percentiles of a minimum lie too low and pivots too high: the interval
    reaches over both (Davison & Hinkley, *Bootstrap Methods and their Application*, 1997, ch. 5, have the two).
    Measured coverage: ``docs/compare.md``.
    """
    if not members or len(members) > MAX_CORRELATED:
        return None
    names, parts = list(members), list(members.values())
    means = np.array([[_mean(values, part, answers.weight) for part in parts] for values in answers._both])
    lowest = means.argmin(axis=1)
    estimate = float(means[1].min() - means[0].min())
    interval = _interval(answers, parts, means, estimate, ruler, seed)
    found = of_rows(interval, (float(means[0].min()), float(means[1].min())), "share", ruler)
    return WorstGroup(found, group_name(*names[lowest[0]]), group_name(*names[lowest[1]]))


def _interval(
    answers: CommonAnswers, parts: Members, means: FloatArray, estimate: float, ruler: Ruler, seed: int
) -> Interval:
    fewest = min((answers.cluster[part] for part in parts), key=lambda codes: len(np.unique(codes)))
    df, n, units = float(len(np.unique(fewest)) - 1), len(answers), count_clusters(answers.cluster)
    if np.array_equal(answers.first, answers.second):
        weighed = effective_clusters(pd.factorize(fewest)[0].astype(np.int64), None)
        low, high = unanimous_bounds(0.0, weighed, ruler.level, -1.0, 1.0)
        return Interval(0.0, low, high, ruler.level, n, units, 0.0, df)
    drawn = _drawn(answers, parts, means, df, seed)
    tail = (1 - ruler.level) / 2
    low, high = (float(value) for value in np.quantile(drawn, [tail, 1 - tail]))
    # Mirrored at the estimate, the draws' own bias towards lower minima is taken off instead of doubled.
    low, high = min(low, 2 * estimate - high, estimate), max(high, 2 * estimate - low, estimate)
    return Interval(estimate, max(-1.0, low), min(1.0, high), ruler.level, n, units, float(drawn.std()), df)


def _drawn(answers: CommonAnswers, parts: Members, means: FloatArray, df: float, seed: int) -> FloatArray:
    """Differences of the two minima, float64 ``[draws]``, with the heavier tails of few clusters."""
    influence = np.column_stack([_influence(answers, values, part) for values in answers._both for part in parts])
    groups = len(influence)
    values, vectors = np.linalg.eigh(influence.T @ influence * groups / max(groups - 1, 1))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xC4]))
    noise = rng.standard_normal((DRAWS, len(values))) @ root.T
    heavy = np.sqrt(rng.chisquare(df, DRAWS) / df)[:, None]
    both = np.clip(means.ravel() + noise / heavy, 0.0, 1.0).reshape(DRAWS, 2, len(parts))
    lowest = both.min(axis=2)
    return np.asarray(lowest[:, 1] - lowest[:, 0])


def _influence(answers: CommonAnswers, values: FloatArray, part: npt.NDArray[np.bool_]) -> FloatArray:
    """Contribution of every cluster to the accuracy of a group, float64 ``[G]``."""
    weight = None if answers.weight is None else answers.weight[part]
    rows = mean_influence(values[part], weight)
    found = np.bincount(answers.cluster[part], weights=rows, minlength=count_clusters(answers.cluster))
    return np.asarray(found, dtype=np.float64)


def _mean(values: FloatArray, part: npt.NDArray[np.bool_], weight: FloatArray | None) -> float:
    return float(np.average(values[part], weights=None if weight is None else weight[part]))
