"""The last lines of ``figureground compare``: what changed, in words."""

from __future__ import annotations

from figureground.audit.compare.document import ComparisonDocument, CueChange, Difference
from figureground.reports.catalogue import load
from figureground.reports.comparison.cards import gate_lines, headline
from figureground.reports.comparison.words import Told
from figureground.reports.numbers import level, written_in
from figureground.visible import one_line


def comparison_lines(document: ComparisonDocument, lang: str = "en") -> list[str]:
    """Rows in common, every cue and measure, and what the gate says."""
    words = load(lang)
    with written_in(words.style):
        return _lines(Told(document, words))


def _lines(told: Told) -> list[str]:
    document = told.document
    rows, say = document.rows, told.words.say
    found = [headline(told)]
    if rows.how == "paired":
        found.append(say("compare.line.rows", n=rows.common, first=rows.only_first, second=rows.only_second))
    else:
        found.append(say("compare.line.aggregates", reason=told.reason(rows.reason)))
    found += [told.of(told.cue(item.cue, item.finding), _state(told, item)) for item in document.cues]
    found += [
        told.of(told.measure(item), f"{told.measured(item).words}{_numbers(told, item.difference)}")
        for item in document.measures
    ]
    return list(map(one_line, [*found, *gate_lines(told)]))


def _state(told: Told, item: CueChange) -> str:
    states = f"{told.audit_state(item, 'first')} → {told.audit_state(item, 'second')}"
    reason = told.reason(item.reason)
    words = told.chip(item.state).words + (f" ({reason})" if reason else "")
    return told.words.clauses([words, f"{states}{_numbers(told, item.difference)}"])


def _numbers(told: Told, found: Difference | None) -> str:
    if found is None or found.estimate is None:
        return ""
    scale = told.scale(found)
    return told.words.say(
        "compare.line.numbers",
        difference=told.moved(found),
        level=level(told.level(found)),
        interval=scale.span(found.ci_low, found.ci_high),
        n=found.n,
        units=found.n_clusters,
    )
