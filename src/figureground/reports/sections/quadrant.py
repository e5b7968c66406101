"""Where the maps look against what the answers follow, by subgroup: chart C8.

Attribution alone neither demonstrates reliance nor clears it; the chart shows where the two kinds of evidence agree and
where they do not, and the state of the cue stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import log
from typing import Any

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.quadrant import Corners, quadrant_chart
from figureground.reports.sections import enrichment, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table

_ENDS = ("estimate", "ci_low", "ci_high")
_CORNERS = ("looks_and_uses", "looks_only", "uses_only", "neither")


def build(context: Context) -> Chart | None:
    """The chart, or None where no subgroup has both, or no limit was declared."""
    limit = context.document.policy.get("delta_material")
    effects = {
        (row["attribute"], row["level"]): row
        for row in frames.measure_rows(context, "changed_minus_same")
        if row["cue"] == BACKGROUND and row["estimate"] is not None
    }
    points = [
        _point(context, method, row, effect)
        for method, rows in enrichment.by_method(context)
        for row in rows
        if row["estimate"] is not None and (effect := effects.get((row["attribute"], row["level"]))) is not None
    ]
    if limit is None or all(point["whole"] for point in points):
        return None
    say, frame = context.words.say, pd.DataFrame(points)
    words = Corners(*(say(f"quadrant.{name}") for name in _CORNERS))
    legend = (say("subgroup.all"), say("legend.subgroup"))
    labels: dict[str, Any] = {"x": say("axis.enrichment"), "y": say("axis.flips_beyond"), "legend": legend}
    draw = partial(quadrant_chart, frame, words, limit=float(limit), write=enrichment.written, **labels)
    return chart(
        "quadrant",
        say("quadrant.title"),
        lambda width: draw(width=width),
        alt=_result(context, frame, float(limit)),
        caption=say("quadrant.caption", limit=limit),
        brief=context.words.say("chart.brief") if context.brief else "",
        tables=[_table(context, frame, float(limit))],
    )


def _point(context: Context, method: str, row: frames.Row, effect: frames.Row) -> dict[str, Any]:
    """One mark: density ratios in doublings, effects as shares."""
    doublings = {name: frames.number(row[name]) / log(2) for name in _ENDS}
    shares = {name: frames.number(effect[name]) for name in _ENDS}
    names = ("", "_low", "_high")
    return {
        "panel": method,
        "name": str(row["level"]) if row["attribute"] != ALL else context.words.say("subgroup.all"),
        "full": frames.name(context, row),
        "whole": row["attribute"] == ALL,
        "hollow": "ok" not in (row["status"], effect["status"]) or row["status"] != effect["status"],
        **{f"x{end}": doublings[name] for end, name in zip(names, _ENDS, strict=True)},
        **{f"y{end}": shares[name] for end, name in zip(names, _ENDS, strict=True)},
        "n": int(effect["n"]),
    }


def quarter(x: float, y: float, limit: float) -> str:
    """Which reading a value has by itself, whatever its interval.

    >>> quarter(0.4, 0.3, 0.1), quarter(0.4, 0.0, 0.1), quarter(-1.0, 0.3, 0.1), quarter(-1.0, 0.0, 0.1)
    ('looks_and_uses', 'looks_only', 'uses_only', 'neither')
    """
    if y >= limit:
        return "looks_and_uses" if x > 0 else "uses_only"
    return "looks_only" if x > 0 else "neither"


def decided(point: Mapping[Any, Any], limit: float) -> bool:
    """Whether both intervals lie within one quarter."""
    ends = [(point[x], point[y]) for x in ("x_low", "x_high") for y in ("y_low", "y_high")]
    known = all(pd.notna(value) for pair in ends for value in pair)
    return known and len({quarter(x, y, limit) for x, y in ends}) == 1


def _result(context: Context, frame: pd.DataFrame, limit: float) -> str:
    """By method: how many subgroups lie in each quarter, and how many with both of their intervals."""
    say, parts = context.words.say, []
    for method, part in frame[~frame["whole"]].groupby("panel", sort=False):
        points = part.to_dict("records")
        found = [quarter(point["x"], point["y"], limit) for point in points]
        counts = [say(f"quadrant.count.{name}", n=found.count(name)) for name in _CORNERS if name in found]
        within = sum(decided(point, limit) for point in points)
        known = {"method": method, "n": len(points), "counts": context.words.clauses(counts), "within": within}
        parts.append(say("quadrant.alt", **known))
    return " ".join(parts)


def _table(context: Context, frame: pd.DataFrame, limit: float) -> Table:
    say = context.words.say
    columns = [say(f"column.{key}") for key in ("subgroup", "method", "reading")]
    columns += [say(f"column.{key}") for key in ("density_ratio", "interval", "paired", "interval", "n")]
    body = [_row(context, point, limit) for point in frame.to_dict("records")]
    note = more(context, "subgroups.parquet")
    return table(say("quadrant.table"), columns, body, text_columns=3, note=note)


def _row(context: Context, point: Mapping[Any, Any], limit: float) -> list[str]:
    say, doubled = context.words.say, log(2)
    words = say(f"quadrant.{quarter(point['x'], point['y'], limit)}")
    low, high = (enrichment.ratio(point[name] * doubled) for name in ("x_low", "x_high"))
    return [
        point["full"],
        point["panel"],
        words if decided(point, limit) else say("quadrant.undecided", reading=words),
        enrichment.ratio(point["x"] * doubled),
        numbers.between(low, high) if pd.notna(point["x_low"]) else numbers.NONE,
        numbers.signed(point["y"]),
        numbers.span(point["y_low"], point["y_high"]),
        numbers.count(point["n"]),
    ]
