"""How much denser attribution is on the background than on the object, by subgroup and method: chart C2."""

from __future__ import annotations

from functools import partial
from math import exp, log
from typing import Any

from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.sections import chosen, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.sections.looking import reported
from figureground.reports.view import Chart, Table, table

Panels = list[tuple[str, list[frames.Row]]]
_ENDS = ("estimate", "ci_low", "ci_high")


def build(context: Context) -> Chart | None:
    """The chart, or None where nothing was measured."""
    panels = by_method(context)
    if not panels:
        return None
    words = context.words
    every = [row for _, rows in panels for row in rows]
    kept = chosen.across(context, panels)
    labels = Words(
        axis=words.say("axis.enrichment"),
        n=words.say("column.n"),
        estimate=words.say("legend.mean"),
        hollow=words.say("legend.hollow"),
        pooled=words.say("legend.overall"),
        limit=words.say("legend.no_preference"),
    )
    frame = frames.chart_frame(context, [(name, [_doublings(row) for row in rows]) for name, rows in kept], {})
    pooled = {name: mean / log(2) for name, rows in panels if (mean := frames.overall(rows)) is not None}
    draw = partial(interval_chart, frame, labels, pooled=pooled, limits=(0.0,), bounds=_bounds(every))
    return chart(
        "enrichment",
        words.say("enrichment.title"),
        lambda width: draw(write=written, shapes=True, width=width),
        alt=" ".join(_result(context, name, rows) for name, rows in panels),
        caption=words.say("enrichment.caption") + chosen.told(context, panels[0][1], kept[0][1]),
        brief=context.words.say("chart.brief") if context.brief else "",
        tables=[_table(context, panels)],
        single=all(chosen.known(rows) < 2 for _, rows in panels),
    )


def by_method(context: Context) -> Panels:
    """Log density ratios of every reported method, those with an estimate."""
    found = [
        (context.words.term("method", method), frames.measure_rows(context, "ldr", method, sign))
        for method, sign in reported(context)
    ]
    return [(name, rows) for name, rows in found if chosen.known(rows)]


def written(value: float) -> str:
    """A power of two as the ratio that it is.

    >>> written(1.0), written(-2.0), written(0.0)
    ('×2', '÷4', '1')
    """
    if value == 0:
        return "1"
    ratio = numbers.general(2.0 ** abs(value))
    return f"×{ratio}" if value > 0 else f"÷{ratio}"


def ratio(value: float | None) -> str:
    """A log ratio as the ratio, to two decimals."""
    return numbers.NONE if value is None else numbers.fixed(exp(value), 2)


def _doublings(row: frames.Row) -> frames.Row:
    return row | {name: None if row[name] is None else row[name] / log(2) for name in _ENDS}


def _bounds(rows: list[frames.Row]) -> tuple[float, float]:
    """The same distance either side of no preference: what lies beyond it is seen at once."""
    known = [abs(row[name]) / log(2) for row in rows for name in _ENDS if row[name] is not None]
    reach = max(1.0, 1.1 * max(known))
    return -reach, reach


def _result(context: Context, name: str, rows: list[frames.Row]) -> str:
    whole, ends = next(row for row in rows if row["attribute"] == ALL), frames.extremes(rows)
    span = numbers.between(ratio(whole["ci_low"]), ratio(whole["ci_high"]))
    known: dict[str, Any] = {"method": name, "ratio": ratio(whole["estimate"]), "interval": span}
    if ends is None:
        return context.words.say("enrichment.alt_overall", **known)
    for key, row in zip(("low", "high"), ends, strict=True):
        known |= {key: frames.name(context, row), f"{key}_ratio": ratio(row["estimate"])}
    return context.words.say("enrichment.alt", **known)


def _table(context: Context, panels: Panels) -> Table:
    say = context.words.say
    columns = [say(f"column.{key}") for key in ("subgroup", "method", "n", "units", "density_ratio", "interval")]
    body = [
        [
            frames.noted_name(context, row),
            name,
            numbers.count(row["n"]),
            numbers.count(row["n_clusters"]),
            ratio(row["estimate"]),
            numbers.NONE if row["ci_low"] is None else numbers.between(ratio(row["ci_low"]), ratio(row["ci_high"])),
        ]
        for name, rows in panels
        for row in rows
    ]
    note = more(context, "subgroups.parquet")
    return table(say("enrichment.table"), columns, body, text_columns=2, note=note)
