"""Which subgroups a chart shows where there are more than can be read, by one rule that is said beneath it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from figureground.audit.keeping.tables import ALL
from figureground.reports.sections.context import Context
from figureground.reports.sections.frames import MAX_CHART_ROWS, Row

Key = Callable[[Row], float | None]
Panels = list[tuple[str, list[Row]]]


def chosen(context: Context, rows: list[Row], of: Key, limit: int = MAX_CHART_ROWS) -> list[Row]:
    """All images and the kinds of background first, then the subgroups farthest from all images, in stored order."""
    if len(rows) <= limit:
        return rows
    whole = next((of(row) for row in rows if row["attribute"] == ALL and row["label"] in (None, ALL)), None) or 0.0

    def rank(at: int) -> tuple[bool, bool, float, int]:
        row, value = rows[at], of(rows[at])
        place = value is None, -abs((value or 0.0) - whole), at
        return (row["attribute"] != ALL or row["label"] not in (None, ALL), not _foremost(context, row), *_flat(place))

    kept = sorted(sorted(range(len(rows)), key=rank)[:limit])
    return [rows[at] for at in kept]


def across(context: Context, panels: Panels, limit: int = MAX_CHART_ROWS) -> Panels:
    """The same subgroups in every panel: those that lie farthest from all images in any of them."""
    far: dict[tuple[Any, ...], float] = {}
    for _, rows in panels:
        whole = next((estimate(row) for row in rows if row["attribute"] == ALL), None) or 0.0
        for row in rows:
            if row["estimate"] is not None:
                far[_key(row)] = max(far.get(_key(row), 0.0), abs(row["estimate"] - whole))
    every = {_key(row): row for _, rows in panels for row in rows}
    kept = {_key(row) for row in chosen(context, list(every.values()), lambda row: far.get(_key(row)), limit)}
    return [(name, [row for row in rows if _key(row) in kept]) for name, rows in panels]


def _key(row: Row) -> tuple[Any, ...]:
    return row["attribute"], row["level"], row["label"]


def known(rows: list[Row]) -> int:
    """How many rows have an estimate: a chart needs two."""
    return sum(row["estimate"] is not None for row in rows)


def told(context: Context, rows: list[Row], shown: list[Row]) -> str:
    """How many of how many are drawn, and by which rule; empty where all are."""
    if len(shown) == len(rows):
        return ""
    return " " + context.words.say("chosen.rule", shown=len(shown), n=len(rows))


def estimate(row: Row) -> float | None:
    """The estimate of a row."""
    return None if row["estimate"] is None else float(row["estimate"])


def _foremost(context: Context, row: Row) -> bool:
    return bool(row["attribute"] == ALL or context.is_environment(row["attribute"]) or row.get("crossed"))


def _flat(place: tuple[bool, float, int]) -> tuple[float, int]:
    """Subgroups without a value behind all others."""
    missing, distance, at = place
    return (float("inf") if missing else distance), at
