"""Areas under the ROC and the precision-recall curve, with what every row contributes to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from figureground.audit.judge.influence import linearised
from figureground.audit.judge.intervals import FloatArray

Bools = npt.NDArray[np.bool_]


def auroc_influence(score: FloatArray, positive: Bools) -> tuple[float, FloatArray]:
    """Area under the ROC curve, in [0, 1] with 0.5 for no order at all, and the influence of each row ``[N]``.

    The influences are the placements of DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845. Ties count
    half. Needs at least one positive and one negative row.

    Examples
    --------
    >>> auroc_influence(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0]
    0.75
    """
    order = np.sort(score[positive]), np.sort(score[~positive])
    above = _placement(score[positive], order[1])
    below = 1 - _placement(score[~positive], order[0])
    auroc = float(above.mean())
    influence = np.empty(len(score))
    influence[positive] = (above - auroc) / len(above)
    influence[~positive] = (below - auroc) / len(below)
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


def precision_influence(score: FloatArray, positive: Bools) -> tuple[float, FloatArray]:
    """Average precision, the area under the precision-recall curve, and the influence of each row ``[N]``.

    The mean over positive rows of the precision at their score, as in ``sklearn.metrics.average_precision_score``: in
    [0, 1], and the share of positives for a score without any order. The influence of row k is the derivative by its
    weight: ``(P_k - AP) [k positive] + sum_{positive i, s_i <= s_k} ([k positive] - P_i) / B_i``, over the number of
    positives, with B_i the rows that score at least s_i and P_i the share of positives among them.

    Examples
    --------
    >>> round(precision_influence(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0], 3)
    0.833
    """
    values, group = np.unique(score, return_inverse=True)
    rows, hits = (
        np.bincount(group, weights=weight, minlength=len(values)) for weight in (None, positive.astype(float))
    )
    reached, found = np.cumsum(rows[::-1])[::-1], np.cumsum(hits[::-1])[::-1]
    precision, total = found / reached, float(hits.sum())
    average = float((hits * precision).sum() / total)
    gained, lost = np.cumsum(hits / reached)[group], np.cumsum(hits * precision / reached)[group]
    own = np.where(positive, precision[group] - average + gained, 0.0)
    return average, np.asarray((own - lost) / total)


def _placement(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of the others that lie below each value, half of the ties; ``others`` sorted."""
    below = np.searchsorted(others, values, side="left")
    ties = np.searchsorted(others, values, side="right") - below
    return np.asarray((below + 0.5 * ties) / len(others))
