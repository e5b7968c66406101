"""Crossings drawn towards each other: the raw value of a small cell is mostly noise, and stands beside a pooled one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from figureground.audit.judge.intervals import FloatArray
from figureground.audit.keeping.tables import ALL

#: Measures of crossings that are pooled.
POOLED = ("accuracy", "ldr", "background_share", "contrast")
SUFFIX = "_pooled"


def shrink(estimates: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Means drawn towards their common mean by the method of moments.

    ``tau² = max(0, (Q - (k - 1)) / (sum w - sum w² / sum w))`` with ``w = 1 / SE²`` and ``Q = sum w (x - mean)²``
    (DerSimonian & Laird, Controlled Clinical Trials 7 (1986) 177-188); each value becomes ``B x + (1 - B) mean`` with
    ``B = tau² / (tau² + SE²)``, where the mean is weighted by ``1 / (tau² + SE²)``.

    Parameters
    ----------
    estimates : ndarray
        ``[K]``, finite.
    errors : ndarray
        Standard errors, ``[K]``, positive.

    Returns
    -------
    pooled, pooled_errors : ndarray
        ``[K]``; the errors allow for that of the mean.
    tau : float
        Standard deviation of the true values.
    """
    weight = 1 / np.square(errors)
    mean = float((weight * estimates).sum() / weight.sum())
    spread = float((weight * np.square(estimates - mean)).sum())
    room = float(weight.sum() - np.square(weight).sum() / weight.sum())
    tau2 = max(0.0, (spread - (len(estimates) - 1)) / room) if room > 0 else 0.0
    total = 1 / (tau2 + np.square(errors))
    mean = float((total * estimates).sum() / total.sum())
    kept = tau2 * total
    variance = kept * np.square(errors) + np.square(1 - kept) / total.sum()
    return kept * estimates + (1 - kept) * mean, np.sqrt(variance), float(np.sqrt(tau2))


def pool_crossings(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Rows ``<measure>_pooled`` for every crossing (``a*b``) in rows of ``subgroups``, over all labels.

    Cells without any spread of their own (one cluster, or all of one mind) borrow that of the others; without any at
    all nothing is pooled. Intervals are normal, at ``level``, around the pooled value. n and status stay those of the
    cell.
    """
    crossed = table["attribute"].str.contains("*", regex=False) & (table["label"] == ALL)
    chosen = table[crossed & table["measure"].isin(POOLED) & table["estimate"].notna()]
    keys = ["attribute", "measure", "method", "sign", "cue"]
    present = [key for key in keys if key in chosen]
    parts = [_pooled(part, level) for _, part in chosen.groupby(present, dropna=False, sort=False)]
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]


def _pooled(cells: pd.DataFrame, level: float) -> pd.DataFrame:
    errors = _errors(cells)
    if errors is None or len(cells) < 2:
        return cells.iloc[:0]
    estimates, spread, _ = shrink(cells["estimate"].to_numpy(dtype=float), errors)
    half = float(stats.norm.ppf((1 + level) / 2)) * spread
    bounds = {"ci_low": estimates - half, "ci_high": estimates + half}
    if cells["measure"].iloc[0] in ("accuracy", "background_share"):
        bounds = {name: np.clip(values, 0, 1) for name, values in bounds.items()}
    nothing: dict[str, Any] = dict.fromkeys(("p_raw", "p_adjusted", "min_detectable", "certifiable"), np.nan)
    return cells.assign(measure=cells["measure"] + SUFFIX, estimate=estimates, ci_level=level, **bounds, **nothing)


def _errors(cells: pd.DataFrame) -> FloatArray | None:
    """Standard errors; where a cell has none, from the common spread of the units and its own number of them."""
    units = cells["n_clusters"].to_numpy(dtype=float)
    own = cells["standard_error"].to_numpy(dtype=float)
    known = np.isfinite(own) & (own > 0)
    if not known.any():
        return None
    spread = np.average(np.square(own[known]) * units[known], weights=np.maximum(units[known] - 1, 1))
    return np.where(known, own, np.sqrt(spread / np.maximum(units, 1)))
