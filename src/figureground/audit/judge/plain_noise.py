"""Relative foreground sensitivity to noise (Moayeri, Pope, Balaji & Feizi, CVPR 2022, on the data set RIVAL10).

``RFS = (acc_bg - acc_fg) / (2 min(a, 1 - a))`` with ``a = (acc_bg + acc_fg) / 2``: accuracies with noise on the
background and on the object. In [-1, 1]; positive where noise on the object does more harm. It divides by the largest
difference that is possible at this mean accuracy, and is undefined where that is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.plain import NOISE, NOISE_SIZES, NOISE_TOTAL, TOTAL_SIZES
from figureground.audit.judge.intervals import Interval, clustered_wilson, t_bounds

Reals = npt.NDArray[np.float64]
#: Kinds of noise with their sizes.
NOISES: Mapping[str, tuple[float, ...]] = {NOISE: NOISE_SIZES, NOISE_TOTAL: TOTAL_SIZES}


@dataclass(frozen=True)
class Sensitivity:
    """RFS with its interval; ``why`` holds status and reason where it is undefined or has no interval."""

    interval: Interval
    why: Mapping[str, str] = field(default_factory=dict)


def relative_sensitivity(on_background: npt.ArrayLike, on_object: npt.ArrayLike) -> Reals:
    """RFS of two accuracies in [0, 1], of any shape; NaN where their mean is 0 or 1.

    Examples
    --------
    >>> relative_sensitivity([0.9, 0.5, 1.0], [0.7, 0.75, 1.0]).round(2).tolist()
    [0.5, -0.33, nan]
    """
    bg, fg = np.asarray(on_background, dtype=np.float64), np.asarray(on_object, dtype=np.float64)
    room = np.minimum(bg + fg, 2 - bg - fg)
    return np.asarray(np.divide(bg - fg, room, out=np.full_like(room, np.nan), where=room > 1e-12))


def sensitivities(answers: pd.DataFrame, level: float) -> Sensitivity:
    """RFS of paired answers with a cluster-aware interval.

    Leave-one-cluster-out jackknife with the t quantile of ``clusters - 1``, cut at -1 and 1. Where it has no spread (at
    an accuracy of 1 or 0 in one place RFS is 1 or -1 whatever is left out), the largest and smallest RFS over the
    clustered Wilson intervals of both accuracies, each at level ``(1 + level) / 2``: RFS rises with the first and falls
    with the second, so this covers at least as often as asked (Bonferroni).

    Parameters
    ----------
    answers : pandas.DataFrame
        ``background``, ``object`` (1.0: right answer with noise there), ``cluster``.
    level : float
        Confidence level.
    """
    n, clusters = len(answers), answers["cluster"].nunique()
    known = answers.groupby("cluster", sort=True)[["background", "object"]].agg(["sum", "size"])
    sums = known.xs("sum", axis=1, level=1).to_numpy(dtype=np.float64)
    sizes = known["background", "size"].to_numpy(dtype=np.float64)
    estimate = float(relative_sensitivity(*(sums.sum(axis=0) / n))) if n else np.nan
    nothing = Interval(estimate, np.nan, np.nan, level, n, clusters, np.nan, float(max(clusters - 1, 0)))
    if n and np.isnan(estimate):
        return Sensitivity(nothing, {"status": "not_estimable", "reason": "rfs_undefined"})
    if clusters < 2:
        return Sensitivity(nothing)
    left = relative_sensitivity(*((sums.sum(axis=0) - sums) / (n - sizes)[:, None]).T)
    error = float(np.sqrt((clusters - 1) / clusters * ((left - left.mean()) ** 2).sum()))
    if not error > 1e-12:
        return Sensitivity(_boxed(answers, nothing, level))
    low, high = t_bounds(estimate, error, clusters - 1.0, level)
    return Sensitivity(Interval(estimate, max(low, -1.0), min(high, 1.0), level, n, clusters, error, clusters - 1.0))


def _boxed(answers: pd.DataFrame, known: Interval, level: float) -> Interval:
    each = (1 + level) / 2
    bg, fg = (clustered_wilson(answers[name], answers["cluster"].to_numpy(), each) for name in ("background", "object"))
    low, high = relative_sensitivity([bg.low, bg.high], [fg.high, fg.low])
    return Interval(known.estimate, float(low), float(high), level, known.n, known.n_clusters, np.nan, known.df)
