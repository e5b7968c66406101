"""What people read after the first screen: limits of the claim, next steps, findings."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.declared.config import canonical_json
from figureground.audit.document.audit_json import SEVERITIES as LADDER
from figureground.audit.document.audit_json import CueVerdict, Finding, Message, Repeated
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.sections import standards
from figureground.reports.sections.context import (
    Context,
    chip,
    cue_name,
    for_finding,
    min_detectable,
    odds,
    scale_of,
    state_line,
)
from figureground.reports.sections.not_shown import not_shown
from figureground.reports.view import Chip


@dataclass(frozen=True)
class FindingView:
    """One finding, with its stable identifier."""

    id: str
    chip: Chip
    sentence: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A next step, and the commands that take it."""

    words: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """Findings, and what stands around them."""

    does_not_show: tuple[str, ...]
    next_steps: tuple[Step, ...]
    tested: str
    not_tested: str
    items: tuple[FindingView, ...]


def build(context: Context) -> Findings:
    """Every finding of the document, and the messages of all cues, each once."""
    cues = context.document.verdict.cues
    return Findings(
        does_not_show=not_shown(context),
        next_steps=_steps(context, [message for cue in cues for message in cue.next_step]),
        tested=_cues(context, context.document.verdict.tested),
        not_tested=_cues(context, context.document.verdict.not_tested),
        items=tuple(_finding(context, finding) for finding in context.document.findings),
    )


def _steps(context: Context, messages: list[Message]) -> tuple[Step, ...]:
    found = [Step(context.words.message(item), tuple(item.args.get("commands", ()))) for item in messages]
    return tuple(dict.fromkeys(found))


def _cues(context: Context, names: list[str]) -> str:
    return ", ".join(cue_name(context, name) for name in names)


def _finding(context: Context, finding: Finding) -> FindingView:
    cues = context.document.verdict.cues
    cue = next((cue for cue in cues if cue.cue == finding.cue and cue.finding == finding.finding), None)
    decided = _decided(context, finding)
    if cue is None or finding.status is None:
        words = for_finding(context, finding.finding, _fact(context, finding.message))
        details = (*decided, *_deviations(context, finding))
        return FindingView(finding.id, chip(context, finding.status or "note"), words, details)
    line = state_line(context, cue)
    sentence = line if finding.message.key == "cue_state" else context.words.message(finding.message)
    return FindingView(finding.id, chip(context, cue.status), sentence, (*decided, *_details(context, cue)))


def _decided(context: Context, finding: Finding) -> tuple[str, ...]:
    """What a person decided about the finding, first of all: it marks the finding and hides nothing."""
    decision = finding.decision
    if decision is None:
        return ()
    key = "finding.decision" if decision.active else "finding.decision_expired"
    return (context.words.say(key, **decision.model_dump(exclude={"active"})),)


def _deviations(context: Context, finding: Finding) -> tuple[str, ...]:
    """Every field of the policy that differs from what was declared, with both values."""
    if finding.message.key != "policy_deviates":
        return ()
    return tuple(
        context.words.say(
            "finding.deviation", field=item.field, declared=canonical_json(item.declared), now=canonical_json(item.now)
        )
        for item in context.document.deviations
    )


def _fact(context: Context, message: Message) -> str:
    """A fact about the run; the worst group names its label where it is a crossing with one."""
    if message.key == "worst_group" and message.args.get("label") not in (None, ALL):
        alone = message.args.get("attribute") == ALL
        return context.words.say("worst_group.label" if alone else "worst_group.with_label", **message.args)
    if message.key == "worst_exploratory":
        parts = {message.args["attribute"]: message.args["level"], "label": message.args["label"]}
        group = ", ".join(f"{name} = {level}" for name, level in parts.items() if ALL not in (name, level))
        return context.words.say(message.key, **message.args, group=group)
    return context.words.message(message)


def _details(context: Context, cue: CueVerdict) -> tuple[str, ...]:
    say, lines = context.words.say, []
    if cue.estimate is not None:
        lines += [_effect(context, cue), *_by_label(context, cue)]
    if cue.status == "demonstrated" and cue.severity == "not_declared":
        lines.append(say("finding.severity.undeclared"))
    elif cue.status == "demonstrated":
        lines.append(_severity(context, cue))
    if cue.evidence_level is not None:
        lines.append(say(f"finding.evidence.{cue.evidence_level}"))
    if cue.min_detectable is not None:
        lines.append(min_detectable(context, cue))
    lines += standards.lines(context, cue)
    lines += [_repeat(context, other) for other in cue.repeats]
    lines += _beside(context, cue)
    if cue.reasons:
        reasons = context.words.clauses(context.words.message(reason) for reason in cue.reasons)
        lines.append(say("finding.reasons", reasons=reasons))
    return tuple(lines)


def _effect(context: Context, cue: CueVerdict) -> str:
    known = {"level": cue.level, "n": cue.n, "clusters": cue.n_clusters}
    if cue.scale == "log_odds":
        return context.words.say("finding.effect_odds", **odds(cue.estimate, cue.ci_low, cue.ci_high), **known)
    if cue.scale == "native":
        own = scale_of(context, cue.scale)
        span = own.span(cue.ci_low, cue.ci_high)
        return context.words.say("finding.effect_native", effect=own.stated(cue.estimate), interval=span, **known)
    interval, scale = numbers.span(cue.ci_low, cue.ci_high), context.words.term("scale", cue.scale)
    return context.words.say("finding.effect", effect=cue.estimate, interval=interval, scale=scale, **known)


def _by_label(context: Context, cue: CueVerdict) -> list[str]:
    """The same effect where the recipient is of the second class or has the finding, and where it is not."""
    name = cue.finding or context.document.subject.classes[-1]
    found = []
    for key, part in (("with", cue.on_positives), ("without", cue.on_negatives)):
        if part is None or part.estimate is None:
            continue
        known = {"finding": name, "n": part.n, "clusters": part.n_clusters, "level": part.ci_level}
        if cue.scale == "log_odds":
            ratio = odds(part.estimate, part.ci_low, part.ci_high)
            found.append(context.words.say(context.of_labels(f"finding.{key}_odds"), **ratio, **known))
        else:
            scale = scale_of(context, cue.scale)
            interval, effect = scale.span(part.ci_low, part.ci_high), scale.told(part.estimate)
            found.append(
                context.words.say(
                    context.of_labels(scale.key(f"finding.{key}")), effect=effect, interval=interval, **known
                )
            )
    return found


def _repeat(context: Context, other: Repeated) -> str:
    """What another run says of the same cue, with its own numbers and seal."""
    say, term = context.words.say, context.words.term
    ways = ", ".join(term("repeat.differs", name) for name in other.differs)
    head = say("finding.repeat", differs=ways, audit=other.audit_id, seal=numbers.short_hash(other.seal))
    there = "" if other.status is None else say("finding.repeat.state", state=say(f"state.{other.status}"))
    if other.estimate is not None:
        scale = scale_of(context, other.scale)
        interval, effect = scale.span(other.ci_low, other.ci_high), scale.stated(other.estimate)
        values = {"level": other.level, "interval": interval, "n": other.n, "clusters": other.n_clusters}
        there += say("finding.repeat.effect", effect=effect, **values)
    end = say("finding.repeat.holds") if other.holds else term("repeat.reason", other.reason)
    return f"{head}{there} {end}"


def _severity(context: Context, cue: CueVerdict) -> str:
    """The severity, what was declared about the cue, and what the size of the effect makes of it."""
    say, term = context.words.say, context.words.term
    listed = cue.cue in context.document.policy.get("consequence", {})
    declared = say(
        "finding.consequence" if listed else "finding.consequence.default",
        consequence=term("severity", cue.consequence or cue.severity),
        cue=cue.cue,
    )
    line = say("finding.severity", severity=term("severity", cue.severity), declared=declared)
    if cue.times_material is None or cue.consequence is None:
        return line
    apart = LADDER.index(cue.severity) - LADDER.index(cue.consequence)
    key = "finding.severity.same" if apart == 0 else f"finding.severity.{'raised' if apart > 0 else 'lowered'}"
    return f"{line} {say(key, times=cue.times_material)}"


def _beside(context: Context, cue: CueVerdict) -> list[str]:
    """What stands beside the effect: its place, the maps, the assay, chance, and other readings."""
    say, lines = context.words.say, []
    if cue.part is not None:
        lines.append(say("finding.part", part=cue.part))
    if cue.attribution is not None:
        lines.append(context.words.message(cue.attribution))
    lines += [context.words.message(found) for found in cue.dose_response]
    if cue.assay is not None and cue.assay.smallest_found is not None:
        scale, found = scale_of(context, cue.scale), cue.assay.smallest_found
        smallest = scale.stated(found) if scale.name == "native" else found
        power = context.document.policy.get("power")
        lines.append(say(scale.key("finding.assay"), smallest=smallest, power=power, redraws=cue.assay.redraws))
    if cue.placebo_p is not None:
        lines.append(say("finding.placebo", p=numbers.p_value(cue.placebo_p)))
    if cue.alternatives:
        others = context.words.clauses(context.words.message(other) for other in cue.alternatives)
        lines.append(say("finding.alternatives", alternatives=others))
    return lines
