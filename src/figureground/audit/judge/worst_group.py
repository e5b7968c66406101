"""The worst group and the averages: the lowest of many accuracies is low by chance, so its bound covers all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.cells import Cell, make_cells
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.influence import linearised, mean_influence
from figureground.audit.judge.intervals import (
    FloatArray,
    Interval,
    cluster_codes,
    count_clusters,
    design_effect,
    unequal_weights,
    wilson,
)
from figureground.audit.judge.multiplicity import max_t
from figureground.audit.judge.performance import accuracy
from figureground.audit.judge.rows import as_estimate
from figureground.audit.judge.weighing import weights_of
from figureground.audit.keeping.tables import ALL

DRAWS = 4000
#: With more groups than this Bonferroni's bound is used, which needs no draws and is only a little wider.
MAX_CORRELATED = 300


def worst_bound(
    rows: pd.DataFrame, groups: Sequence[Group], labels: Sequence[str] | None, policy: Policy, seed: int = 0
) -> document.WorstBound | None:
    """Lower bound on the accuracy of the worst group, with confidence ``1 - alpha`` over all groups at once.

    The groups are those of the accuracy rows of ``subgroups`` with at least ``min_clusters`` units, without those that
    were asked for after the run: a family that grows with the answers bounds nothing. Every one gets a
    Wilson lower bound with its design effect and a critical value of their largest t statistic
    (:func:`~figureground.audit.judge.multiplicity.max_t`); the smallest of these bounds lies below the accuracy of
    every group, so below the worst, whichever that is. Compare Cherian & Candes, "Statistical inference for fairness
    auditing", JMLR 25 (2024).

    Parameters
    ----------
    rows : pandas.DataFrame
        Scored usable rows.
    """
    declared = [group for group in groups if group.origin != "exploratory"]
    cells = [cell for cell in make_cells(rows, declared, labels) if (cell.attribute, cell.label) != (ALL, ALL)]
    known = rows["correct"].notna()
    judged = [cell for cell in cells if rows.loc[cell.member & known, "cluster"].nunique() >= policy.min_clusters]
    if not judged:
        return None
    members = [(cell.member & known).to_numpy(dtype=bool) for cell in judged]
    lows = simultaneous_lows(
        rows["correct"].to_numpy(dtype=np.float64),
        rows["cluster"].to_numpy(dtype=object),
        members,
        policy.alpha,
        seed,
        weights_of(rows),
    )
    lowest = int(np.argmin(lows))
    return _bound(judged[lowest], float(lows[lowest]), len(judged), 1 - policy.alpha)


def simultaneous_lows(
    correct: FloatArray,
    clusters: npt.NDArray[np.object_],
    members: Sequence[npt.NDArray[np.bool_]],
    alpha: float,
    seed: int = 0,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Lower bounds, ``[M]``, that hold for all M groups at once with confidence ``1 - alpha``.

    Parameters
    ----------
    correct : ndarray
        1 or 0, ``[N]``.
    clusters : ndarray of object, [N]
    members : sequence of ndarray
        Who belongs to each group, bool ``[N]``; groups may overlap.
    weights : ndarray, optional
        Design weights, ``[N]``.
    """
    codes = cluster_codes(clusters)
    influence = np.zeros((count_clusters(codes), len(members)))
    for column, member in enumerate(members):
        values = mean_influence(correct[member], _of(weights, member))
        influence[:, column] = np.bincount(codes[member], weights=values, minlength=len(influence))
    fewest = min(len(np.unique(codes[member])) for member in members)
    several = _critical(influence, fewest - 1, alpha, seed)
    found = [
        _low(correct[member], codes[member], quantile, _of(weights, member))
        for member, quantile in zip(members, several, strict=True)
    ]
    return np.array(found, dtype=np.float64)


def averages(rows: pd.DataFrame, groups: Sequence[Group], policy: Policy) -> list[document.Average]:
    """Average accuracy by attribute: over images, and over those levels that have enough independent units."""
    known = rows[rows["correct"].notna()]
    return [_average(known, group, policy) for group in groups] if len(known) else []


def _average(known: pd.DataFrame, group: Group, policy: Policy) -> document.Average:
    level = 1 - policy.alpha
    values = group.values.loc[known.index]
    units = known.groupby(values)["cluster"].nunique()
    judged = sorted(units.index[units >= policy.min_clusters])
    correct, clusters = known["correct"].to_numpy(dtype=np.float64), known["cluster"].to_numpy(dtype=object)
    members = [(values == name).to_numpy(dtype=bool) for name in judged]
    weights = weights_of(known)
    found = (
        accuracy(correct, clusters, level, weights),
        group_weighted(correct, clusters, members, level, weights),
    )
    stated = [as_estimate(one, min_clusters=policy.min_clusters, alpha=policy.alpha) for one in found]
    return document.Average(
        attribute=group.attribute,
        sample_weighted=stated[0],
        group_weighted=stated[1],
        levels=len(judged),
        left_out=len(units) - len(judged),
    )


def group_weighted(
    correct: FloatArray,
    clusters: npt.NDArray[np.object_],
    members: Sequence[npt.NDArray[np.bool_]],
    level: float,
    weights: FloatArray | None = None,
) -> Interval:
    """Mean of the accuracies of disjoint groups, with an interval; without groups there is no estimate."""
    part = np.any(members, axis=0) if members else np.zeros(len(correct), dtype=bool)
    influence, of = np.zeros(len(correct)), np.zeros(len(correct), dtype=np.int64)
    for number, member in enumerate(members):
        influence[member], of[member] = mean_influence(correct[member], _of(weights, member)) / len(members), number
    accuracies = [np.average(correct[member], weights=_of(weights, member)) for member in members]
    estimate = float(np.mean(accuracies)) if members else np.nan
    return linearised(estimate, influence[part], clusters[part], level, strata=of[part])


def _critical(influence: FloatArray, df: int, alpha: float, seed: int) -> FloatArray:
    """One-sided critical values, ``[M]``.

    Groups of one mind have no correlation to others: they share the error by Bonferroni, the rest by their largest t.
    """
    spread = np.abs(influence).max(axis=0) > 0
    total, varied = influence.shape[1], int(spread.sum())
    found = np.full(total, float(stats.t.ppf(1 - alpha / total, df)))
    if 0 < varied <= MAX_CORRELATED:
        # Two-sided at twice the error is one-sided at the error, by symmetry.
        level = 1 - 2 * alpha * varied / total
        found[spread] = max_t(influence[:, spread], df, level, seed, draws=DRAWS).critical
    return found


def _of(weights: FloatArray | None, member: npt.NDArray[np.bool_]) -> FloatArray | None:
    return None if weights is None else weights[member]


def _low(
    correct: FloatArray, codes: npt.NDArray[np.int64], quantile: float, weights: FloatArray | None = None
) -> float:
    level = float(2 * stats.norm.cdf(quantile) - 1)
    repeated = count_clusters(cluster_codes(codes)) < len(codes)
    weighed = unequal_weights(weights, correct)
    effect = design_effect(correct, codes, weights=weighed) if repeated or weighed is not None else 1.0
    agree = np.ptp(correct) == 0  # a weighted mean of ones is rounded
    successes = correct.sum() if weighed is None or agree else weighed @ correct
    return wilson(float(successes), len(correct), level, effect).low


def _bound(cell: Cell, low: float, groups: int, level: float) -> document.WorstBound:
    return document.WorstBound(
        low=low, level=level, groups=groups, attribute=cell.attribute, group=cell.level, label=cell.label
    )
