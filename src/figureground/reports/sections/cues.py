"""Every cue in one table: its state, its effect, what is left beyond the control, and what would have been found."""

from __future__ import annotations

from typing import Any

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document.audit_json import STATE_ORDER, CueVerdict, StageCost
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context, cue_name, for_finding, scale_of, state_words
from figureground.reports.view import Table, table

_SHOWN = ("demonstrated", "error", "suspected")


def cue_table(context: Context) -> Table | None:
    """One row per cue, worst first, finding by finding; None where there is one cue only, which has its own card."""
    cues = context.cues
    if len(cues) < 2:
        return None
    findings = context.findings
    order = sorted(cues, key=lambda cue: (_place(findings, cue), STATE_ORDER.index(cue.status)))
    columns = ["cue", "state", "effect", "interval", "control", "n", "assay", "level_of_evidence"]
    words = [context.words.say(f"column.{name}") for name in columns]
    scales = {scale_of(context, cue.scale).key("column.effect") for cue in cues if cue.estimate is not None}
    alone = len(scales) < 2
    key = next(iter(scales), "column.effect") if alone else "column.effect_of"
    words[2] = context.words.say(key, unit=context.unit)
    body = [_row(context, cue, alone=alone) for cue in order]
    return table(context.words.say("cues.table"), words, body, text_columns=2, limit=len(body))


def _place(findings: tuple[str, ...], cue: CueVerdict) -> int:
    return findings.index(cue.finding) if cue.finding in findings else 0


def cost_line(context: Context) -> str:
    """What the audit cost, by stage; empty for runs that did not count it."""
    cost = context.document.audit.cost
    if cost is None:
        return ""
    stages = ", ".join(_stage(context, stage, cost.images) for stage in cost.stages)
    return context.words.say("cost.line", per_image=cost.per_image, stages=stages)


def _stage(context: Context, stage: StageCost, images: int) -> str:
    """Forward passes of one stage for each image."""
    return f"{context.words.term('stage', stage.stage)} {numbers.fixed(stage.forward_equivalents / max(images, 1))}"


def lead(context: Context) -> str:
    """What is to be known before the numbers."""
    if context.target is None:
        rare = any(cue.scale == "log_odds" for cue in context.document.verdict.cues)
        return context.words.say("evidence.lead_rare" if rare else "evidence.lead")
    return context.words.say("evidence.lead_native", unit=context.unit)


def foremost(context: Context) -> tuple[str, ...]:
    """Cues told in full, worst first: the background, what was found or went wrong, at least one that was tested."""
    cues = sorted(context.cues, key=lambda cue: STATE_ORDER.index(cue.status))
    found = [cue for cue in cues if cue.cue == BACKGROUND or cue.status in _SHOWN]
    if not any(cue.estimate is not None for cue in found):
        found += [cue for cue in cues if cue.estimate is not None][:1]
    return tuple(dict.fromkeys(cue.cue for cue in found or cues[:1]))


def _row(context: Context, cue: CueVerdict, *, alone: bool) -> list[str]:
    name = cue_name(context, cue.cue)
    specific, scale = _specific(context, cue), scale_of(context, cue.scale)
    assay = cue.assay.smallest_found if cue.assay else None
    return [
        for_finding(context, cue.finding, name),
        state_words(context, cue),
        _own(context, scale, scale.amount(cue.estimate), alone=alone),
        scale.span(cue.ci_low, cue.ci_high),
        scale.amount(specific["estimate"]) if specific else numbers.NONE,
        numbers.count(cue.n) if cue.n else numbers.NONE,
        _own(context, scale, scale.size(assay), alone=alone),
        cue.evidence_level or numbers.NONE,
    ]


def _own(context: Context, scale: EffectScale, amount: str, *, alone: bool) -> str:
    """An amount, with its scale where the table has several."""
    if alone or amount == numbers.NONE:
        return amount
    unit = context.words.say(scale.key("column.effect"), unit=context.unit)
    return context.words.say("cues.own", amount=amount, unit=unit)


def _specific(context: Context, cue: CueVerdict) -> dict[str, Any] | None:
    """The effect beyond the control, of the hypothesis that the verdict names."""
    if cue.direction is None:
        return None
    wanted = cue.direction.model_dump()
    for row in context.tests:
        same = row["cue"] == cue.cue and row["test"] == "specific" and row.get("finding") == cue.finding
        if same and row["class_name"] == wanted["class_name"] and row.get("part") == cue.part:
            if (row["arm"], row["reference"]) == (wanted["arm"], wanted["reference"]):
                return row
            if (row["arm"], row["reference"]) == (wanted["reference"], wanted["arm"]):
                return row | {"estimate": None if row["estimate"] is None else -row["estimate"]}
    return None
