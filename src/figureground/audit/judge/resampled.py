"""A second opinion on the intervals of shares: BCa beside t on the logit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.intervals import Interval, cluster_means
from figureground.audit.keeping.tables import ALL

RESAMPLES = 999
#: Fewer cluster means than this have too few different resamples; beyond the other, both intervals are the normal one.
MIN_CLUSTERS, MAX_CLUSTERS = 8, 500
#: A bound that lies further from the other than this share of the interval's half width is another bound.
MATERIAL = 0.5
DISAGREES = "bca_disagrees"
CHECK = "share_intervals"


def bca_distance(interval: Interval, values: npt.ArrayLike, clusters: npt.ArrayLike, seed: int = 0) -> float | None:
    """Largest distance of the BCa bounds from an interval's own, over its half width.

    ``scipy.stats.bootstrap`` of the mean of the cluster means, bias-corrected and accelerated (Efron, JASA 82 (1987)
    171-185). None outside 8 to 500 clusters, and where all cluster means are the same: there BCa has no value.

    Parameters
    ----------
    interval : Interval
        As :func:`~figureground.audit.judge.intervals.logit_t` gives it for the same values.
    values : array_like
        Shares, ``[N]``; NaN is left out.
    clusters : array_like
        ``[N]``.
    seed : int
    """
    means = cluster_means(values, clusters)
    width = interval.high - interval.low
    if not MIN_CLUSTERS <= means.size <= MAX_CLUSTERS or np.ptp(means) <= 1e-12 or not width > 0:
        return None
    found = stats.bootstrap(
        (means,), np.mean, n_resamples=RESAMPLES, confidence_level=interval.level, method="BCa", rng=seed
    ).confidence_interval
    return float(max(abs(found.low - interval.low), abs(found.high - interval.high)) / (width / 2))


def check_shares(subgroups: pd.DataFrame) -> TrustCheck:
    """All background shares over all labels as one check of the audit: how many have another bound by BCa."""
    shares = subgroups[(subgroups["measure"] == "background_share") & (subgroups["label"] == ALL)]
    compared = shares[(shares["status"] == "ok") & (shares["n_clusters"] <= MAX_CLUSTERS)]
    if compared.empty:
        return TrustCheck(
            check=CHECK, status="not_run", value=None, threshold=0.0, n=None, reason="no_share_to_compare"
        )
    off = float((compared["reason"] == DISAGREES).mean())
    return TrustCheck(
        check=CHECK,
        status="failed" if off > 0 else "passed",
        value=off,
        threshold=0.0,
        n=len(compared),
        reason="bca_disagrees_somewhere" if off > 0 else None,
    )
