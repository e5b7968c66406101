"""What people read after the first screen: limits of the claim, next steps, findings."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.document import CueVerdict, Finding, Message
from figureground.audit.tables import ALL
from figureground.reports import numbers
from figureground.reports.sections.context import Context, chip, cue_name, state_line
from figureground.reports.view import Chip


@dataclass(frozen=True)
class FindingView:
    """One finding, with its stable identifier."""

    id: str
    chip: Chip
    sentence: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """Findings, and what stands around them."""

    does_not_show: tuple[str, ...]
    next_steps: tuple[str, ...]
    items: tuple[FindingView, ...]


def build(context: Context) -> Findings:
    """Every finding of the document, and the messages of all cues, each once."""
    cues = context.document.verdict.cues
    return Findings(
        does_not_show=_once(context, [message for cue in cues for message in cue.does_not_show]),
        next_steps=_once(context, [message for cue in cues for message in cue.next_step]),
        items=tuple(_finding(context, finding) for finding in context.document.findings),
    )


def _once(context: Context, messages: list[Message]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(context.words.message(message) for message in messages))


def _finding(context: Context, finding: Finding) -> FindingView:
    cue = next((cue for cue in context.document.verdict.cues if cue.cue == finding.cue), None)
    if cue is None or finding.status is None:
        return FindingView(finding.id, chip(context, finding.status or "note"), _fact(context, finding.message), ())
    line = state_line(context, cue)
    sentence = line if finding.message.key == "cue_state" else context.words.message(finding.message)
    return FindingView(finding.id, chip(context, cue.status), sentence, _details(context, cue))


def _fact(context: Context, message: Message) -> str:
    """A fact about the run; the worst group names its label where it is a crossing with one."""
    if message.key == "worst_group" and message.args.get("label") not in (None, ALL):
        alone = message.args.get("attribute") == ALL
        return context.words.say("worst_group.label" if alone else "worst_group.with_label", **message.args)
    return context.words.message(message)


def _details(context: Context, cue: CueVerdict) -> tuple[str, ...]:
    say, lines = context.words.say, []
    if cue.estimate is not None:
        lines.append(
            say(
                "finding.effect",
                effect=cue.estimate,
                level=cue.level,
                interval=numbers.span(cue.ci_low, cue.ci_high),
                n=cue.n,
                clusters=cue.n_clusters,
                scale=context.words.term("scale", cue.scale),
            )
        )
    if cue.status == "demonstrated":
        declared = cue.cue in context.document.policy.get("consequence", {})
        key = "finding.severity" if declared else "finding.severity.default"
        lines.append(say(key, severity=context.words.term("severity", cue.severity), cue=cue_name(context, cue.cue)))
    if cue.evidence_level is not None:
        lines.append(say(f"finding.evidence.{cue.evidence_level}"))
    if cue.min_detectable is not None:
        lines.append(say("cover.min_detectable", value=cue.min_detectable))
    if cue.reasons:
        reasons = "; ".join(context.words.message(reason) for reason in cue.reasons)
        lines.append(say("finding.reasons", reasons=reasons))
    return tuple(lines)
