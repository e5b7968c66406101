"""What an n could have certified: the other half of what it could have shown."""

from __future__ import annotations

import math

from scipy import special

from figureground.audit.judge.intervals import Interval, unanimous_bounds


def certifiable_margin(standard_error: float, df: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest margin within which an effect of exactly 0 would be certified with the given power.

    Two one-sided tests (Schuirmann 1987) at alpha, each of which may fail in half of the cases left over:
    ``(t_{1 - alpha} + t_{(1 + power) / 2}) SE``, in the unit of the standard error: 2.93 SE for many clusters at the
    defaults, 3.06 SE for 20.

    Examples
    --------
    >>> round(certifiable_margin(0.01, 1e6), 4)
    0.0293
    """
    if df < 1:
        return math.nan
    quantiles = special.stdtrit(df, [1 - alpha, (1 + power) / 2])  # as scipy.stats.t.ppf, but thousands are asked for
    return float(quantiles.sum()) * standard_error


def certifiable(interval: Interval, alpha: float = 0.05) -> float | None:
    """The margin that this group's n and spread could certify; None where neither is known.

    Where all clusters agree there is no spread, and what is left is the rule of three: the share of the population
    that may still differ, which is the margin for values in a range of width 1.
    """
    if interval.standard_error > 0 and interval.df >= 1:
        return certifiable_margin(interval.standard_error, interval.df, alpha)
    if interval.standard_error == 0 and interval.n_clusters >= 2:
        return unanimous_bounds(0.0, interval.n_clusters, 1 - 2 * alpha, 0.0, 1.0)[1]
    return None
