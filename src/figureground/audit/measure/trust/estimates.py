"""Correlations and means with intervals, for a few dozen images. numpy and scipy only.

The unit is the image: the checks know no clusters, so on repeated patients the intervals are too narrow. They
decide whether a map can be trusted at all and never enter a verdict as a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]

#: Confidence level of every interval in this package.
LEVEL = 0.95


@dataclass(frozen=True)
class Estimated:
    """A number with its interval; NaN where there is none. ``n`` counts images."""

    value: float
    low: float
    high: float
    n: int


def rank_correlations(left: npt.ArrayLike, right: npt.ArrayLike) -> FloatArray:
    """Spearman's correlation of each pair of maps, ties by average rank; float64 ``[N]``, NaN for constant maps.

    Parameters
    ----------
    left, right : array_like
        ``[N, ...]`` of the same shape; a pair with a value that is not finite gives NaN.

    Examples
    --------
    >>> rank_correlations([[1, 2, 3], [1, 1, 1]], [[2, 4, 9], [1, 2, 3]])
    array([ 1., nan])
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (left, right))
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    finite = np.asarray(np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1))
    ranks = [stats.rankdata(np.where(finite[:, None], values, 0.0), axis=1) for values in (a, b)]
    x, y = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    found = np.full(len(a), np.nan)
    np.divide((x * y).sum(axis=1), scale, out=found, where=finite & (scale > 0))
    return np.asarray(np.clip(found, -1.0, 1.0), dtype=np.float64)


def mean_of(values: npt.ArrayLike) -> Estimated:
    """Mean with Student's t interval; NaN values are left out, fewer than two leave no interval."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    if not found.size:
        return Estimated(math.nan, math.nan, math.nan, 0)
    centre = float(found.mean())
    if found.size < 2:
        return Estimated(centre, math.nan, math.nan, 1)
    half = float(stats.t.ppf((1 + LEVEL) / 2, found.size - 1) * found.std(ddof=1) / math.sqrt(found.size))
    return Estimated(centre, centre - half, centre + half, found.size)


def crossed_mean(values: npt.ArrayLike) -> Estimated:
    """Mean over images and re-initialisations, with an interval for the draw of both.

    The variance of the mean of a crossed two-way table without replication is ``v_rows / n + v_columns / k -
    v_residual / (n k)`` with the variances of the row means, of the column means and of the residuals (the
    analysis of variance of two random effects; Searle, Casella & McCulloch, *Variance Components*, 1992). The
    quantile is Student's with the degrees of freedom of the smaller side. Treating images as the only draw
    would call five networks certain.

    Parameters
    ----------
    values : array_like
        ``[n, k]``, images by re-initialisations. Columns without a finite value in at least half of the images
        are left out, then images with a missing value; ``n`` counts the images that are left.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, np.isfinite(table).mean(axis=0) >= 0.5] if table.size else table.reshape(0, 0)
    table = table[np.isfinite(table).all(axis=1)]
    rows, columns = table.shape
    if not table.size:
        return Estimated(math.nan, math.nan, math.nan, 0)
    centre = float(table.mean())
    if rows < 2 or columns < 2:
        return Estimated(centre, math.nan, math.nan, rows)
    by_row, by_column = table.mean(axis=1), table.mean(axis=0)
    residual = table - by_row[:, None] - by_column + centre
    noise = float((residual**2).sum()) / ((rows - 1) * (columns - 1))
    spread = by_row.var(ddof=1) / rows + by_column.var(ddof=1) / columns - noise / (rows * columns)
    half = float(stats.t.ppf((1 + LEVEL) / 2, min(rows, columns) - 1)) * math.sqrt(max(float(spread), 0.0))
    return Estimated(centre, centre - half, centre + half, rows)


def correlation_of(left: npt.ArrayLike, right: npt.ArrayLike) -> Estimated:
    """Spearman's correlation over images with the interval of Fisher's z and the variance of Bonett & Wright.

    ``atanh(r) ± q sqrt((1 + r² / 2) / (n - 3))`` (Psychometrika 65, 2000, 23-28). Pairs with NaN are left out;
    fewer than four leave no interval, a constant side no correlation.
    """
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    rho = float(rank_correlations(a[None, both], b[None, both])[0]) if n >= 2 else math.nan
    if n < 4 or not math.isfinite(rho):
        return Estimated(rho, math.nan, math.nan, n)
    # At a correlation of one Fisher's z is infinite; the bound is then one itself.
    centre = math.atanh(max(min(rho, 1 - 1e-12), -1 + 1e-12))
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return Estimated(rho, math.tanh(centre - half), math.tanh(centre + half), n)
