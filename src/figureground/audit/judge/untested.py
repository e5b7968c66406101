"""Why a cue could not be tested: never silence, never a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND, REGION, cue_spec
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.keeping.tables import ALL
from figureground.audit.rows.strata import usable_rows

#: Cues that carry the object's own properties: between labels they differ rightly, so labels cannot be their levels.
NEEDS_ENVIRONMENT = ("global", "geometry", "object", "grid")


@dataclass(frozen=True)
class WhyNot:
    """A reason, what to do about it, and whether it leaves the cue inconclusive rather than not tested."""

    key: str
    next_step: str
    inconclusive: bool = False
    args: Mapping[str, int] = field(default_factory=dict)
    step_args: Mapping[str, int] = field(default_factory=dict)


def why_not(
    cue: str,
    examples: pd.DataFrame,
    strata: pd.DataFrame,
    regions: Sequence[str],
    grey: bool,
    checks: Sequence[TrustCheck],
    min_clusters: int,
) -> WhyNot:
    """What is in the way of a cue that was not tested: in the data, or else in the draw of donors."""
    found = obstacle(cue, examples, strata, regions, grey, checks)
    if found is not None:
        return found
    rows = usable_rows(examples)
    usable = rows[rows["masked"]] if cue_spec(cue).needs_mask else rows
    units = int(usable["cluster"].nunique())
    if units < min_clusters:
        args = {"n": units, "needed": min_clusters}
        return WhyNot("too_few_clusters", "next_more_data", True, args, {"n_needed": min_clusters})
    return WhyNot("too_few_donors", "next_more_backgrounds")


def obstacle(
    cue: str,
    examples: pd.DataFrame,
    strata: pd.DataFrame,
    regions: Sequence[str],
    grey: bool,
    checks: Sequence[TrustCheck],
) -> WhyNot | None:
    """The first thing in the data that rules a test out; None where it can be tried."""
    rows, spec = usable_rows(examples), cue_spec(cue)
    if spec.needs_mask and not rows["masked"].any():
        return WhyNot("no_masks", "next_add_masks")
    if cue.startswith(REGION) and cue.removeprefix(REGION) not in regions:
        return WhyNot("region_absent", "next_add_masks")
    if cue == "tint" and grey:
        return WhyNot("grey_images", "next_none")
    if len(strata) and bool((strata["stratum"] == ALL).all()):
        return WhyNot("findings_need_environment", "next_add_environment")
    if strata["stratum"].nunique() < 2:
        return WhyNot("one_level", "next_add_environment")
    if cue == BACKGROUND and any(check.check == "strata" and check.status == "failed" for check in checks):
        return WhyNot("no_strata", "next_name_environments", inconclusive=True)
    if needs_environment(cue, strata):
        return WhyNot("needs_environment", "next_name_environments")
    return None


def needs_environment(cue: str, strata: pd.DataFrame) -> bool:
    """Whether the levels of this run carry the object's own, rightful differences into this cue."""
    by_environment = len(strata) > 0 and strata["source"].iloc[0] == "environment"
    return cue_spec(cue).kind in NEEDS_ENVIRONMENT and not by_environment
