"""Can this audit be trusted, what was not tested, and where its limits lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

from figureground.audit.document.audit_json import Clause, NotTested, TrustCheck
from figureground.reports import numbers
from figureground.reports.sections import alarms, known_answers, measured, sanity, second_layer
from figureground.reports.sections.context import Context, chip, for_finding, more
from figureground.reports.view import Chart, Chip, Table, table

#: How the names of the checks on maps begin.
_OF_MAPS = (
    "agreement",
    "gradient_nonzero",
    "map_shape",
    "maps_not_empty",
    "mask_sensitivity",
    "randomised_weights",
    "repeatability",
    "second_layer",
    "two_methods",
)


@dataclass(frozen=True)
class CheckView:
    """One check on the audit itself."""

    name: str
    chip: Chip
    measured: str
    n: str
    reason: str


@dataclass(frozen=True)
class Trust:
    """Checks, the register of what was not tested, limits, provisions, and what people must add."""

    maps_summary: str
    maps: tuple[CheckView, ...]
    summary: str
    checks: tuple[CheckView, ...]
    second_layer: Table | None
    not_tested: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    clauses: tuple[Table, ...]
    stale: str
    human: Table | None
    sanity: sanity.Sanity
    alarms: Chart | None
    known: known_answers.KnownAnswers


def build(context: Context) -> Trust:
    """The section from the document."""
    checks = context.document.trust
    maps, others = [one for one in checks if _of_maps(one)], [one for one in checks if not _of_maps(one)]
    return Trust(
        maps_summary=_counted(context, maps),
        maps=tuple(_check(context, check) for check in maps),
        summary=_counted(context, others),
        checks=tuple(_check(context, check) for check in others),
        second_layer=second_layer.build(context),
        not_tested=tuple(
            (for_finding(context, item.finding, context.words.term("cue", item.subject)), _why(context, item))
            for item in context.document.not_tested
        ),
        limits=_limits(context),
        clauses=_clauses(context),
        stale=_stale(context),
        human=_human(context),
        sanity=sanity.build(context),
        alarms=alarms.build(context),
        known=known_answers.build(context),
    )


def _of_maps(check: TrustCheck) -> bool:
    """Whether a check asks if the maps can be trusted; the others ask it of the model's answers and of the audit."""
    return check.check.startswith(_OF_MAPS)


def _counted(context: Context, checks: list[TrustCheck]) -> str:
    states = ("passed", "failed", "not_run")
    return context.words.say("trust.summary", **{state: sum(one.status == state for one in checks) for state in states})


def _check(context: Context, check: TrustCheck) -> CheckView:
    return CheckView(
        name=for_finding(context, check.finding, _name(context, check.check)),
        chip=chip(context, check.status),
        measured=measured.told(context, check),
        n=numbers.count(check.n),
        reason=context.words.term("reason", check.reason) if check.reason else "",
    )


def _name(context: Context, check: str) -> str:
    """The check in words; one of a method without a sentence of its own by the sentence for all of them."""
    own, words = f"check.{check}", context.words
    for kind in ("maps_not_empty", "randomised_weights", "repeatability", "mask_sensitivity"):
        if own not in words.sentences and check.startswith(f"{kind}_"):
            return words.say(f"check.of.{kind}", method=words.term("method", check.removeprefix(f"{kind}_")))
    return words.check(check)


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


def _clauses(context: Context) -> tuple[Table, ...]:
    """Provisions that somebody read in the original, by instrument; the others last, as an annex to be verified."""
    found, say = context.document.clause_map, context.words.say
    read = [clause for clause in found if clause.verified == "read"]
    parts = {
        say("clause.table", instrument=say(f"clause.instrument.{name}")): [one for one in read if _family(one) == name]
        for name in dict.fromkeys(map(_family, read))
    }
    # What nobody read is for the house to verify, and not for an authority to read as if somebody had.
    inside = context.document.edition is None or context.document.edition.name == "internal"
    annex = [clause for clause in found if clause.verified != "read"] if inside else []
    titled = [*parts.items(), (say("clause.annex"), annex)]
    return tuple(_provisions(context, title, rows) for title, rows in titled if rows)


def _provisions(context: Context, title: str, clauses: list[Clause]) -> Table:
    say = context.words.say
    annexed = clauses[0].verified != "read"
    rows = [
        [
            _provision(context, clause, annexed),
            say(f"clause.asks.{clause.id}"),
            say(f"clause.{clause.state}"),
            _kinds(context, clause),
            say(f"clause.people.{clause.id}"),
        ]
        for clause in clauses
    ]
    names = ("provision", "asks", "state", "evidence", "people")
    told = dict.fromkeys(say(f"clause.text.{_text(clause)}") for clause in clauses)
    sources = say("join.clauses").join(told)
    note = say("clause.sources", sources=sources)
    whole = table(title, [say(f"column.{name}") for name in names], rows, text_columns=5, limit=len(rows))
    return replace(whole, note=note)


def _family(clause: Clause) -> str:
    """Which instrument a row of the pack is of; its words are in the catalogue, in every language."""
    return clause.id.partition("_")[0]


def _text(clause: Clause) -> str:
    """Which text is meant: one provision was inserted by another regulation."""
    return clause.id if clause.id == "ai_4a" else _family(clause)


def _provision(context: Context, clause: Clause, annexed: bool) -> str:
    say = context.words.say
    name = say(f"clause.name.{clause.id}")
    return f"{say(f'clause.instrument.{_family(clause)}')}, {name}" if annexed else name


def _stale(context: Context) -> str:
    """From which day on the map is not to be relied on; louder where that day had come when the audit ended."""
    found = context.document.clause_map
    if not found:
        return ""
    key = "clause.is_stale" if context.document.audit.ended[:10] >= found[0].stale_from else "clause.stale_from"
    return context.words.say(key, as_of=found[0].as_of, day=found[0].stale_from)


def _kinds(context: Context, clause: Clause) -> str:
    """What the run has, and what it has not; never one without the other."""
    say = context.words.say
    told = [say(f"clause.evidence.{kind}") for kind in clause.evidence]
    return say("join.clauses").join(
        [*told, *(say("clause.missing", kind=say(f"clause.evidence.{kind}")) for kind in clause.missing)]
    )


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
