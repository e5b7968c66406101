"""What a finding was measured against, who set that limit, and what else follows for those who run the system."""

from __future__ import annotations

from math import exp

from figureground.audit.document.audit_json import CueVerdict
from figureground.reports.sections.context import Context, scale_of

#: States that rest on a comparison with the limits.
_COMPARED = ("demonstrated", "suspected", "inconclusive", "not_detected")


def lines(context: Context, cue: CueVerdict) -> list[str]:
    """The limits with their origin; for what was demonstrated, that it is also a way to move the answer."""
    found = [_limits(context, cue)] if cue.status in _COMPARED and cue.estimate is not None else []
    if cue.status == "demonstrated":
        found.append(context.words.say("finding.attack"))
    return found


def _limits(context: Context, cue: CueVerdict) -> str:
    """From where an effect matters, up to where it does not, and who said so."""
    material, negligible = _two(context, cue.scale)
    scale, say = scale_of(context, cue.scale), context.words.say
    if cue.scale == "log_odds":
        material, negligible = (round(exp(value), 2) for value in (material, negligible))
    known = {"material": material, "negligible": negligible}
    if cue.scale == "native":
        known = {name: scale.stated(value) for name, value in known.items()}  # type: ignore[misc]
    return say(scale.key("finding.limits"), **known, origin=say(f"finding.limits.{_origin(context)}"))


def _two(context: Context, scale: str | None) -> tuple[float, float]:
    policy, target = context.document.policy, context.target
    if scale == "native" and target is not None:
        return target.material, target.negligible
    ending = "_log_odds" if scale == "log_odds" else ""
    return float(policy[f"delta_material{ending}"]), float(policy[f"delta_negligible{ending}"])


def _origin(context: Context) -> str:
    """Who set the limits: a party that was named, somebody who was not, or nobody, so that the tool's own held.

    Limits that differ from what was declared before the run came after the measurements, whoever set them.
    """
    if any(item.field.startswith("delta_") for item in context.document.deviations):
        return "judged"
    return context.document.audit.supplied_by.get("policy") or "undeclared"
