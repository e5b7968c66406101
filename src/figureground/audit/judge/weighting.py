"""Design weights: what a sample drawn with unequal probabilities says about all that it was drawn from.

A weight is the inverse of the probability with which its observation was drawn, so each drawn one stands for that
many. Means are Hájek's ratio ``sum w y / sum w``, variances those of its linearisation, with whole clusters as
the independent units (Särndal, Swensson & Wretman, *Model Assisted Survey Sampling*, 1992, sections 5.7 and 5.8).
Strata and the finite population are left out of the variance: both could only narrow an interval.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from figureground.errors import UsageError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Weights that differ by no more than this share of their mean are equal.
_SAME = 1e-12


def design_weights(weights: npt.ArrayLike | None, known: npt.NDArray[np.bool_]) -> FloatArray | None:
    """Weights of the known observations with mean 1, float64 ``[n]``; None where all are equal or none were given.

    Equal weights are no weights, so that a census and an equal-probability sample give the same numbers to the last
    digit.

    Parameters
    ----------
    weights : array_like or None
        Inverse inclusion probabilities, ``[N]``, in any unit; positive and finite where known.
    known : ndarray
        bool ``[N]``: observations that have a value.

    Raises
    ------
    UsageError
        ``STATISTIC_INPUT`` for another shape, or a weight that is not positive and finite.

    Examples
    --------
    >>> import numpy as np
    >>> design_weights([2.0, 6.0, 1.0], np.array([True, True, False]))
    array([0.5, 1.5])
    """
    if weights is None:
        return None
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != known.shape:
        raise _weight_error(f"shape {list(found.shape)}", f"one per value: {list(known.shape)}")
    found = found[known]
    if not np.all(np.isfinite(found) & (found > 0)):
        raise _weight_error("a weight that is not positive and finite", "inverse probabilities of having been drawn")
    if not found.size or np.ptp(found) <= _SAME * found.mean():
        return None
    return np.asarray(found / found.mean(), dtype=np.float64)


def weighted_clusters(observed: FloatArray, codes: IntArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean and mean weight of each cluster, float64 ``[G]`` each, in order of their codes."""
    totals = np.bincount(codes, weights=weights)
    means = np.bincount(codes, weights=weights * observed) / totals
    return np.asarray(means, dtype=np.float64), np.asarray(totals / np.bincount(codes), dtype=np.float64)


def satterthwaite_df(sizes: npt.ArrayLike) -> float:
    """Degrees of freedom of a cluster-robust variance of a mean whose clusters count by ``sizes``.

    The variance is ``sum_g a_g² (m_g - sum_h a_h m_h)²`` with ``a = sizes / sum(sizes)``: a quadratic form with matrix
    Q in independent cluster means m of equal variance, with ``df = tr(Q)² / tr(Q²)`` (Satterthwaite, Biometrics
    Bulletin 2 (1946) 110-114; for cluster-robust variances Bell & McCaffrey, Survey Methodology 28 (2002) 169-181).
    Equal sizes give G - 1; one cluster that outweighs all others gives about 1.

    Examples
    --------
    >>> round(satterthwaite_df([2.0] * 10), 6), round(satterthwaite_df([1.0] * 9 + [30.0]), 1)
    (9.0, 1.3)
    """
    a = np.asarray(sizes, dtype=np.float64)
    if a.size < 2:
        return 0.0
    a = a / a.sum()
    # tr(Q) and tr(Q²) of Q = (I - a 1') diag(a²) (I - 1 a'), multiplied out: no G x G matrix is needed.
    second, third, fourth = ((a**power).sum() for power in (2, 3, 4))
    trace = second - 2 * third + second**2
    fifth = (a**5).sum()
    square = fourth + 2 * third**2 + 4 * second * fourth + second**4 - 4 * fifth - 4 * second**2 * third
    return float(trace**2 / square)


def effective_size(sizes: npt.ArrayLike) -> float:
    """Number of equal clusters that fix a mean as well as these do: ``(sum a)² / sum a²`` (Kish, 1965).

    Examples
    --------
    >>> effective_size([1.0, 1.0, 2.0])
    2.6666666666666665
    """
    a = np.asarray(sizes, dtype=np.float64)
    return float(a.sum() ** 2 / (a**2).sum()) if a.size else 0.0


def _weight_error(found: str, expected: str) -> UsageError:
    return UsageError(
        "STATISTIC_INPUT",
        "weights",
        found=found,
        expected=expected,
        fix="give the inverse probability with which each observation was drawn, or None",
    )
