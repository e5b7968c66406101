"""The data beside the population of reference that a person gave: which levels are missing, rare or too frequent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from figureground.audit.document.audit_json import HumanInput
from figureground.reports import numbers
from figureground.reports.sections import frames
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Table, table


@dataclass(frozen=True)
class Population:
    """Who gave the reference, and the two sets of shares."""

    lead: str
    table: Table


def build(context: Context) -> Population | None:
    """The comparison; None where nobody gave shares. Counts are of the rows that were used, and estimate nothing."""
    given = next((item for item in context.document.human_inputs if item.shares), None)
    if given is None or given.shares is None:
        return None
    say = context.words.say
    rows = [row for attribute in given.shares for row in _rows(context, given.shares, attribute)]
    names = ("column.subgroup", "column.n", "population.here", "population.reference", "population.difference")
    columns = [*(say(name) for name in names), say("population.remark")]
    whole = table(say("population.table"), columns, rows, note=more(context, "audit.json"), limit=40)
    # The remark is words.
    return Population(_lead(context, given), replace(whole, numeric=frozenset(range(1, len(names)))))


def _lead(context: Context, given: HumanInput) -> str:
    return context.words.say("population.lead", by=given.by or "", at=given.at or "")


def _rows(context: Context, shares: dict[str, dict[str, float]], attribute: str) -> Iterator[list[str]]:
    say, reference = context.words.say, shares[attribute]
    counts = _counts(context, attribute)
    if counts is None:
        for level, share in reference.items():
            pair = frames.pair(attribute, level)
            yield [
                pair,
                numbers.NONE,
                numbers.NONE,
                numbers.hundredths(share),
                numbers.NONE,
                say("population.no_column"),
            ]
        return
    for level in dict.fromkeys([*reference, *counts]):
        # What an edition hides cannot be told from what was never there.
        n = counts.get(level, None if _hides(context) else 0)
        yield _row(context, frames.pair(attribute, level), n, reference.get(level))


def _row(context: Context, name: str, n: int | None, reference: float | None) -> list[str]:
    here = None if n is None else n / max(1, context.document.data.ok)
    return [
        name,
        numbers.count(n),
        numbers.hundredths(here),
        numbers.hundredths(reference),
        numbers.signed(here - reference) if here is not None and reference is not None else numbers.NONE,
        _remark(context, n, reference),
    ]


def _remark(context: Context, n: int | None, reference: float | None) -> str:
    if reference is None:
        return context.words.say("population.not_given")
    if n is None:
        return context.words.say("population.suppressed")
    return context.words.say("population.absent") if n == 0 else ""


def _hides(context: Context) -> bool:
    edition = context.document.edition
    return edition is not None and edition.threshold is not None


def _counts(context: Context, attribute: str) -> dict[str, int] | None:
    """Used rows of each level, or of each label; None where no subgroups go by that name."""
    data = context.document.data
    if attribute == "label":
        return dict(data.labels)
    found = next((group for group in data.groups if group.attribute == attribute), None)
    return None if found is None else {level.level: level.n for level in found.levels}
