"""Differences as dots with their intervals, one chart for cues, one for accuracy and attribution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from figureground.audit.compare.document import Difference, GroupChange
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.comparison import tables
from figureground.reports.comparison.words import Told
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.sections.charts import chart
from figureground.reports.sections.frames import MAX_CHART_ROWS
from figureground.reports.view import Chart, Table

#: Scales whose differences are shares and stand on one axis.
_SHARES = ("decision", "probability", "share")
Rows = Sequence[tuple[str, str, Difference]]


def cue_chart(told: Told) -> Chart:
    """What changed about the cues; effects on other scales stand in the table alone."""
    found = [
        ("", told.cue(item.cue, item.finding), item.difference)
        for item in told.document.cues
        if item.difference is not None and item.difference.scale in _SHARES
    ]
    effects = tables.effect_table(told)
    shown = (tables.cue_table(told), *(() if effects is None else (effects,)))
    return _drawn(told, "cues", found, shown)


def measure_chart(told: Told) -> Chart:
    """What changed about accuracy and attribution, with every subgroup."""
    measures = [
        (item.finding or "", told.short(item), item.difference) for item in told.document.measures if item.difference
    ]
    groups = [(_heading(told, item), _level(item), item.difference) for item in told.document.groups]
    group_table = tables.group_table(told)
    shown = (tables.measure_table(told), *(() if group_table is None else (group_table,)))
    return _drawn(told, "measures", [*measures, *groups], shown)


def _heading(told: Told, item: GroupChange) -> str:
    name = told.label if item.attribute == ALL else item.attribute
    words = told.words.say("compare.chart.groups", attribute=name)
    return words if item.finding is None else told.of(item.finding, words)


def _level(item: GroupChange) -> str:
    return ", ".join(name for name in (item.level, item.label) if name != ALL)


def _drawn(told: Told, name: str, rows: Rows, shown: tuple[Table, ...]) -> Chart:
    say = told.words.say
    known = [(group, row, found) for group, row, found in rows if found.estimate is not None][:MAX_CHART_ROWS]
    title = say(f"compare.chart.{name}")
    panel = say("compare.chart.panel")
    frame = pd.DataFrame([_row(panel, *one) for one in known], columns=_COLUMNS)
    line = told.document.policy["delta_material"]
    draw = partial(interval_chart, frame, _words(told), pooled={panel: 0.0}, limits=(-line, line))
    if not known:
        return Chart(f"chart-{name}", title, None, None, say("compare.chart.none"), "", shown, failed="")
    return chart(
        f"chart-{name}",
        title,
        lambda width: draw(width=width),
        alt=_alt(told, known),
        caption=_caption(told),
        tables=shown,
    )


_COLUMNS = ["panel", "group", "row", "estimate", "ci_low", "ci_high", "n", "hollow", "area", "floor"]


def _row(panel: str, group: str, row: str, found: Difference) -> dict[str, Any]:
    nan = float("nan")
    return {
        "panel": panel,
        "group": group,
        "row": row,
        "estimate": nan if found.estimate is None else found.estimate,
        "ci_low": nan if found.ci_low is None else found.ci_low,
        "ci_high": nan if found.ci_high is None else found.ci_high,
        "n": found.n,
        "hollow": found.smallest is None or found.smallest > found.line,
        "area": nan,
        "floor": nan,
    }


def _words(told: Told) -> Words:
    say = told.words.say
    return Words(
        axis=say("compare.chart.axis"),
        n=say("column.n"),
        estimate=say("compare.chart.estimate"),
        hollow=say("compare.chart.hollow"),
        pooled=say("compare.chart.zero"),
        limit=say("compare.chart.line"),
    )


def _alt(told: Told, rows: Rows) -> str:
    """The result in words: the largest rise and the largest fall."""
    say = told.words.say
    shown = [
        (name if not group else f"{group}, {name}", found)
        for group, name, found in rows
        if found.ci_low is not None and found.ci_high is not None and not found.ci_low <= 0 <= found.ci_high
    ]
    if not shown:
        return say("compare.chart.alt_none", n=len(rows))
    name, found = max(shown, key=lambda item: abs(item[1].estimate or 0.0))
    interval = numbers.span(found.ci_low, found.ci_high)
    change = numbers.signed(found.estimate)
    return say("compare.chart.alt", n=len(rows), shown=len(shown), name=name, difference=change, interval=interval)


def _caption(told: Told) -> str:
    return told.words.say(f"compare.chart.caption.{told.document.rows.how}")
