"""How far label and attribute go together: Cramér's V, corrected for its bias, with a bootstrap of clusters.

``V = sqrt(phi2 / min(r - 1, c - 1))`` with ``phi2 = chi2 / n`` is biased upwards: of independent variables it expects
``(r - 1)(c - 1) / (n - 1)``. Bergsma (Journal of the Korean Statistical Society 42 (2013) 323-328) subtracts that and
shrinks r and c likewise. Where clusters repeat, phi2 is inflated by more, and the bootstrap of the clusters says by how
much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import FloatArray, IntArray, Interval, cluster_codes, count_clusters
from figureground.audit.judge.rows import as_estimate

RESAMPLES = 499
#: Clusters of more different kinds than this are joined at random into so many blocks, to bound the cost.
MAX_BLOCKS = 4_000
#: Larger tables say little by one number, and cost much.
MAX_CELLS = 2_000
#: Tables are drawn in blocks of about this many numbers, to bound the memory.
_BLOCK = 4_000_000


def associations(rows: pd.DataFrame, groups: Sequence[Group], policy: Policy, seed: int) -> list[document.Association]:
    """Every attribute of the run against the label; none where one has a single level, or both have very many."""
    found, labels = [], rows["label"].nunique()
    for group in groups:
        levels = group.values.loc[rows.index].astype(str)
        if min(levels.nunique(), labels) < 2 or levels.nunique() * labels > MAX_CELLS:
            continue
        interval = cramers_v(rows["label"].astype(str), levels, rows["cluster"], 1 - policy.alpha, seed)
        estimate = as_estimate(interval, min_clusters=policy.min_clusters, alpha=policy.alpha)
        # A power line of differences says nothing about a measure that is never negative.
        plain = estimate.model_copy(update={"min_detectable": None, "certifiable": None})
        found.append(document.Association(attribute=group.attribute, cramers_v=plain))
    return found


def cramers_v(
    first: npt.ArrayLike, second: npt.ArrayLike, clusters: npt.ArrayLike, level: float = 0.95, seed: int = 0
) -> Interval:
    """Bias-corrected Cramér's V with a percentile interval over resampled clusters, its bias taken off.

    Parameters
    ----------
    first, second : array_like
        Names of levels, ``[N]``, at least two of each.
    clusters : array_like
        ``[N]``.
    level : float
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Interval
        In [0, 1]; bounds of NaN where every resample shows the same, which says nothing of how sure it is.
    """
    a, b, codes = (cluster_codes(np.asarray(values, dtype=object)) for values in (first, second, clusters))
    shape, units = (int(a.max()) + 1, int(b.max()) + 1), count_clusters(codes)
    kinds, times = _kinds(codes, a * shape[1] + b, shape[0] * shape[1], seed)
    whole = phi_squared(_table(times, kinds).reshape(1, *shape))[0]
    drawn = phi_squared(_resampled(kinds, times, seed).reshape(-1, *shape))
    bias = max(float(drawn.mean()) - whole, 0.0)
    expected = (shape[0] - 1) * (shape[1] - 1) / max(units - 1, 1)
    centre = whole - (bias if units < len(codes) else expected)
    # A resample has the bias of the table and its own on top.
    tails = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) - 2 * bias
    estimate, low, high = (_as_v(float(value), shape, units) for value in (centre, *tails))
    low, high = (np.nan, np.nan) if np.ptp(drawn) < 1e-12 else (min(low, estimate), max(high, estimate))
    return Interval(estimate, low, high, level, len(codes), units, np.nan, float(max(units - 1, 0)))


def phi_squared(tables: npt.NDArray[np.floating | np.integer]) -> FloatArray:
    """Chi-squared over n of tables ``[B, R, C]``; empty rows and columns count for nothing; ``[B]``.

    >>> phi_squared(np.array([[[5, 0], [0, 5]], [[3, 3], [3, 3]]])).tolist()
    [1.0, 0.0]
    """
    counts = np.asarray(tables, dtype=np.float64)
    expected = counts.sum(axis=2, keepdims=True) * counts.sum(axis=1, keepdims=True)
    terms = np.divide(np.square(counts), expected, out=np.zeros_like(counts), where=expected > 0)
    return np.asarray(terms.sum(axis=(1, 2)) - 1)


def _as_v(phi2: float, shape: tuple[int, int], n: int) -> float:
    left = [k - (k - 1) ** 2 / max(n - 1, 1) for k in shape]
    return float(np.sqrt(np.clip(max(phi2, 0.0) / max(min(left) - 1, 1e-12), 0.0, 1.0)))


def _kinds(codes: IntArray, cells: IntArray, size: int, seed: int) -> tuple[IntArray | None, IntArray]:
    """Different contents of clusters ``[K, cells]``, how many have each ``[K]``; None: each is one row, in one cell."""
    units = count_clusters(codes)
    if units == len(codes):
        return None, np.bincount(cells, minlength=size)
    keys, counts = np.unique(codes * size + cells, return_counts=True)
    if units > MAX_BLOCKS:  # whole clusters joined at random are still independent of each other
        blocks = np.random.default_rng(np.random.SeedSequence([seed, 0xB1])).integers(0, MAX_BLOCKS, units)
        keys, units = blocks[keys // size] * size + keys % size, MAX_BLOCKS
    table = np.bincount(keys, weights=counts, minlength=units * size).astype(np.int64).reshape(units, size)
    kinds, times = np.unique(table, axis=0, return_counts=True)
    return kinds, times.astype(np.int64)


def _table(times: npt.NDArray[np.integer], kinds: IntArray | None) -> npt.NDArray[np.integer]:
    return times if kinds is None else times @ kinds


def _resampled(kinds: IntArray | None, times: IntArray, seed: int) -> FloatArray:
    """Tables of resampled clusters, ``[RESAMPLES, cells]``: clusters of one kind are interchangeable."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xC7]))
    n, size = int(times.sum()), max(1, _BLOCK // len(times))
    starts = range(0, RESAMPLES, size)
    drawn = [rng.multinomial(n, times / n, size=min(size, RESAMPLES - start)) for start in starts]
    return np.concatenate([_table(part, kinds) for part in drawn]).astype(np.float64)
