"""Can this audit be trusted, what was not tested, and where its limits lie."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.document import NotTested, TrustCheck
from figureground.reports import numbers
from figureground.reports.sections.context import Context, chip, for_finding, more
from figureground.reports.view import Chip, Table, table


@dataclass(frozen=True)
class CheckView:
    """One check on the audit itself."""

    name: str
    chip: Chip
    value: str
    threshold: str
    n: str
    reason: str


@dataclass(frozen=True)
class Trust:
    """Checks, the register of what was not tested, limits, provisions, and what people must add."""

    summary: str
    checks: tuple[CheckView, ...]
    not_tested: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    clauses: Table | None
    human: Table | None


def build(context: Context) -> Trust:
    """The section from the document."""
    checks = context.document.trust
    counted = {state: sum(check.status == state for check in checks) for state in ("passed", "failed", "not_run")}
    return Trust(
        summary=context.words.say("trust.summary", **counted),
        checks=tuple(_check(context, check) for check in checks),
        not_tested=tuple(
            (for_finding(context, item.finding, context.words.term("cue", item.subject)), _why(context, item))
            for item in context.document.not_tested
        ),
        limits=_limits(context),
        clauses=_clauses(context),
        human=_human(context),
    )


def _check(context: Context, check: TrustCheck) -> CheckView:
    return CheckView(
        name=for_finding(context, check.finding, context.words.check(check.check)),
        chip=chip(context, check.status),
        value=numbers.general(check.value),
        threshold=numbers.general(check.threshold),
        n=numbers.count(check.n),
        reason=context.words.term("reason", check.reason) if check.reason else "",
    )


def _why(context: Context, item: NotTested) -> str:
    """The reason in words; that of a cue is a message of its verdict."""
    mine = [cue for cue in context.cues if (cue.cue, cue.finding) == (item.subject, item.finding)]
    reasons = [reason for cue in mine for reason in cue.reasons]
    found = next((reason for reason in reasons if reason.key == item.reason), None)
    return context.words.message(found) if found is not None else context.words.term("reason", item.reason)


def _limits(context: Context) -> tuple[str, ...]:
    document, say = context.document, context.words.say
    data, subject = document.data, document.subject
    limits = [say("limit.data"), say("limit.maps"), say("limit.composed")]
    if not data.clusters_given:
        limits.append(say("assumes_independent_images"))
    if data.with_mask < data.ok:
        limits.append(say("limit.masks", n=data.with_mask, ok=data.ok))
    if subject.preprocessing_source == "assumed":
        limits.append(say("preprocessing_assumed"))
    if subject.code_executed:
        limits.append(say("limit.code_executed"))
    if subject.access != "layers":
        limits.append(say(f"limit.access.{subject.access}"))
    if subject.model_sha256 is None:
        limits.append(say("limit.no_identity"))
    return tuple(limits)


def _clauses(context: Context) -> Table | None:
    clauses, say = context.document.clause_map, context.words.say
    if not clauses:
        return None
    rows = [
        [clause.instrument, clause.provision, say(f"clause.{clause.state}"), ", ".join(clause.evidence)]
        for clause in clauses
    ]
    columns = [say("column.instrument"), say("column.provision"), say("column.state"), say("column.evidence")]
    return table(say("clause.table"), columns, rows, text_columns=4, note=more(context, "audit.json"), limit=40)


def _human(context: Context) -> Table | None:
    fields, say = context.document.human_inputs, context.words.say
    if not fields:
        return None
    rows = [
        [
            context.words.term("human", item.field),
            item.value or say("human.blank"),
            item.by or "",
            item.at or "",
        ]
        for item in fields
    ]
    columns = [say("column.field"), say("column.value"), say("column.by"), say("column.date")]
    return table(say("human.table"), columns, rows, text_columns=4, note=more(context, "audit.json"), limit=40)
