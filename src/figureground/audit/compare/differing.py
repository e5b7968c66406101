"""Differences with their intervals and their power line: rows one by one, or from the intervals of two audits.

Two estimates of which only intervals are known are compared by their recovered variances (MOVER; Newcombe, Statistics
in Medicine 17 (1998) 873-890; Zou & Donner, Statistics in Medicine 27 (2008) 1693-1702)::

    low  = d - sqrt((e2 - l2)² + (u1 - e1)²),    high = d + sqrt((u2 - e2)² + (e1 - l1)²)

which takes the two to be independent: for audits that share pictures this is wider than it need be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import stats

from figureground.audit.compare.document import Difference, How
from figureground.audit.judge.intervals import Interval, t_quantile


@dataclass(frozen=True)
class Ruler:
    """What differences are measured against.

    Attributes
    ----------
    level : float
        Confidence level of one interval, so that all of its family hold together with the level wanted.
    power : float
        With which the smallest difference would be shown.
    line : float
        The power line: the difference that matters, on the scale of the difference.
    same_model : bool
        Whether both audits are of one model: differences that are all zero are then known to be, whatever n is.
    negligible : float
        The difference that does not matter.
    least : int
        Fewer independent units than this carry no verdict: there is a difference, and nothing is said of it.
    """

    level: float
    power: float
    line: float
    same_model: bool = False
    negligible: float = 0.0
    least: int = 2


def shared_level(alpha: float, comparisons: int) -> float:
    """Level of each of several intervals that hold together with ``1 - alpha`` (Bonferroni).

    Examples
    --------
    >>> shared_level(0.05, 2)
    0.975
    """
    return 1 - alpha / max(comparisons, 1)


def of_rows(
    interval: Interval,
    values: tuple[float, float],
    scale: str,
    ruler: Ruler,
    critical: float | None = None,
) -> Difference:
    """A paired difference; ``values`` are the estimates of both audits on the rows compared.

    ``critical`` widens the interval to cover a family. Where all rows agree there is no variance, and what could hide
    is what the unanimous bounds leave open.
    """
    low, high = interval.low, interval.high
    if critical is not None and interval.standard_error > 0:
        low, high = interval.bounds_at(critical)
    known = math.isfinite(interval.estimate)
    bounded = known and math.isfinite(low) and math.isfinite(high)
    return Difference(
        how="paired",
        scale=scale,
        n=interval.n,
        n_clusters=interval.n_clusters,
        first=_finite(values[0]),
        second=_finite(values[1]),
        estimate=interval.estimate if known else None,
        ci_low=low if bounded else None,
        ci_high=high if bounded else None,
        ci_level=ruler.level,
        smallest=smallest_shown(interval, ruler, critical) if bounded else None,
        line=ruler.line,
        negligible=ruler.negligible,
        reason="too_few_units" if not bounded or interval.n_clusters < ruler.least else None,
    )


def smallest_shown(interval: Interval, ruler: Ruler, critical: float | None = None) -> float | None:
    """Smallest true difference that so many rows would show with the power wanted.

    ``(c + t_power) SE`` with c the critical value of the interval. Without any variance, the difference that so many
    unanimous units leave open; 0 where the two audits are of one model.
    """
    if interval.standard_error > 0:
        quantile = t_quantile(ruler.level, interval.df) if critical is None else critical
        return float((quantile + stats.t.ppf(ruler.power, interval.df)) * interval.standard_error)
    if interval.estimate == 0 and ruler.same_model:
        return 0.0
    return float(max(interval.high - interval.estimate, interval.estimate - interval.low))


def of_aggregates(first: Any, second: Any, scale: str, ruler: Ruler) -> Difference:
    """A difference of two estimates with ``estimate``, ``ci_low``, ``ci_high``, ``ci_level``, ``n``, ``n_clusters``."""
    parts = [_stretched(item, ruler.level) for item in (first, second)]
    n, units = (min(int(item[name] or 0) for item in (first, second)) for name in ("n", "n_clusters"))
    if None in parts:
        ends = (_finite(first["estimate"]), _finite(second["estimate"]))
        return nothing("aggregates", scale, ruler, "no_interval", n=n, units=units, values=ends)
    (e1, l1, u1), (e2, l2, u2) = (part for part in parts if part is not None)
    below, above = math.hypot(e2 - l2, u1 - e1), math.hypot(u2 - e2, e1 - l1)
    reach = stats.norm.ppf((1 + ruler.level) / 2)
    return Difference(
        how="aggregates",
        scale=scale,
        n=n,
        n_clusters=units,
        first=e1,
        second=e2,
        estimate=e2 - e1,
        ci_low=e2 - e1 - below,
        ci_high=e2 - e1 + above,
        ci_level=ruler.level,
        smallest=float(max(below, above) * (1 + stats.norm.ppf(ruler.power) / reach)),
        line=ruler.line,
        negligible=ruler.negligible,
        reason="too_few_units" if units < ruler.least else None,
    )


def sum_bounds(first: Any, second: Any, ruler: Ruler) -> tuple[float, float]:
    """Bounds of the sum of two estimates, as for their difference; NaN where either has no interval."""
    one, other = (_stretched(item, ruler.level) for item in (first, second))
    if one is None or other is None:
        return math.nan, math.nan
    (e1, l1, u1), (e2, l2, u2) = one, other
    return e1 + e2 - math.hypot(e1 - l1, e2 - l2), e1 + e2 + math.hypot(u1 - e1, u2 - e2)


def nothing(
    how: How,
    scale: str,
    ruler: Ruler,
    reason: str,
    *,
    n: int = 0,
    units: int = 0,
    values: tuple[float | None, float | None] = (None, None),
) -> Difference:
    """No difference, and why."""
    return Difference(
        how=how,
        scale=scale,
        n=n,
        n_clusters=units,
        first=values[0],
        second=values[1],
        estimate=None,
        ci_low=None,
        ci_high=None,
        ci_level=ruler.level,
        smallest=None,
        line=ruler.line,
        negligible=ruler.negligible,
        reason=reason,
    )


def _stretched(item: Any, level: float) -> tuple[float, float, float] | None:
    """Estimate and bounds at another level: both arms of the interval grow as the normal quantile does."""
    estimate, low, high, own = (_finite(item[name]) for name in ("estimate", "ci_low", "ci_high", "ci_level"))
    if estimate is None or low is None or high is None or own is None:
        return None
    by = float(stats.norm.ppf((1 + level) / 2) / stats.norm.ppf((1 + own) / 2))
    return estimate, estimate - by * (estimate - low), estimate + by * (high - estimate)


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
