"""Areas under the ROC and the precision-recall curve, with what every row contributes to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from figureground.audit.judge.influence import linearised
from figureground.audit.judge.intervals import FloatArray

Bools = npt.NDArray[np.bool_]


def auroc_influence(score: FloatArray, positive: Bools, weights: FloatArray | None = None) -> tuple[float, FloatArray]:
    """Area under the ROC curve, in [0, 1] with 0.5 for no order at all, and the influence of each row ``[N]``.

    The influences are the placements of DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845. Ties count
    half. Needs at least one positive and one negative row. With design weights ``[N]`` every pair counts the product
    of its weights, as in ``sklearn.metrics.roc_auc_score``.

    Examples
    --------
    >>> auroc_influence(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0]
    0.75
    """
    mass = np.ones(len(score)) if weights is None else weights
    hits, others = mass[positive], mass[~positive]
    above = placement(score[positive], score[~positive], others)
    below = 1 - placement(score[~positive], score[positive], hits)
    auroc = float(np.average(above, weights=hits))
    influence = np.empty(len(score))
    influence[positive] = hits * (above - auroc) / hits.sum()
    influence[~positive] = others * (below - auroc) / others.sum()
    return auroc, influence


def auroc_interval(
    score: npt.NDArray[np.float64],
    positive: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.object_],
    level: float,
) -> tuple[float, float, float]:
    """Area under the ROC curve and its interval.

    The variance is that of the placements (DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845), summed
    within clusters, each class with its own degrees of freedom; t on the logit. t on the area itself held the truth in
    90 instead of 95 of 100 data sets of 30 clusters.
    """
    auroc, influence = auroc_influence(score, positive)
    found = linearised(auroc, influence, clusters, level, strata=positive)
    return auroc, found.low, found.high


def precision_influence(
    score: FloatArray, positive: Bools, weights: FloatArray | None = None
) -> tuple[float, FloatArray]:
    """Average precision, the area under the precision-recall curve, and the influence of each row ``[N]``.

    The mean over positive rows of the precision at their score, as in ``sklearn.metrics.average_precision_score``: in
    [0, 1], and the share of positives for a score without any order. The influence of row k is the derivative by its
    weight: ``(P_k - AP) [k positive] + sum_{positive i, s_i <= s_k} ([k positive] - P_i) / B_i``, over the number of
    positives, with B_i the rows that score at least s_i and P_i the share of positives among them. Rows count by their
    design weights ``[N]`` where these are given, and the derivative is times the row's own.

    Examples
    --------
    >>> round(precision_influence(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0], 3)
    0.833
    """
    values, group = np.unique(score, return_inverse=True)
    mass = np.ones(len(score)) if weights is None else weights
    rows, hits = (np.bincount(group, weights=weight, minlength=len(values)) for weight in (mass, mass * positive))
    reached, found = np.cumsum(rows[::-1])[::-1], np.cumsum(hits[::-1])[::-1]
    precision, total = found / reached, float(hits.sum())
    average = float((hits * precision).sum() / total)
    gained, lost = np.cumsum(hits / reached)[group], np.cumsum(hits * precision / reached)[group]
    own = np.where(positive, precision[group] - average + gained, 0.0)
    return average, np.asarray(mass * (own - lost) / total)


def placement(values: FloatArray, others: FloatArray, mass: FloatArray) -> FloatArray:
    """Share of the others' mass that lies below each value, half of the ties; in [0, 1]."""
    order = np.argsort(others, kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(mass[order])])
    below = np.searchsorted(others[order], values, side="left")
    up_to = np.searchsorted(others[order], values, side="right")
    return np.asarray((reached[below] + reached[up_to]) / (2 * reached[-1]))
