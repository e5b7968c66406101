"""What identifies an audit on its first page: the system, the model, the data, the audit, and this copy of it."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.reports import numbers
from figureground.reports.sections.context import Context


@dataclass(frozen=True)
class Fact:
    """A label, a value, the whole value where the shown one is shortened, and whether it takes two columns."""

    label: str
    value: str
    whole: str = ""
    wide: bool = False


def build(context: Context) -> tuple[Fact, ...]:
    """The facts of the first page, in the order in which one asks for them."""
    return (*_subject(context), *_audit(context), *_copy(context))


def _subject(context: Context) -> tuple[Fact, ...]:
    data, subject, say = context.document.data, context.document.subject, context.words.say
    return (
        Fact(say("fact.system"), _system(context)),
        Fact(say("fact.model"), subject.architecture),
        Fact(say("fact.model_sha256"), subject.model_sha256 or numbers.NONE, wide=subject.model_sha256 is not None),
        Fact(say("fact.images"), say("fact.images_value", ok=data.ok, given=data.given)),
        Fact(say("fact.backgrounds"), _backgrounds(context)),
    )


def _audit(context: Context) -> tuple[Fact, ...]:
    audit, say = context.document.audit, context.words.say
    facts = [
        Fact(say("fact.audit"), audit.id),
        Fact(say("fact.date"), _dates(context), f"{audit.started} / {audit.ended}"),
        Fact(say("fact.tool"), f"{audit.tool.name} {audit.tool.version}"),
    ]
    if audit.judged is not None:
        value = say("fact.judged_value", day=_day(context, audit.judged.at), first=audit.judged.first_id)
        facts.append(Fact(say("fact.judged"), value, audit.judged.of))
    return tuple(facts)


def _copy(context: Context) -> tuple[Fact, ...]:
    edition, say = context.document.edition, context.words.say
    return (
        Fact(say("fact.edition"), say(f"fact.edition.{'internal' if edition is None else edition.name}")),
        Fact(say("fact.language"), say("fact.language_value")),
        Fact(say("fact.signature"), say("fact.unsigned")),
    )


def _system(context: Context) -> str:
    """What people call the system, and which version of it; said to be missing where nobody told."""
    told = {item.field: item.value for item in context.document.human_inputs}
    parts = [part for part in (told.get("system name"), told.get("system version")) if part]
    return " ".join(parts) or context.words.say("fact.no_system")


def _day(context: Context, stamp: str) -> str:
    return numbers.day(stamp, context.words.say("date.months").split())


def _dates(context: Context) -> str:
    """The day of the audit, or its first and its last."""
    audit = context.document.audit
    first, last = _day(context, audit.started), _day(context, audit.ended)
    return last if first == last else numbers.between(first, last)


def _backgrounds(context: Context) -> str:
    data = context.document.data
    if not data.environments:
        return context.words.say("fact.no_backgrounds")
    levels = [f"{level} ({numbers.count(n)})" for level, n in sorted(data.environments.items())]
    shown = ", ".join(levels[:6])
    return shown if len(levels) <= 6 else context.words.say("fact.and_more", shown=shown, n=len(levels) - 6)
