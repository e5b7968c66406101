"""Beside every contrast: do the levels differ in the cue, would a reliance have been found, what does chance show?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.assay import SpikeIn
from figureground.audit.judge.contrast_check import as_check, check_contrast
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.effects import Scale, negligible
from figureground.audit.judge.placebo import Placebo, placebo
from figureground.audit.judge.reuse import donor_reuse


@dataclass(frozen=True)
class Assayed:
    """What stands beside one contrast."""

    check: TrustCheck
    assay: document.Assay
    placebo_p: float
    checks: list[TrustCheck] = field(repr=False)
    rows: list[dict[str, Any]] = field(repr=False)


def assay_cues(
    found: Mapping[str, Contrasted],
    scores: pd.DataFrame,
    strata: pd.DataFrame,
    examples: pd.DataFrame,
    policy: Policy,
    seed: int,
) -> dict[str, Assayed]:
    """For every cue whose contrast could be run."""
    return {cue: _assayed(cue, item, scores, strata, examples, policy, seed) for cue, item in found.items()}


def _assayed(
    cue: str,
    item: Contrasted,
    scores: pd.DataFrame,
    strata: pd.DataFrame,
    examples: pd.DataFrame,
    policy: Policy,
    seed: int,
) -> Assayed:
    scale = item.contrast.scale
    check = as_check(check_contrast(scores, strata, examples, cue, policy), cue, policy)
    mine = scores[(scores["cue"] == cue) & (scores["features"] == "descriptors")]
    readings = mine.set_index("row_id")["score"].astype(float) if len(mine) else None
    assay = SpikeIn(policy, seed)(item.observed, readings, scale)
    by_chance = placebo(item.observed, policy, seed, scale)
    lent = [donor_reuse(item.observed, policy)] if cue == BACKGROUND else []  # all cues of a stream share their tuples
    return Assayed(
        check=check,
        assay=assay,
        placebo_p=by_chance.p,
        checks=[check, _assay_check(cue, assay, policy), *_placebo_check(item, by_chance, policy), *lent],
        rows=[_row(cue, scale, by_chance)],
    )


def _assay_check(cue: str, assay: document.Assay, policy: Policy) -> TrustCheck:
    name = "assay" if cue == "background" else f"assay_{cue}"
    if not assay.power:
        return TrustCheck(check=name, status="not_run", value=None, threshold=None, n=None, reason=assay.reason)
    found = assay.smallest_found is not None
    return TrustCheck(
        check=name,
        status="passed" if found else "failed",
        value=assay.smallest_found,
        threshold=None,
        n=assay.redraws,
        reason=None if found else f"no implanted reliance was found in {policy.power:.0%} of the redraws",
    )


def _placebo_check(item: Contrasted, by_chance: Placebo, policy: Policy) -> list[TrustCheck]:
    """Chance alone must stay within what is called negligible, or a null result says nothing.

    Not asked where there is an effect: permuting answers that do follow the arms shows large effects by nature.
    """
    if item.contrast.shown:
        return []
    cue, limit = item.observed.cue, negligible(policy, item.contrast.scale)
    passed = by_chance.reference_95 <= limit
    return [
        TrustCheck(
            check="placebo" if cue == "background" else f"placebo_{cue}",
            status="passed" if passed else "failed",
            value=by_chance.reference_95,
            threshold=limit,
            n=by_chance.n_clusters,
            reason=None if passed else "with arms exchanged at random, effects larger than the negligible one appear",
        )
    ]


def _row(cue: str, scale: Scale, by_chance: Placebo) -> dict[str, Any]:
    return {
        "cue": cue,
        "test": "placebo",
        "scale": scale,
        "simultaneous": False,
        "n": by_chance.n,
        "n_clusters": by_chance.n_clusters,
        "estimate": by_chance.reference_95,
        "ci_low": None,
        "ci_high": None,
        "ci_level": None,
        "p_raw": by_chance.p,
        "status": "ok",
        "reason": None,
    }
