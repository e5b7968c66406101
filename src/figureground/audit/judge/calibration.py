"""Calibration error, never without what a calibrated model would show at this n.

The expected calibration error is biased upwards: with 15 bins a perfectly calibrated model shows about 0.19 at n = 20
and 0.05 at n = 300. So the bins are few, and the error stands beside its own null distribution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from figureground.audit.judge.influence import linearised
from figureground.audit.judge.intervals import FloatArray, IntArray, Interval, cluster_codes, count_clusters

MAX_BINS, UNITS_PER_BIN, DRAWS = 15, 20, 999
#: Draws are made in blocks of about this many numbers, to bound the memory.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Calibration:
    """A calibration error with its null.

    Attributes
    ----------
    error : Interval
        In [0, 1]. Its lower bound is 0 wherever the null is not rejected.
    null : Interval
        What a calibrated model would show: mean and central interval of the null distribution.
    p : float
        Share of the null distribution that reaches the error.
    bins : int
    """

    error: Interval
    null: Interval
    p: float
    bins: int


def calibrate(
    confidence: FloatArray,
    outcome: FloatArray,
    clusters: npt.ArrayLike,
    level: float = 0.95,
    seed: int = 0,
    weights: FloatArray | None = None,
) -> Calibration:
    """Expected calibration error over equal-mass bins, at most one for every 20 clusters, with its null.

    ``ECE = sum_b |sum_{i in b} (y_i - c_i)| / n`` (Naeini, Cooper & Hauskrecht, AAAI 2015), at most 15 bins. The null
    is a parametric bootstrap, y ~ Bernoulli(c), where every row is its own cluster; where clusters repeat, their
    summed residuals get random signs instead, so that images which err together do not pass for a miscalibration.

    Parameters
    ----------
    confidence : ndarray
        Stated probabilities, float64 ``[N]`` in [0, 1], finite.
    outcome : ndarray
        0 or 1, ``[N]``: whether what they state came true.
    clusters : array_like
        ``[N]``.
    level : float
        Of both intervals.
    seed : int
        The same seed gives the same null.
    weights : ndarray, optional
        Design weights ``[N]``, by which residuals count; bins hold equal numbers of rows.
    """
    order = np.argsort(confidence, kind="stable")
    stated, came, codes = confidence[order], outcome[order], cluster_codes(np.asarray(clusters)[order])
    starts = bin_edges(len(stated), codes)[:-1]
    bins = len(starts)
    share = np.full(len(stated), 1 / len(stated)) if weights is None else weights[order] / weights.sum()
    gaps = np.add.reduceat(share * (came - stated), starts)
    error = float(np.abs(gaps).sum())
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCA]))
    null = _null(stated, came, share, codes, starts, rng)
    p = float((1 + (null >= error - 1e-12).sum()) / (1 + len(null)))
    sizes = np.diff([*starts, len(stated)])
    influence = share * (np.repeat(np.sign(gaps), sizes) * (came - stated) - error)
    interval = linearised(error, influence, codes, level)
    if p > 1 - level:
        interval = replace(interval, low=0.0)
    tails = np.quantile(null, [(1 - level) / 2, (1 + level) / 2])
    expected = replace(interval, estimate=float(null.mean()), low=float(tails[0]), high=float(tails[1]))
    return Calibration(interval, replace(expected, standard_error=float("nan")), p, bins)


def bin_edges(n: int, clusters: IntArray) -> IntArray:
    """Where the bins of n sorted rows begin, and the end of the last: at most 15, one for every 20 clusters.

    >>> bin_edges(100, np.arange(100)).tolist()
    [0, 20, 40, 60, 80, 100]
    """
    bins = int(np.clip(count_clusters(clusters) // UNITS_PER_BIN, 1, MAX_BINS))
    return np.linspace(0, n, bins + 1).astype(np.int64)


def _null(
    stated: FloatArray, came: FloatArray, share: FloatArray, codes: IntArray, starts: IntArray, rng: np.random.Generator
) -> FloatArray:
    if count_clusters(codes) < len(codes):
        return _signed(share * (came - stated), codes, starts, rng)
    expected = np.add.reduceat(share * stated, starts)
    block = max(1, _BLOCK // len(stated))
    found = []
    for start in range(0, DRAWS, block):
        drawn = rng.random((min(block, DRAWS - start), len(stated))) < stated
        found.append(np.abs(np.add.reduceat(drawn * share, starts, axis=1) - expected).sum(axis=1))
    return np.concatenate(found)


def _signed(residuals: FloatArray, codes: IntArray, starts: IntArray, rng: np.random.Generator) -> FloatArray:
    groups, bins = count_clusters(codes), len(starts)
    at = np.searchsorted(starts, np.arange(len(codes)), side="right") - 1
    sums = np.bincount(codes * bins + at, weights=residuals, minlength=groups * bins).reshape(groups, bins)
    signs = rng.integers(0, 2, (DRAWS, groups)) * 2.0 - 1.0
    return np.asarray(np.abs(signs @ sums).sum(axis=1))
