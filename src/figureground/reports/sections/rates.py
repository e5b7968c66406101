"""Whom the errors hit: sensitivity and false alarms by subgroup, or the recall of the worst of many classes (C3)."""

from __future__ import annotations

from functools import partial
from typing import Any

from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.sections import chosen, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table

#: Classes whose recall is drawn.
_MAX_CLASSES = 12
Panels = list[tuple[str, list[frames.Row]]]


def build(context: Context) -> Chart | None:
    """Two rates of a positive class, or the recall of the classes; None where neither was measured."""
    return _rates(context) or _recalls(context)


def _rates(context: Context) -> Chart | None:
    right = frames.measure_rows(context, "sensitivity")
    alarms = [_turned(row) for row in frames.measure_rows(context, "specificity")]
    say, positive = context.words.say, context.performance.positive
    if positive is None or not chosen.known(right) or not chosen.known(alarms):
        return None
    panels = [(say("rates.sensitivity"), right), (say("rates.alarms"), alarms)]
    alt = [_result(context, "rates.alt_sensitivity", right, 0), _result(context, "rates.alt_alarms", alarms, -1)]
    caption = say("rates.caption", positive=positive)
    return _drawn(context, "rates", panels, " ".join(alt), caption, say("rates.title", positive=positive))


def _recalls(context: Context) -> Chart | None:
    """Recall of a class is the accuracy on the images that are labelled with it."""
    found = [row for row in context.subgroups if row["measure"] == "accuracy" and row["attribute"] == ALL]
    found = [row for row in found if row["label"] not in (None, ALL) and row["estimate"] is not None]
    if len(found) < 2 or context.performance.positive is not None or context.target is not None:
        return None
    worst = sorted(found, key=lambda row: (row["status"] != "ok", row["estimate"], str(row["label"])))
    say = context.words.say
    rows = [row | {"attribute": say("column.label"), "level": row["label"]} for row in worst]
    shown, first = rows[:_MAX_CLASSES], rows[0]
    told = say("rates.recalls_shown", shown=len(shown), n=len(rows)) if len(shown) < len(rows) else ""
    alt = say(
        "rates.alt_recall", worst=first["level"], share=first["estimate"], interval=_interval(first), n=first["n"]
    )
    panel = [(say("rates.recall"), shown)]
    caption = f"{say('rates.caption_recall')} {told}".strip()
    return _drawn(context, "recall", panel, alt, caption, say("rates.title_recall"))


def _drawn(context: Context, name: str, panels: Panels, alt: str, caption: str, title: str) -> Chart:
    say = context.words.say
    kept = chosen.across(context, panels)
    pooled = {panel: mean for panel, rows in panels if (mean := frames.overall(rows)) is not None}
    labels = Words(
        axis=say(f"axis.{name}"),
        n=say("column.n"),
        estimate=say("legend.rate"),
        hollow=say("legend.hollow"),
        pooled=say("legend.overall") if pooled else "",
    )
    frame = frames.chart_frame(context, kept, {})
    draw = partial(interval_chart, frame, labels, pooled=pooled, bounds=(-0.02, 1.02))
    rule = chosen.told(context, panels[0][1], kept[0][1])
    tables = [_table(context, panels)]
    return chart(
        name,
        title,
        lambda width: draw(width=width),
        alt=alt,
        caption=caption + rule,
        brief=context.words.say("chart.brief") if context.brief else "",
        tables=tables,
        single=all(chosen.known(rows) < 2 for _, rows in panels),
    )


def _turned(row: frames.Row) -> frames.Row:
    """The share of false alarms: one minus the specificity, its interval turned."""
    ends = {"estimate": "estimate", "ci_low": "ci_high", "ci_high": "ci_low"}
    return row | {name: None if row[other] is None else 1 - row[other] for name, other in ends.items()}


def _result(context: Context, key: str, rows: list[frames.Row], worst: int) -> str:
    """Over all images, and the worst subgroup by name."""
    ends, mean = frames.extremes(rows), frames.overall(rows)
    if ends is None:
        return context.words.say(f"{key}_overall", mean=mean)
    row = ends[worst]
    known: dict[str, Any] = {"mean": mean, "share": row["estimate"], "interval": _interval(row), "n": row["n"]}
    return context.words.say(key, group=frames.name(context, row), **known)


def _interval(row: frames.Row) -> str:
    return numbers.span(row["ci_low"], row["ci_high"])


def _table(context: Context, panels: Panels) -> Table:
    say = context.words.say
    columns = [say(f"column.{key}") for key in ("subgroup", "measured", "n", "units", "share", "interval")]
    body = [
        [
            frames.noted_name(context, row),
            panel,
            numbers.count(row["n"]),
            numbers.count(row["n_clusters"]),
            numbers.hundredths(row["estimate"]),
            _interval(row),
        ]
        for panel, rows in panels
        for row in rows
    ]
    return table(say("rates.table"), columns, body, text_columns=2, note=more(context, "subgroups.parquet"))
