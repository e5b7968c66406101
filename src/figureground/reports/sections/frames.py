"""From the subgroup table to the frame that an interval chart draws and the table beneath it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Table, table

Row = dict[str, Any]
#: Rows of one chart; a chart with more is no longer read.
MAX_CHART_ROWS = 24


def measure_rows(context: Context, measure: str, method: str | None = None, sign: str | None = None) -> list[Row]:
    """Rows of one measure over all labels, the overall row first, then by attribute in stored order."""
    found = [
        row
        for row in context.subgroups
        if row["measure"] == measure
        and row["label"] in (None, ALL)
        and (method is None or row["method"] == method)
        and (sign is None or row["sign"] == sign)
    ]
    order = {name: index for index, name in enumerate(dict.fromkeys(row["attribute"] for row in found))}
    # The strata first: they are what the audit is about.
    return sorted(
        found,
        key=lambda row: (
            row["attribute"] != ALL,
            not context.is_environment(row["attribute"]),
            order[row["attribute"]],
        ),
    )


def crossing_rows(context: Context, measure: str, limit: int = 12) -> list[Row]:
    """Rows of label x kind of background: with a model that follows it, only these show whom it fails."""
    found = [
        row
        for row in context.subgroups
        if row["measure"] == measure and row["label"] not in (None, ALL) and context.is_environment(row["attribute"])
    ]
    say = context.words.say
    return [
        row
        | {
            "crossed": True,
            "attribute": say("subgroup.crossing", attribute=row["attribute"]),
            "level": say("subgroup.crossing_level", level=row["level"], label=row["label"]),
        }
        for row in found[:limit]
    ]


def chart_frame(
    context: Context, panels: Iterable[tuple[str, list[Row]]], ticks: dict[tuple[str, Any, Any], Row]
) -> pd.DataFrame:
    """Frame for ``interval_chart``; ``ticks`` holds the reference rows by panel, measure and subgroup."""
    rows = []
    for panel, found in panels:
        for row in found[:MAX_CHART_ROWS]:
            key = (row["attribute"], row["level"])
            rows.append(
                {
                    "panel": panel,
                    "group": "" if row["attribute"] == ALL else attribute(context, row),
                    "row": context.words.say("subgroup.all") if row["attribute"] == ALL else str(row["level"]),
                    **{name: number(row[name]) for name in ("estimate", "ci_low", "ci_high")},
                    "n": int(row["n"] or 0),
                    "hollow": row["status"] != "ok",
                    "area": number(ticks.get((panel, "background_area", key), {}).get("estimate")),
                    "floor": number(ticks.get((panel, "bleed_floor", key), {}).get("estimate")),
                }
            )
    return pd.DataFrame(rows)


def name(context: Context, row: Row) -> str:
    """A subgroup as attribute = level."""
    if row["attribute"] == ALL:
        return context.words.say("subgroup.all")
    return pair(attribute(context, row), row["level"])


def attribute(context: Context, row: Row) -> str:
    """The attribute, marked where it was asked for after the run only."""
    plain = str(row["attribute"])
    return context.words.say("subgroup.exploratory", attribute=plain) if row["origin"] == "exploratory" else plain


def pair(attribute: str, level: str) -> str:
    """Attribute and level, kept on one line where it fits."""
    return f"{attribute}\u00a0=\u00a0{level}"


def estimate_table(context: Context, caption: str, rows: list[Row], *, scale: EffectScale | None = None) -> Table:
    """n, estimate, interval, and what this n can show and exclude; of effects on a scale, otherwise of shares."""
    known = EffectScale(None) if scale is None else scale
    write = numbers.hundredths if scale is None else known.amount
    say = context.words.say
    unit = say("column.share" if scale is None else known.key("column.effect"), unit=known.unit or say("column.own"))
    columns = [
        say("column.subgroup"),
        say("column.n"),
        say("column.units"),
        unit,
        say("column.interval"),
        say("column.min_detectable"),
        say("column.certifiable"),
    ]
    body = [
        [
            noted_name(context, row),
            numbers.count(row["n"]),
            numbers.count(row["n_clusters"]),
            write(row["estimate"]),
            known.span(row["ci_low"], row["ci_high"]),
            known.size(row.get("min_detectable")),
            known.size(row.get("certifiable")),
        ]
        for row in rows
    ]
    return table(caption, columns, body, note=more(context, "subgroups.parquet"))


def noted_name(context: Context, row: Row) -> str:
    """A subgroup, with what keeps its estimate from being judged."""
    plain = row["status"] == "ok" and not row.get("reason")
    return name(context, row) if plain else f"{name(context, row)} ({status(context, row)})"


def status(context: Context, row: Row) -> str:
    """The status of an estimate in words, with the reason where there is one."""
    words = context.words.term("estimate_status", row["status"])
    if row["status"] == "ok":
        return context.words.term("reason", row["reason"])
    reason = context.words.term("reason", row["reason"]) if row.get("reason") else ""
    return context.words.say("join.reason", words=words, reason=reason) if reason else words


def extremes(rows: list[Row]) -> tuple[Row, Row] | None:
    """The rows with the smallest and the largest estimate among those that can be judged."""
    judged = [row for row in rows if row["estimate"] is not None and row["status"] == "ok" and row["attribute"] != ALL]
    if not judged:
        return None
    return min(judged, key=lambda row: row["estimate"]), max(judged, key=lambda row: row["estimate"])


def overall(rows: list[Row]) -> float | None:
    """The estimate over all rows, where there is one."""
    return next((row["estimate"] for row in rows if row["attribute"] == ALL), None)


def number(value: Any) -> float:
    """A value for a frame: NaN where there is none."""
    return float("nan") if value is None else float(value)
