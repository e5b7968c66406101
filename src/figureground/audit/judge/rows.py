"""Rows of the ``tests`` and ``subgroups`` tables from intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from figureground.audit.document import audit_json as document
from figureground.audit.judge.intervals import Interval, min_detectable
from figureground.audit.judge.margins import certifiable


def estimate_columns(interval: Interval, *, min_clusters: int, alpha: float, **more: Any) -> dict[str, Any]:
    """The columns that every estimate has; a status says whether it can carry a verdict."""
    known = bool(np.isfinite(interval.estimate))
    bounded = known and bool(np.isfinite(interval.low))
    if interval.n == 0:
        status, reason = "absent", "no usable row"
    elif not known:
        status, reason = "not_estimable", "no value"
    elif interval.n_clusters < min_clusters:
        status, reason = "too_small", f"{interval.n_clusters} independent units; {min_clusters} needed for a verdict"
    else:
        status, reason = "ok", None
    return {
        "n": interval.n,
        "n_clusters": interval.n_clusters,
        "estimate": interval.estimate if known else None,
        "ci_low": interval.low if bounded else None,
        "ci_high": interval.high if bounded else None,
        "ci_level": interval.level,
        "min_detectable": _smallest(interval, alpha),
        "certifiable": certifiable(interval, alpha),
        "status": status,
        "reason": reason,
        **more,
    }


def as_estimate(interval: Interval, *, min_clusters: int, alpha: float) -> document.Estimate:
    """The same as a part of ``audit.json``."""
    return document.Estimate(**estimate_columns(interval, min_clusters=min_clusters, alpha=alpha))


def p_value(interval: Interval, span: float = 1.0) -> float | None:
    """Two-sided p of "the effect is 0", by t; None with fewer than two clusters.

    Where all observations agree there is no variance for t, and p is that at which the unanimous bounds of values in
    ``[-span, span]`` reach 0: ``2 (span / (span + |effect|))^G``, for the largest effect the sign test of G clusters.

    Examples
    --------
    >>> p_value(Interval(1.0, 0.0, 1.0, 0.95, 2, 2, 0.0, 1.0))
    0.5
    """
    if not interval.df >= 1:
        return None
    if interval.standard_error == 0:
        return float(min(1.0, 2 * (span / (span + abs(interval.estimate))) ** interval.n_clusters))
    return float(2 * stats.t.sf(abs(interval.statistic()), interval.df))


def _smallest(interval: Interval, alpha: float) -> float | None:
    if not np.isfinite(interval.standard_error) or interval.standard_error <= 0 or interval.df < 1:
        return None
    return float(min_detectable(interval.standard_error, interval.df, alpha=alpha))
