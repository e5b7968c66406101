"""Do the levels differ in a cue at all? If not, changing it changes nothing, and no null result means anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.roc import auroc_interval


@dataclass(frozen=True)
class ContrastCheck:
    """How well a linear score, fitted on other clusters, tells one level from the rest.

    Attributes
    ----------
    auroc, low, high : float
        With an interval at level 1 - alpha that allows for clusters.
    n, n_clusters : int
    features : str
        What the score is linear in.
    level : str
    """

    auroc: float
    low: float
    high: float
    n: int
    n_clusters: int
    features: str
    level: str


def check_contrast(
    scores: pd.DataFrame, strata: pd.DataFrame, examples: pd.DataFrame, cue: str, policy: Policy
) -> ContrastCheck | None:
    """The better of the readings that there are; None where none could be fitted."""
    rows = scores[(scores["cue"] == cue) & scores["score"].notna()]
    joined = rows.merge(strata[["row_id", "stratum"]], on="row_id").merge(examples[["row_id", "cluster"]], on="row_id")
    found = [_one(part, str(name), policy) for name, part in joined.groupby("features")]
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.auroc, default=None)


def as_check(found: ContrastCheck | None, cue: str, policy: Policy) -> TrustCheck:
    """The same as a line of the report's checks."""
    name = "contrast_check" if cue == "background" else f"contrast_check_{cue}"
    if found is None:
        reason = "too few images of a level to fit a score on"
        return TrustCheck(
            check=name, status="not_run", value=None, threshold=policy.min_contrast, n=None, reason=reason
        )
    passed = found.auroc >= policy.min_contrast
    return TrustCheck(
        check=name,
        status="passed" if passed else "failed",
        value=found.auroc,
        threshold=policy.min_contrast,
        n=found.n,
        reason=None if passed else "the levels can hardly be told apart by this cue",
    )


def _one(part: pd.DataFrame, features: str, policy: Policy) -> ContrastCheck | None:
    level = str(part["level"].iloc[0])
    positive = (part["stratum"] == level).to_numpy(dtype=bool)
    if positive.all() or not positive.any():
        return None
    score, clusters = part["score"].to_numpy(dtype=np.float64), part["cluster"].to_numpy(dtype=object)
    auroc, low, high = auroc_interval(score, positive, clusters, 1 - policy.alpha)
    return ContrastCheck(auroc, low, high, len(part), len(set(clusters)), features, level)
