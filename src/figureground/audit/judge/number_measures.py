"""How far off a model is whose answer is a number: rows of the ``subgroups`` table.

With ``said`` the model's number and ``true`` the label's, both in the unit of the target (column ``measure``):

- ``mean_absolute_error``: mean of ``|said - true|``.
- ``bias``: mean of ``said - true``; positive where the model says too much.
- ``rank_correlation``: Spearman's, of ``said`` and ``true``, in [-1, 1].
- ``auroc``: of the number, between the sides of its cut, in [0, 1].

All of them weigh each image by its design weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from figureground.audit.judge.answers import Answers
from figureground.audit.judge.influence import linearised, mean_influence
from figureground.audit.judge.intervals import FloatArray
from figureground.audit.judge.measured import Measured, none_of
from figureground.audit.judge.roc import auroc_influence, placement

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
    estimate, influence = spearman_influence(said, true, known.weight)
    return Measured(linearised(estimate, influence, known.cluster, level, bounds=(-1.0, 1.0)))


def area(answers: Answers, level: float) -> Measured:
    """Area under the ROC curve of the number, for the upper side of the cut."""
    known, said, _ = _known(answers)
    if len(np.unique(known.label)) < 2:
        return none_of(known, level, "one_label")
    estimate, influence = auroc_influence(said, known.label == 1, known.weight)
    return Measured(linearised(estimate, influence, known.cluster, level, strata=known.label))


ERRORS: dict[str, Callable[[Answers, float], Measured]] = {
    "mean_absolute_error": mean_absolute_error,
    "bias": bias,
    "rank_correlation": rank_correlation,
}


def spearman_influence(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> tuple[float, FloatArray]:
    """Spearman's rank correlation, in [-1, 1], and the influence of each row ``[N]``.

    The correlation of mid-ranks (Kendall & Gibbons, Rank Correlation Methods, 5th ed. 1990, chapter 3) is a function
    of three means of products of distribution functions. Every row moves each of them in its own place and through
    the ranks of all others; the influence is the sum of both, by the chain rule. Needs two different values in each.
    Rows count by their design weights ``[N]`` where these are given.

    Examples
    --------
    >>> round(spearman_influence(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))[0], 3)
    0.5
    """
    share = np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum()
    # The distribution functions at each row, halfway between their left and right limits: they have mean 1/2.
    u, v = placement(x, x, share), placement(y, y, share)
    both, of_u, of_v = (float((share * a * b).sum()) - 0.25 for a, b in ((u, v), (u, u), (v, v)))
    moves = u * v + _above(x, share * v) + _above(y, share * u)
    moves_u, moves_v = u * u + 2 * _above(x, share * u), v * v + 2 * _above(y, share * v)
    scale = float(np.sqrt(of_u * of_v))
    rho = both / scale
    change, change_u, change_v = (share * (one - float((share * one).sum())) for one in (moves, moves_u, moves_v))
    return rho, np.asarray(change / scale - rho / 2 * (change_u / of_u + change_v / of_v))


def _above(values: FloatArray, mass: FloatArray) -> FloatArray:
    """For each row the mass of the rows with a larger value, half of the ties."""
    return np.asarray(mass.sum() * (1 - placement(values, values, mass)))


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
