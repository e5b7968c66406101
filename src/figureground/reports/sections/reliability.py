"""Do stated probabilities come true: bins of all images, of the worst calibrated groups, and of the best."""

from __future__ import annotations

import pandas as pd

from figureground.audit.document.audit_json import Reliability
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.reliability import Panel, reliability_chart
from figureground.reports.sections import frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table


def build(context: Context) -> Chart | None:
    """The diagram; None where the run has no bins."""
    found = [one for one in context.performance.reliability if one.bins]
    if not found:
        return None
    say = context.words.say
    panels = [_panel(context, one) for one in found]
    return chart(
        "reliability",
        say("reliability.title"),
        lambda width: reliability_chart(
            panels, stated=say("reliability.stated"), observed=say("reliability.observed"), width=width
        ),
        alt=" ".join(_sentence(context, one) for one in found),
        caption=_caption(context),
        tables=[_errors(context, found), _bins(context, found)],
    )


def _caption(context: Context) -> str:
    positive = context.performance.positive
    asked = "reliability.of_answer" if positive is None else "reliability.of_class"
    parts = (context.words.say(asked, name=positive or ""), context.words.say("reliability.caption"))
    return " ".join(parts)


def _panel(context: Context, one: Reliability) -> Panel:
    error = one.error
    line = context.words.say(
        "reliability.line", error=numbers.hundredths(error.estimate), n=_sizes(one), interval=_error_span(one)
    )
    rows = [
        {"stated": part.stated, **{name: getattr(part.observed, name) for name in ("estimate", "ci_low", "ci_high")}}
        for part in one.bins
    ]
    return Panel(_name(context, one), line, pd.DataFrame(rows).astype(float))


def _sentence(context: Context, one: Reliability) -> str:
    """The error with its interval, and whether a calibrated model would show as much."""
    low, high = one.error.ci_low, one.null.ci_high
    beyond = one.error.estimate is not None and high is not None and one.error.estimate > high and bool(low)
    return context.words.say(
        "reliability.alt_beyond" if beyond else "reliability.alt_within",
        group=_name(context, one),
        error=numbers.hundredths(one.error.estimate),
        interval=_error_span(one),
        null=numbers.hundredths(one.null.estimate),
    )


def _name(context: Context, one: Reliability) -> str:
    return context.words.say("subgroup.all") if one.attribute == ALL else frames.pair(one.attribute, one.level)


def _sizes(one: Reliability) -> str:
    sizes = [part.observed.n for part in one.bins]
    low, high = numbers.count(min(sizes)), numbers.count(max(sizes))
    return low if low == high else numbers.between(low, high)


def _error_span(one: Reliability) -> str:
    return numbers.span(one.error.ci_low, one.error.ci_high)


def _errors(context: Context, found: list[Reliability]) -> Table:
    say = context.words.say
    rows = [
        [
            _name(context, one),
            numbers.count(one.error.n),
            numbers.hundredths(one.error.estimate),
            _error_span(one),
            numbers.hundredths(one.null.estimate),
            numbers.count(len(one.bins)),
        ]
        for one in found
    ]
    names = ("column.subgroup", "column.n", "reliability.error", "column.interval", "reliability.null")
    columns = [*map(say, names), say("reliability.bins")]
    return table(say("reliability.errors"), columns, rows)


def _bins(context: Context, found: list[Reliability]) -> Table:
    """Those of all images; what is left out is said, and where it stands."""
    say = context.words.say
    rows = [
        [
            _name(context, one),
            numbers.between(numbers.hundredths(part.low), numbers.hundredths(part.high)),
            numbers.count(part.observed.n),
            numbers.hundredths(part.stated),
            numbers.hundredths(part.observed.estimate),
            numbers.span(part.observed.ci_low, part.observed.ci_high),
        ]
        for one in found
        for part in one.bins
    ]
    names = (
        "column.subgroup",
        "reliability.bin",
        "column.n",
        "reliability.stated_mean",
        "reliability.observed",
        "column.interval",
    )
    columns = [say(name) for name in names]
    caption, note = say("reliability.table"), more(context, "audit.json")
    return table(caption, columns, rows, note=note, limit=len(found[0].bins))
