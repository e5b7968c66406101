"""Means of observations that belong to several clusterings at once: recipients and the donors of either arm.

One observation of the donor contrast is a recipient in one pass, and its value is a difference between two
arms. It shares its recipient with the other passes and its donors with other recipients. The variance of the
mean is that of Cameron, Gelbach & Miller, "Robust inference with multiway clustering", JBES 29 (2011)
238-249: with ``S`` running over the non-empty sets of clusterings and clusters of ``S`` = observations that
agree in all of ``S``,

    V = sum_S (-1)^(|S| + 1) V_S,    V_S = (G_S - 1) / G_S sum_g (sum_{i in g} (y_i - mean) / (N - n_g))²

where intersections are single observations this is ``V_R + V_A + V_B - 2 V_0``. Each ``V_S`` is the jackknife over its
clusters (Bell & McCaffrey, Survey Methodology 28 (2002) 169-181; with two clusterings MacKinnon, Nielsen & Webb,
arXiv:2406.08880): with clusters of one size the usual ``G / (G - 1)``, with clusters of unequal size free of the bias
that large clusters pull the mean towards themselves. The estimate can fall below a one-way variance, even below zero;
the largest one-way variance is its floor. Degrees of freedom come from the
clustering with the fewest clusters. With design weights w the mean is ``sum w y / sum w`` and ``(y_i - mean) / N``
becomes ``w_i (y_i - mean) / sum w``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from figureground.audit.judge.intervals import (
    FloatArray,
    IntArray,
    Interval,
    cluster_codes,
    count_clusters,
    degrees_of_freedom,
    effective_clusters,
    t_quantile,
    unanimous_bounds,
    unequal_weights,
)
from figureground.audit.judge.paired import PairedInterval
from figureground.errors import UsageError


@dataclass(frozen=True)
class MultiwayMeans:
    """Several means over the same recipients, for simultaneous inference.

    Attributes
    ----------
    intervals : tuple of Interval
        One per column, each at its own level; see :func:`multiway_mean`.
    influence : ndarray
        float64, ``[G, M]``: what each recipient cluster contributes, see :func:`cluster_influence`.
    """

    intervals: tuple[Interval, ...]
    influence: FloatArray = field(repr=False)


def multiway_mean(
    values: npt.ArrayLike,
    *codes: npt.ArrayLike,
    level: float = 0.95,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    weights: npt.ArrayLike | None = None,
) -> Interval:
    """Mean with an interval that allows for every clustering given.

    Parameters
    ----------
    values : array_like
        ``[N]``; for the donor contrast differences in {-1, 0, 1} or of probabilities. NaN is left out.
    *codes : array_like
        One or more clusterings, ``[N]`` each, any hashable names: recipient, donor in the arm, donor in the
        reference.
    level : float
        Confidence level.
    bounds : tuple of float, optional
        Smallest and largest possible value. Differences with a bound are mostly 0, and the interval is the score
        interval of :class:`~figureground.audit.judge.paired.PairedInterval`; where all observations agree the
        variance is zero, and :func:`~figureground.audit.judge.intervals.unanimous_bounds` over the fewest clusters
        takes its place. None, for values without bounds, gives the t interval.
    weights : array_like, optional
        Design weights of the recipients, ``[N]``, positive.

    Returns
    -------
    Interval
        ``n_clusters`` is the smallest number of clusters over the clusterings, ``df`` one less, or with weights the
        smallest :func:`~figureground.audit.judge.intervals.degrees_of_freedom`; with fewer than two clusters the
        bounds are NaN.

    Examples
    --------
    >>> multiway_mean([0.0, 1.0, 0.0, 1.0], ["a", "b", "c", "d"], [1, 1, 2, 2]).estimate
    0.5
    """
    observed, known = _observed(values, codes)
    weighed = unequal_weights(weights, values)
    groups = min(count_clusters(code) for code in known)
    df = min(degrees_of_freedom(code, weighed) for code in known)
    estimate = float(np.average(observed, weights=weighed)) if observed.size else math.nan
    if groups < 2:
        return Interval(estimate, math.nan, math.nan, level, observed.size, groups, math.nan, df)
    error = math.sqrt(multiway_variance(observed, *known, weights=weighed))
    plain = Interval(estimate, math.nan, math.nan, level, observed.size, groups, error, df)
    found = plain if bounds is None else PairedInterval.of(plain, observed, weighed)
    low, high = found.bounds_at(t_quantile(level, df))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    if error == 0 and bounds is not None:
        fewest = min(effective_clusters(code, weighed) for code in known)
        low, high = unanimous_bounds(estimate, fewest, level, *bounds)
    return replace(found, low=low, high=high)


def multiway_means(
    values: npt.ArrayLike,
    recipients: npt.ArrayLike,
    donors: Sequence[Sequence[npt.ArrayLike]],
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    weights: npt.ArrayLike | None = None,
) -> MultiwayMeans:
    """:func:`multiway_mean` of every column, and what is needed to cover all of them at once.

    Parameters
    ----------
    values : array_like
        ``[N, M]``, one column per hypothesis; NaN where an observation does not take part in it.
    recipients : array_like
        Clusters shared by all columns, ``[N]``.
    donors : sequence
        Per column the further clusterings, ``[N]`` each; empty for one-way clustering.
    level, bounds, weights
        As in :func:`multiway_mean`.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(donors):
        raise _shape_error("values", matrix.shape, f"[N, {len(donors)}], one column per entry of donors")
    columns = list(matrix.T)
    intervals = tuple(
        multiway_mean(column, recipients, *further, level=level, bounds=bounds, weights=weights)
        for column, further in zip(columns, donors, strict=True)
    )
    influence = [cluster_influence(column, recipients, weights) for column in columns]
    return MultiwayMeans(intervals, np.stack(influence, axis=1) if influence else np.empty((0, 0)))


def multiway_variance(values: npt.ArrayLike, *codes: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Variance of the mean by inclusion and exclusion, at least the largest one-way variance.

    NaN where a clustering has fewer than two clusters. Arguments as in :func:`multiway_mean`.
    """
    observed, known = _observed(values, codes)
    if min(count_clusters(code) for code in known) < 2:
        return math.nan
    weighed = unequal_weights(weights, values)
    influence = _influence(observed, weighed)
    one_way = [_one_way(influence, code, weighed) for code in known]
    total = sum(one_way)
    for size in range(2, len(known) + 1):
        for chosen in combinations(known, size):
            total += (-1) ** (size + 1) * _one_way(influence, _intersection(chosen), weighed)
    return max(total, *one_way) if len(one_way) > 1 else total


def cluster_influence(
    values: npt.ArrayLike, clusters: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> FloatArray:
    """What each cluster contributes to the mean's deviation: ``sum_{i in g} w_i (y_i - mean) / sum w``.

    Sums to zero; with clusters of one size the sum of squares times G / (G - 1) is the one-way variance, and the
    correlation between the influences of two means is the correlation of their estimates.

    Returns
    -------
    ndarray
        float64, ``[G]``, clusters in order of first appearance. NaN values contribute nothing but keep their
        cluster's place, so that columns over the same clusters line up.
    """
    found, codes = np.asarray(values, dtype=np.float64), cluster_codes(clusters)
    if found.shape != codes.shape:
        raise _shape_error("clusters", codes.shape, f"that of the values, {list(found.shape)}")
    known = ~np.isnan(found)
    influence = _influence(found[known], unequal_weights(weights, found))
    return np.bincount(codes[known], weights=influence, minlength=count_clusters(codes)).astype(np.float64)


def _influence(observed: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    if not observed.size:
        return observed
    if np.ptp(observed) == 0:  # the mean of equal numbers may be rounded; their deviation is exactly zero
        return np.zeros_like(observed)
    deviation = observed - np.average(observed, weights=weights)
    weighed = deviation if weights is None else weights * deviation
    return np.asarray(weighed / observed.size, dtype=np.float64)


def _one_way(influence: FloatArray, codes: IntArray, weights: FloatArray | None) -> float:
    """Jackknife variance: without cluster g the mean moves by its influence over the share of all others."""
    groups = count_clusters(codes)
    others = 1 - np.bincount(codes, weights=weights) / codes.size
    return (groups - 1) / groups * float(((np.bincount(codes, weights=influence) / others) ** 2).sum())


def _intersection(codes: Sequence[IntArray]) -> IntArray:
    """Clusters of observations that agree in all codes."""
    joint = codes[0]
    for code in codes[1:]:
        joint = cluster_codes(joint * (count_clusters(code) + 1) + code)
    return joint


def _observed(values: npt.ArrayLike, codes: Sequence[npt.ArrayLike]) -> tuple[FloatArray, list[IntArray]]:
    found, named = np.asarray(values, dtype=np.float64), [np.asarray(code) for code in codes]
    if not named:
        raise _shape_error("codes", (0,), "at least one clustering")
    for code in named:
        if code.shape != found.shape or found.ndim != 1:
            raise _shape_error("codes", code.shape, f"that of the values, {list(found.shape)}, with one axis")
    known = ~np.isnan(found)
    return found[known], [cluster_codes(code[known]) for code in named]


def _shape_error(where: str, found: tuple[int, ...], expected: str) -> UsageError:
    return UsageError(
        "STATISTIC_INPUT",
        where,
        found=f"shape {list(found)}",
        expected=expected,
        fix="give one value and one name per clustering for every observation",
    )
