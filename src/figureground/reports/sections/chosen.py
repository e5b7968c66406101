"""Which subgroups a chart shows where there are more than can be read, by one rule that is said beneath it."""

from __future__ import annotations

from collections.abc import Callable

from figureground.audit.tables import ALL
from figureground.reports.sections.context import Context
from figureground.reports.sections.frames import MAX_CHART_ROWS, Row

Key = Callable[[Row], float | None]


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
