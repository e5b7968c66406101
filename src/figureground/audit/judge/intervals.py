"""Confidence intervals for means and proportions of clustered observations, and what an n could have shown.

The unit is the independent cluster (patient, animal, burst), not the image: four images per patient with an
intraclass correlation of 0.5 leave a nominal 95 % interval with about 75 % coverage if the clusters are
ignored. Everything here is deterministic.

NaN values are left out together with their clusters' codes, and ``n`` counts what entered. With fewer than
two clusters there is an estimate but no interval: its bounds and standard error are NaN.

Where whole clusters were drawn at different rates, ``weights`` (inverse rates, one per observation) make the mean
that of the population (Hájek's ratio estimator) and the variance its linearisation, which treats the clusters as
drawn with replacement: no narrower than a stratified draw deserves. Only their ratios matter; weights that are all
the same change nothing, to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from figureground.errors import UsageError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Cluster means that differ by no more than this are the same number, rounded differently.
_SAME = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; NaN where there is none.
    level : float
        Confidence level in (0, 1), for example 0.95.
    n : int
        Observations that entered.
    n_clusters : int
        Independent units among them.
    standard_error : float
        Of the estimate, in its unit; 0 where all clusters agree.
    df : float
        Degrees of freedom of the t quantile; infinite where the normal one was used.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    n_clusters: int
    standard_error: float
    df: float

    def statistic(self, value: float = 0.0) -> float:
        """Standard errors from ``value`` to the estimate; infinite where there is no variance and they differ."""
        if self.standard_error > 0:
            return (self.estimate - value) / self.standard_error
        return 0.0 if self.estimate == value else math.copysign(math.inf, self.estimate - value)

    def bounds_at(self, critical: float) -> tuple[float, float]:
        """All values whose :meth:`statistic` stays within ``critical``."""
        half = critical * self.standard_error
        return self.estimate - half, self.estimate + half


def wilson(k: float, n: int, level: float = 0.95, design_effect: float = 1.0, *, df: float = math.inf) -> Interval:
    """Score interval for a proportion (Wilson, JASA 1927), with the sample deflated by the design effect.

    ``n_eff = n / DEFF``; the bounds are ``(p + z²/2n_eff ± z sqrt(p(1-p)/n_eff + z²/4n_eff²)) / (1 +
    z²/n_eff)``. They stay in [0, 1] and are not empty at p = 0 or 1.

    Parameters
    ----------
    k, n : int
        Successes and trials.
    level : float
        Confidence level.
    design_effect : float
        At least 1, see :func:`design_effect`; NaN gives NaN bounds.
    df : float
        Degrees of freedom of the quantile z; clusters - 1 where the design effect was estimated from few
        clusters.

    Examples
    --------
    >>> interval = wilson(45, 50)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.786, 0.957)
    """
    if not 0 <= k <= n or design_effect < 1:
        found = f"k = {k}, n = {n}, design effect {design_effect}"
        raise _value_error("wilson", found, "0 <= k <= n and a design effect of at least 1")
    if n == 0 or math.isnan(design_effect) or df < 1:
        return _without_bounds(float(k) / n if n else math.nan, level, n, n)
    p, size, z = float(k) / n, n / design_effect, t_quantile(level, df)
    centre = (p + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(p * (1 - p) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    standard_error = math.sqrt(p * (1 - p) / size)
    # At p = 0 and 1 the bound is p itself; rounding must not leave it 1e-17 beside.
    low, high = (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)
    return Interval(p, low, high, level, n, n, standard_error, df)


def clustered_wilson(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    level: float = 0.95,
    *,
    weights: npt.ArrayLike | None = None,
) -> Interval:
    """Wilson interval of a proportion whose observations come in clusters.

    :func:`wilson` with the estimated :func:`design_effect` and the t quantile of ``clusters - 1``, because a
    design effect from a handful of clusters is itself uncertain.

    Parameters
    ----------
    values : array_like
        0 or 1 (or bool), ``[N]``; NaN is left out.
    clusters : array_like
        Cluster of each observation, ``[N]``.
    level : float
        Confidence level.
    weights : array_like, optional
        Design weights, ``[N]``, positive; the proportion is the weighted one.
    """
    observed, codes = drop_missing(values, clusters)
    weighed = unequal_weights(weights, values)
    groups, df = count_clusters(codes), degrees_of_freedom(codes, weighed)
    # A weighted sum of ones is rounded; as many successes as trials must stay exactly that.
    counted = float(observed.sum())
    if weighed is not None and 0 < counted < observed.size:
        counted = float(np.dot(weighed, observed))
    effect = design_effect(observed, codes, weights=weighed)
    found = wilson(counted, observed.size, level, effect, df=df)
    return replace(found, n_clusters=groups, df=df)


def design_effect(values: npt.ArrayLike, clusters: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Variance of a proportion with clusters over its variance with independent observations, DEFF.

    ``DEFF = [G / (G - 1) sum_g (sum_{i in g} (y_i - p))² / n²] / [p (1 - p) / n]``: the linearised (ratio)
    estimator (Kish, *Survey Sampling*, 1965). Floored at 1, since an estimate below 1 is noise more often
    than stratification. Where all observations agree nothing can be estimated, and the largest possible value
    is taken: that of clusters which always agree, ``sum_g m_g² / n``. With weights w the sums run over
    ``w_i (y_i - p)`` and ``w_i``, scaled to mean 1: the effect of clustering and weighting together.

    Parameters
    ----------
    values : array_like
        0 or 1, ``[N]``; NaN is left out.
    clusters : array_like
        ``[N]``.
    weights : array_like, optional
        ``[N]``, positive.

    Returns
    -------
    float
        At least 1; NaN with fewer than two clusters.
    """
    observed, codes = drop_missing(values, clusters)
    groups = count_clusters(codes)
    if groups < 2:
        return math.nan
    weighed, n = unequal_weights(weights, values), observed.size
    if np.ptp(observed) == 0:
        return float((np.bincount(codes, weights=weighed).astype(np.float64) ** 2).sum() / n)
    p = float(np.average(observed, weights=weighed))
    deviation = observed - p if weighed is None else weighed * (observed - p)
    clustered = groups / (groups - 1) * float((np.bincount(codes, weights=deviation) ** 2).sum()) / n**2
    return max(1.0, clustered / (p * (1 - p) / n))


def cluster_means(values: npt.ArrayLike, clusters: npt.ArrayLike) -> FloatArray:
    """Mean of each cluster, float64 ``[G]``, in order of first appearance; NaN values are left out.

    Within a cluster all observations count the same: whole clusters are drawn.

    Examples
    --------
    >>> cluster_means([1.0, 3.0, 10.0, float("nan")], ["a", "a", "b", "c"])
    array([ 2., 10.])
    """
    observed, codes = drop_missing(values, clusters)
    if not observed.size:
        return np.empty(0)
    return np.asarray(np.bincount(codes, weights=observed) / np.bincount(codes), dtype=np.float64)


def mean_t(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    level: float = 0.95,
    *,
    bounds: tuple[float, float] | None = None,
    weights: npt.ArrayLike | None = None,
) -> Interval:
    """Student's t interval for the mean of the cluster means: every cluster counts the same, or by its weight.

    Parameters
    ----------
    values : array_like
        ``[N]``, any unit; NaN is left out.
    clusters : array_like
        ``[N]``.
    level : float
        Confidence level.
    bounds : tuple of float, optional
        Smallest and largest value that is possible at all, for example (-1, 1) for differences of decisions.
        Where all clusters agree, t gives an interval without width, which would "show" equivalence from a
        handful of clusters; with bounds :func:`unanimous_bounds` takes its place. The interval ends at the bounds.
    weights : array_like, optional
        Design weights, ``[N]``, positive; a cluster's is the mean over its observations. With means m and weights
        w the estimate is ``sum w m / sum w``, its variance ``G / (G - 1) sum (w (m - estimate))² / (sum w)²``.
    """
    means, (observed, codes) = cluster_means(values, clusters), drop_missing(values, clusters)
    n, groups, weighed = observed.size, means.size, unequal_weights(weights, values)
    by_cluster = None if weighed is None else cluster_means(weighed, codes)
    estimate = float(np.average(means, weights=by_cluster)) if groups else math.nan
    if groups < 2:
        return _without_bounds(estimate, level, n, groups)
    df, error = degrees_of_freedom(codes, weighed), _standard_error(means, by_cluster)
    low, high = t_bounds(estimate, error, df, level)
    if error == 0 and bounds is not None:
        low, high = unanimous_bounds(estimate, effective_clusters(codes, weighed), level, *bounds)
    if bounds is not None:  # what is not possible is in no interval
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(estimate, low, high, level, n, groups, error, df)


def logit_t(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    level: float = 0.95,
    *,
    weights: npt.ArrayLike | None = None,
) -> Interval:
    """Interval for the mean of values in [0, 1]: t on the logit of the mean of the cluster means.

    With m the mean and s its standard error, ``expit(logit(m) ± t s / (m (1 - m)))`` (delta method). Stays in
    [0, 1] and keeps its coverage with as few as eight clusters, where percentile bootstrap falls to 88 %.
    Where all clusters agree (at 0, at 1 or between) the variance is zero and :func:`unanimous_bounds` takes
    its place.

    Parameters
    ----------
    values : array_like
        In [0, 1], ``[N]``; NaN is left out.
    clusters : array_like
        ``[N]``.
    level : float
        Confidence level.
    weights : array_like, optional
        As in :func:`mean_t`.
    """
    plain = mean_t(values, clusters, level, bounds=(0.0, 1.0), weights=weights)
    observed = drop_missing(values, clusters)[0]
    if observed.size and not (observed.min() >= 0 and observed.max() <= 1):
        raise _value_error("logit_t", f"values from {observed.min()} to {observed.max()}", "values in [0, 1]")
    if not plain.standard_error > 0:
        return plain
    m = plain.estimate
    half = t_quantile(level, plain.df) * plain.standard_error / (m * (1 - m))
    low, high = (float(special.expit(special.logit(m) + side * half)) for side in (-1, 1))
    return Interval(m, low, high, level, plain.n, plain.n_clusters, plain.standard_error, plain.df)


def unanimous_bounds(
    value: float, n_clusters: float, level: float, lowest: float, highest: float
) -> tuple[float, float]:
    """Bounds for a mean when all G clusters gave the same value: the rule of three for any value.

    If more than ``q = 1 - ((1 - level) / 2)^(1 / G)`` of the population differed, G clusters would have
    agreed with probability below ``(1 - level) / 2``. So at most a share q lies elsewhere, at worst at
    ``lowest`` or ``highest``.

    Examples
    --------
    >>> low, high = unanimous_bounds(0.0, 20, 0.90, 0.0, 1.0)
    >>> low, round(high, 3)
    (0.0, 0.139)
    """
    elsewhere = 1 - ((1 - level) / 2) ** (1 / n_clusters)
    return value + elsewhere * (lowest - value), value + elsewhere * (highest - value)


def min_detectable(standard_error: float, df: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true effect that a two-sided t test at alpha finds with the given power.

    ``(t_{1 - alpha / 2} + t_{power}) SE``, in the unit of the standard error: 2.80 SE for many clusters at
    the defaults, 2.95 SE for 20.

    Examples
    --------
    >>> round(min_detectable(0.01, 1e6), 4)
    0.028
    """
    if df < 1:
        return math.nan
    quantile = float(stats.t.ppf(1 - alpha / 2, df)) + float(stats.t.ppf(power, df))
    return quantile * standard_error


def t_bounds(estimate: float, standard_error: float, df: float, level: float) -> tuple[float, float]:
    """``estimate ± t SE``; NaN with less than one degree of freedom."""
    if df < 1:
        return math.nan, math.nan
    half = t_quantile(level, df) * standard_error
    return estimate - half, estimate + half


def t_quantile(level: float, df: float) -> float:
    """Two-sided quantile of Student's t at a confidence level."""
    return float(stats.t.ppf((1 + level) / 2, df))


def unequal_weights(weights: npt.ArrayLike | None, values: npt.ArrayLike) -> FloatArray | None:
    """Weights of the values that are not NaN, float64 ``[n]`` with mean 1; None where all weigh the same.

    Parameters
    ----------
    weights : array_like or None
        Positive and finite, one per value, or one per value that is not NaN.
    values : array_like
        ``[N]``.
    """
    if weights is None:
        return None
    known = ~np.isnan(np.asarray(values, dtype=np.float64))
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != known.shape:
        raise _value_error("weights", f"shape {list(given.shape)}", f"one per value: {list(known.shape)}")
    kept = given[known]
    if not ((kept > 0) & np.isfinite(kept)).all():
        raise _value_error("weights", "a weight that is not positive or not finite", "inverse rates of a draw")
    return None if not kept.size or np.ptp(kept) == 0 else kept / kept.mean()


def degrees_of_freedom(codes: IntArray, weights: FloatArray | None) -> float:
    """Of a variance over G clusters: G - 1, or with weights ``(sum W²)² / sum W⁴ - 1``, W a cluster's mean weight.

    Satterthwaite's approximation (Biometrics Bulletin 2 (1946) 110-114) for independent clusters of equal variance:
    a few heavy clusters carry the estimate, and its error is known no better than theirs. At least 1 with two
    clusters or more.
    """
    groups = count_clusters(codes)
    if weights is None or groups < 2:
        return float(max(groups - 1, 0))
    squared = cluster_means(weights, codes) ** 2
    return max(1.0, float(squared.sum() ** 2 / (squared**2).sum()) - 1)


def effective_clusters(codes: IntArray, weights: FloatArray | None) -> float:
    """Equally weighted clusters that would give the same variance, ``(sum W)² / sum W²`` (Kish 1965)."""
    if weights is None:
        return float(count_clusters(codes))
    by_cluster = cluster_means(weights, codes)
    return float(by_cluster.sum() ** 2 / (by_cluster**2).sum())


def drop_missing(values: npt.ArrayLike, clusters: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """Values without NaN, float64 ``[n]``, and the codes of their clusters, int64 ``[n]``."""
    observed, codes = np.asarray(values, dtype=np.float64), cluster_codes(clusters)
    if observed.shape != codes.shape:
        raise _value_error("clusters", f"shape {list(codes.shape)}", f"one per value: {list(observed.shape)}")
    known = ~np.isnan(observed)
    return observed[known], cluster_codes(codes[known])


def cluster_codes(clusters: npt.ArrayLike) -> IntArray:
    """Clusters numbered from 0 in order of first appearance, int64 ``[N]``; refuses missing names."""
    codes, _ = pd.factorize(np.asarray(clusters))
    if codes.size and codes.min() < 0:
        raise _value_error("clusters", "an empty cluster name", "a cluster for every observation")
    return np.asarray(codes, dtype=np.int64)


def count_clusters(codes: IntArray) -> int:
    """Number of different codes that :func:`cluster_codes` gave."""
    return int(codes.max()) + 1 if codes.size else 0


def _standard_error(means: FloatArray, weights: FloatArray | None = None) -> float:
    if np.ptp(means) <= _SAME * max(1.0, float(np.abs(means).max())):
        return 0.0
    if weights is None:
        return float(means.std(ddof=1)) / math.sqrt(means.size)
    parts = weights * (means - np.average(means, weights=weights)) / weights.sum()
    return math.sqrt(means.size / (means.size - 1) * float((parts**2).sum()))


def _without_bounds(estimate: float, level: float, n: int, groups: int) -> Interval:
    return Interval(estimate, math.nan, math.nan, level, n, groups, math.nan, float(max(groups - 1, 0)))


def _value_error(where: str, found: str, expected: str) -> UsageError:
    return UsageError(
        "STATISTIC_INPUT", where, found=found, expected=expected, fix="pass the observations of one estimate"
    )
