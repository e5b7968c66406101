"""Where the model looks: share of attribution on the background, by subgroup and method: chart C1."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from figureground.audit.methods.reported import reported_in
from figureground.reports import numbers
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.sections import chosen, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table

Ticks = dict[tuple[str, Any, Any], frames.Row]


def build(context: Context) -> Chart | None:
    """Chart C1 of the report, or None where nothing was measured."""
    words = context.words
    found = [
        (method, frames.measure_rows(context, "background_share", method, sign)) for method, sign in reported(context)
    ]
    panels = [
        (words.term("method", method), rows)
        for method, rows in found
        if any(row["estimate"] is not None for row in rows)
    ]
    if not panels:
        return None
    ticks = _ticks(context)
    kept = chosen.across(context, panels)
    frame = frames.chart_frame(context, kept, ticks)
    labels = Words(
        axis=words.say("axis.background_share"),
        n=words.say("column.n"),
        estimate=words.say("legend.mean"),
        hollow=words.say("legend.hollow"),
        area=words.say("legend.area"),
        floor=words.say("legend.floor"),
        pooled=words.say("legend.overall"),
    )
    # No policy declares a limit on attribution, which alone shows no reliance: there is no line to sort by.
    pooled = {name: mean for name, rows in panels if (mean := frames.overall(rows)) is not None}
    draw = partial(interval_chart, frame, labels, pooled=pooled, bounds=(-0.02, 1.02))
    return chart(
        "background-share",
        words.say("looking.title"),
        lambda width: draw(shapes=True, width=width),
        alt=" ".join(_result(context, panel, rows) for panel, rows in panels),
        caption=_caption(context) + chosen.told(context, panels[0][1], kept[0][1]),
        tables=[_table(context, panels, ticks)],
    )


def reported(context: Context) -> tuple[tuple[str, str], ...]:
    """Methods of the run, each with the sign that is reported."""
    rows = [(row["method"], row["sign"]) for row in context.subgroups if row["method"] and row["sign"]]
    return reported_in(pd.DataFrame(rows, columns=["method", "sign"]))


def _caption(context: Context) -> str:
    plain = context.words.say("looking.caption")
    if context.finding is None:
        return plain
    return f"{context.words.say('looking.caption_finding', finding=context.finding)} {plain}"


def _table(context: Context, panels: list[tuple[str, list[frames.Row]]], ticks: Ticks) -> Table:
    """One row per subgroup: share and interval by method, then the two references."""
    say = context.words.say
    columns = [say("column.subgroup"), say("column.n")]
    for panel, _ in panels:
        columns += [say("column.method_share", method=panel), say("column.interval"), say("column.floor")]
    by_key = [{(row["attribute"], row["level"]): row for row in rows} for _, rows in panels]
    body = []
    for key, first in by_key[0].items():
        line = [frames.noted_name(context, first), _measured(context, first)]
        for (panel, _), rows in zip(panels, by_key, strict=True):
            row = rows.get(key, {})
            line += [
                numbers.hundredths(row.get("estimate")),
                numbers.span(row.get("ci_low"), row.get("ci_high")),
            ]
            line.append(_reference(ticks, panel, "bleed_floor", key))
        body.append([*line, _reference(ticks, panels[0][0], "background_area", key)])
    return table(say("looking.table"), [*columns, say("column.area")], body, note=more(context, "subgroups.parquet"))


def _measured(context: Context, row: frames.Row) -> str:
    """n, and where rows could not enter for want of a mask, of how many."""
    n, given = row["n"], row.get("n_rows")
    if given is None or n == given:
        return numbers.count(n)
    return context.words.say("looking.n_of", n=int(n), given=int(given))


def _reference(ticks: Ticks, panel: str, measure: str, key: tuple[str, str]) -> str:
    return numbers.hundredths(ticks.get((panel, measure, key), {}).get("estimate"))


def _ticks(context: Context) -> Ticks:
    """Reference rows by panel, measure and subgroup; a row without method holds for every method."""
    ticks: Ticks = {}
    for method, _ in reported(context):
        panel = context.words.term("method", method)
        for measure in ("background_area", "bleed_floor"):
            for row in frames.measure_rows(context, measure):
                if row["method"] in (None, method):
                    ticks.setdefault((panel, measure, (row["attribute"], row["level"])), row)
    return ticks


def _result(context: Context, panel: str, rows: list[frames.Row]) -> str:
    mean = numbers.percent(frames.overall(rows))
    ends = frames.extremes(rows)
    if ends is None:
        return context.words.say("looking.alt_overall", method=panel, mean=mean)
    low, high = ends
    return context.words.say(
        "looking.alt",
        method=panel,
        mean=mean,
        low=frames.name(context, low),
        low_share=low["estimate"],
        high=frames.name(context, high),
        high_share=high["estimate"],
    )
