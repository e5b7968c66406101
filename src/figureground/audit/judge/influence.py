"""Intervals from influence values: what each row contributes to the deviation of an estimate.

A smooth function of means (balanced accuracy, an area under a curve, a difference of strata) deviates from its true
value by about the sum of its rows' influences, so the variance follows from sums within clusters. The values are those
of the infinitesimal jackknife (Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982, ch. 6): the
derivative of the estimate by the weight of a row, over the number of rows. They sum to zero.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from figureground.audit.judge.intervals import FloatArray, Interval, cluster_codes, t_bounds, unanimous_bounds

#: A variance below this is rounding error.
_NOTHING = 1e-24


def linearised(
    estimate: float,
    influence: npt.ArrayLike,
    clusters: npt.ArrayLike,
    level: float = 0.95,
    *,
    strata: npt.ArrayLike | None = None,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Interval:
    """t interval of an estimate from the influences of its rows, summed within clusters.

    ``V = sum_g (sum_{i in g} sqrt(m / (m - 1)) influence_i)²``, where m counts the clusters of the row's stratum. With
    independent strata this is the variance of Welch's test, and ``df = V² / sum_s V_s² / (m_s - 1)`` is
    Satterthwaite's (Biometrics Bulletin 2 (1946) 110-114), at most the number of clusters minus 1.

    Parameters
    ----------
    estimate : float
    influence : array_like
        ``[N]``, in the unit of the estimate.
    clusters : array_like
        ``[N]``.
    level : float
        Confidence level.
    strata : array_like, optional
        ``[N]``: parts whose means enter by themselves, such as labels; one part where not given.
    bounds : tuple of float, optional
        Smallest and largest possible value. For (0, 1) the interval is t on the logit of the estimate, by the delta
        method. Where no row has any influence, :func:`~figureground.audit.judge.intervals.unanimous_bounds` of the
        stratum with the fewest clusters takes its place.

    Returns
    -------
    Interval
        Bounds are NaN where a stratum has fewer than two clusters.
    """
    values, codes = np.asarray(influence, dtype=np.float64), cluster_codes(clusters)
    parts = np.zeros(len(codes), dtype=np.int64) if strata is None else cluster_codes(strata)
    groups = len(np.unique(codes))
    sizes = np.array([len(np.unique(codes[parts == part])) for part in np.unique(parts)], dtype=np.float64)
    if not len(values) or math.isnan(estimate) or sizes.min() < 2:
        return Interval(estimate, math.nan, math.nan, level, len(values), groups, math.nan, 0.0)
    spread = values * np.sqrt(sizes / (sizes - 1))[parts]
    variance = float(np.square(np.bincount(codes, weights=spread)).sum())
    if variance < _NOTHING:
        fewest = int(sizes.min())
        low, high = (estimate,) * 2 if bounds is None else unanimous_bounds(estimate, fewest, level, *bounds)
        return Interval(estimate, low, high, level, len(values), groups, 0.0, float(sizes.min() - 1))
    df = _degrees(variance, spread, codes, parts, sizes, groups)
    low, high = _bounds(estimate, math.sqrt(variance), df, level, bounds)
    return Interval(estimate, low, high, level, len(values), groups, math.sqrt(variance), df)


def mean_influence(values: npt.ArrayLike, weights: FloatArray | None = None) -> FloatArray:
    """Influence of every row on the mean of ``[N]`` rows, ``w_i (y_i - mean) / sum w`` with design weights w."""
    rows = np.asarray(values, dtype=np.float64)
    if weights is None:
        return np.asarray((rows - rows.mean()) / len(rows))
    return np.asarray(weights * (rows - np.average(rows, weights=weights)) / weights.sum())


def welch_p(interval: Interval) -> float | None:
    """Two-sided p of "the estimate is 0"; None without an interval or without any spread."""
    if not interval.standard_error > 0 or interval.df <= 0:
        return None
    return float(2 * stats.t.sf(abs(interval.estimate) / interval.standard_error, interval.df))


def _degrees(
    variance: float,
    spread: FloatArray,
    codes: npt.NDArray[np.int64],
    parts: npt.NDArray[np.int64],
    sizes: FloatArray,
    groups: int,
) -> float:
    of_parts = [
        float(np.square(np.bincount(codes[parts == part], weights=spread[parts == part])).sum())
        for part in range(len(sizes))
    ]
    total = sum(share**2 / (size - 1) for share, size in zip(of_parts, sizes, strict=True))
    # Parts that pull against each other can push the quotient below 1, where t has no use.
    return float(max(1.0, min(variance**2 / total, groups - 1))) if total > 0 else float(groups - 1)


def _bounds(
    estimate: float, error: float, df: float, level: float, bounds: tuple[float, float] | None
) -> tuple[float, float]:
    if bounds == (0.0, 1.0) and 0 < estimate < 1:
        half = float(stats.t.ppf((1 + level) / 2, df)) * error / (estimate * (1 - estimate))
        centre = float(special.logit(estimate))
        return float(special.expit(centre - half)), float(special.expit(centre + half))
    low, high = t_bounds(estimate, error, df, level)
    return (low, high) if bounds is None else (max(low, bounds[0]), min(high, bounds[1]))
