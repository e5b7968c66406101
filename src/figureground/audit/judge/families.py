"""Adjusting p values where some questions were asked after the answers were known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from figureground.audit.judge.intervals import FloatArray

Adjust = Callable[[FloatArray], FloatArray]


def adjust_in_turn(p: npt.ArrayLike, later: npt.ArrayLike, adjust: Adjust) -> FloatArray:
    """Adjusted p values, ``[M]``: what is asked later pays for everything, what was asked before for itself only.

    Parameters
    ----------
    p : array_like
        ``[M]``; NaN stays NaN and does not count.
    later : array_like
        bool, ``[M]``: asked after the run.
    adjust : callable
        p values to adjusted ones.

    Examples
    --------
    >>> adjust_in_turn([0.01, 0.02, 0.03], [False, False, True], benjamini_hochberg)
    array([0.02, 0.02, 0.03])
    """
    values, after = np.asarray(p, dtype=np.float64), np.asarray(later, dtype=bool)
    found = adjust(values)
    found[~after] = adjust(values[~after])
    return found


def benjamini_hochberg(p: npt.ArrayLike) -> FloatArray:
    """Adjusted p values that control the false discovery rate under positive dependence; NaN stays NaN.

    Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300.
    """
    adjusted = np.array(p, dtype=np.float64)
    known = ~np.isnan(adjusted)
    if known.any():
        adjusted[known] = stats.false_discovery_control(adjusted[known], method="bh")
    return adjusted
