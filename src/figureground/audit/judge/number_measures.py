"""How far off a model is whose answer is a number: rows of the ``subgroups`` table.

With ``said`` the model's number and ``true`` the label's, both in the unit of the target (column ``measure``):

- ``mean_absolute_error``: mean of ``|said - true|``.
- ``bias``: mean of ``said - true``; positive where the model says too much.
- ``rank_correlation``: Spearman's, of ``said`` and ``true``, in [-1, 1].
- ``auroc``: of the number, between the sides of its cut, in [0, 1].

Errors weigh each image by its design weight; the other two describe the images that were drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from figureground.audit.judge.answers import Answers
from figureground.audit.judge.influence import linearised, mean_influence
from figureground.audit.judge.intervals import FloatArray
from figureground.audit.judge.measured import Measured, none_of
from figureground.audit.judge.roc import auroc_influence

#: With fewer images an order says nothing.
_LEAST = 3


def mean_absolute_error(answers: Answers, level: float) -> Measured:
    """Mean distance of the number from the label's, at least 0."""
    return _mean(answers, level, np.abs)


def bias(answers: Answers, level: float) -> Measured:
    """Mean of the number minus the label's."""
    return _mean(answers, level, np.positive)


def rank_correlation(answers: Answers, level: float) -> Measured:
    """Spearman's correlation of the number with the label's, ties at their mean rank."""
    known, said, true = _known(answers)
    if len(known) < _LEAST or np.ptp(said) == 0 or np.ptp(true) == 0:
        return none_of(known, level, "one_value")
    estimate, influence = spearman_influence(said, true)
    return Measured(linearised(estimate, influence, known.cluster, level, bounds=(-1.0, 1.0)))


def area(answers: Answers, level: float) -> Measured:
    """Area under the ROC curve of the number, for the upper side of the cut."""
    known, said, _ = _known(answers)
    if len(np.unique(known.label)) < 2:
        return none_of(known, level, "one_label")
    estimate, influence = auroc_influence(said, known.label == 1)
    return Measured(linearised(estimate, influence, known.cluster, level, strata=known.label))


ERRORS: dict[str, Callable[[Answers, float], Measured]] = {
    "mean_absolute_error": mean_absolute_error,
    "bias": bias,
    "rank_correlation": rank_correlation,
}


def spearman_influence(x: FloatArray, y: FloatArray) -> tuple[float, FloatArray]:
    """Spearman's rank correlation, in [-1, 1], and the influence of each row ``[N]``.

    The correlation of mid-ranks (Kendall & Gibbons, Rank Correlation Methods, 5th ed. 1990, chapter 3) is a function
    of three means of products of distribution functions. Every row moves each of them in its own place and through
    the ranks of all others; the influence is the sum of both, by the chain rule. Needs two different values in each.

    Examples
    --------
    >>> round(spearman_influence(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))[0], 3)
    0.5
    """
    u, v = _middle(x), _middle(y)
    both, of_u, of_v = (float((a * b).mean()) - 0.25 for a, b in ((u, v), (u, u), (v, v)))
    moves = u * v + _through(x, v) + _through(y, u)
    moves_u, moves_v = u * u + 2 * _through(x, u), v * v + 2 * _through(y, v)
    scale = float(np.sqrt(of_u * of_v))
    rho = both / scale
    influence = _centred(moves) / scale - rho / 2 * (_centred(moves_u) / of_u + _centred(moves_v) / of_v)
    return rho, influence / len(x)


def _middle(values: FloatArray) -> FloatArray:
    """Empirical distribution function, the mean of its left and right limits; its mean is a half."""
    return np.asarray((rankdata(values) - 0.5) / len(values))


def _through(values: FloatArray, weights: FloatArray) -> FloatArray:
    """For each row i the sum over j of ``weights[j]`` where ``values[j]`` lies above its own, half for ties, over N."""
    order = np.argsort(values, kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(weights[order])])
    below = np.searchsorted(values[order], values, side="left")
    up_to = np.searchsorted(values[order], values, side="right")
    return np.asarray((reached[-1] - (reached[below] + reached[up_to]) / 2) / len(values))


def _centred(values: FloatArray) -> FloatArray:
    return np.asarray(values - values.mean())


def _mean(answers: Answers, level: float, of: Callable[[FloatArray], FloatArray]) -> Measured:
    known, said, true = _known(answers)
    if not len(known):
        return none_of(known, level, "no_number")
    values = of(said - true)
    estimate, influence = float(np.average(values, weights=known.weight)), mean_influence(values, known.weight)
    return Measured(linearised(estimate, influence, known.cluster, level, bounds=None))


def _known(answers: Answers) -> tuple[Answers, FloatArray, FloatArray]:
    """Images with both numbers."""
    assert answers.said is not None and answers.true is not None  # noqa: S101, PT018  (asked of numbers only)
    keep = np.isfinite(answers.said) & np.isfinite(answers.true)
    return answers.take(keep), answers.said[keep], answers.true[keep]
