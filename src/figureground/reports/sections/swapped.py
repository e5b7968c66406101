"""What becomes of the answers of every subgroup when only one cue differs: charts C5 and C6."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.arms import Words, arms_chart
from figureground.reports.sections import chosen, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, cue_name, more
from figureground.reports.sections.cues import foremost
from figureground.reports.view import Chart, Table, table

Row = frames.Row
#: The measures of the two charts: see ``judge.group_answers``.
_FLIPS = ("changed_other_level", "changed_same_level")
_MORE = "changed_minus_same"
_UNCHANGED = "unchanged"
_ARMS = (_UNCHANGED, "same_level", "other_level", "object_only", "background_only")
#: Five marks to a row take room.
_MAX_ARM_ROWS = 10


def flips(context: Context) -> tuple[Chart, ...]:
    """How often answers change with a value of another kind, and of the same kind, one chart per cue told in full."""
    found = (_flips(context, cue) for cue in foremost(context))
    return tuple(one for one in found if one is not None)


def _flips(context: Context, cue: str) -> Chart | None:
    rows = {measure: _rows(context, measure, cue) for measure in (*_FLIPS, _MORE)}
    first = rows[_FLIPS[0]]
    if not chosen.known(first):
        return None
    say, kind = context.words.say, "background" if cue == BACKGROUND else "other"
    shown = chosen.chosen(context, first, chosen.estimate)
    names = {measure: say(f"flips.{measure}.{kind}") for measure in _FLIPS}
    lines = [
        _line(context, row, names[measure], beside)
        for row in shown
        for measure in _FLIPS
        if (beside := _by_key(rows[measure]).get(_key(row))) is not None
    ]
    words = Words(axis=say("axis.flips"), n=say("column.n"))
    draw = partial(arms_chart, pd.DataFrame(lines), words)
    return chart(
        f"flips-{''.join(c for c in cue if c.isalnum())}",
        say("flips.title", cue=cue_name(context, cue)),
        lambda width: draw(width=width),
        alt=_flip_result(context, rows),
        caption=say(f"flips.caption.{kind}") + chosen.told(context, first, shown),
        brief=context.words.say("chart.brief") if context.brief else "",
        tables=[_flip_table(context, rows, names)],
        single=chosen.known(first) < 2,
    )


def arms(context: Context) -> Chart | None:
    """Answers as labelled under each arm, by subgroup."""
    rows = {arm: _rows(context, f"accuracy_{arm}", BACKGROUND, crossed=True) for arm in _ARMS}
    first = rows[_UNCHANGED]
    if not chosen.known(first):
        return None
    say = context.words.say
    changes = {arm: _by_key(_rows(context, f"{arm}_minus_unchanged", BACKGROUND, crossed=True)) for arm in _ARMS[1:]}
    others = _by_key(rows["other_level"])
    shown = chosen.chosen(context, first, lambda row: _fallen(row, others), _MAX_ARM_ROWS)
    names = {arm: say(f"arms.{arm}") for arm in _ARMS}
    lines = [
        _line(context, row, names[arm], _with_change(beside, changes.get(arm, {}).get(_key(row))))
        for row in shown
        for arm in _ARMS
        if (beside := _by_key(rows[arm]).get(_key(row))) is not None
    ]
    words = Words(axis=say("axis.accuracy"), n=say("column.n"))
    draw = partial(arms_chart, pd.DataFrame(lines), words, unchanged=names[_UNCHANGED], bounds=(-0.02, 1.02))
    return chart(
        "arms",
        say("arms.title"),
        lambda width: draw(width=width),
        alt=_arm_result(context, first, others, changes["other_level"]),
        caption=say("arms.caption") + chosen.told(context, first, shown),
        brief=context.words.say("chart.brief") if context.brief else "",
        tables=[_arm_table(context, rows, changes, names)],
        single=chosen.known(first) < 2,
    )


def _rows(context: Context, measure: str, cue: str, *, crossed: bool = False) -> list[Row]:
    """Rows of a measure of one cue: all images, with ``crossed`` label by label, then by attribute."""
    mine = [row for row in context.subgroups if row["measure"] == measure and row["cue"] == cue]
    plain = [row for row in frames.measure_rows(context, measure) if row["cue"] == cue]
    whole = [row for row in plain if row["attribute"] == ALL]
    by_label = [_crossing(context, row) for row in mine if row["label"] not in (None, ALL)] if crossed else []
    by_label = [row for row in by_label if row["crossed"]]
    return [*whole, *by_label, *(row for row in plain if row["attribute"] != ALL)]


def _crossing(context: Context, row: Row) -> Row:
    """A row of kind of background and label, as a subgroup of its own; of all images and a label nothing is told."""
    say = context.words.say
    return row | {
        "crossed": row["attribute"] != ALL,
        "attribute": say("subgroup.crossing", attribute=row["attribute"]),
        "level": say("subgroup.crossing_level", level=row["level"], label=row["label"]),
    }


def _key(row: Row) -> tuple[Any, ...]:
    return row["attribute"], row["level"], row["label"]


def _by_key(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    return {_key(row): row for row in rows}


def _line(context: Context, row: Row, arm: str, beside: Row) -> dict[str, Any]:
    """One mark."""
    whole = row["attribute"] == ALL
    return {
        "group": "" if whole else frames.attribute(context, row),
        "row": context.words.say("subgroup.all") if whole else str(row["level"]),
        "arm": arm,
        **{name: frames.number(beside[name]) for name in ("estimate", "ci_low", "ci_high")},
        "n": int(row["n"] or 0),
        "hollow": beside["status"] != "ok",
    }


def _with_change(row: Row, change: Row | None) -> Row:
    """The arm's value with the paired difference's interval laid around it; the unchanged picture has none."""
    if change is None or change["ci_low"] is None or row["estimate"] is None:
        return row | {"ci_low": None, "ci_high": None}
    ends = {name: row["estimate"] + change[name] - change["estimate"] for name in ("ci_low", "ci_high")}
    return row | {name: min(1.0, max(0.0, value)) for name, value in ends.items()}  # no share lies beyond


def _fallen(row: Row, others: dict[tuple[Any, ...], Row]) -> float | None:
    """How far the answers as labelled move with another kind of background."""
    other = others.get(_key(row), {}).get("estimate")
    return None if other is None or row["estimate"] is None else float(other - row["estimate"])


def _flip_result(context: Context, rows: dict[str, list[Row]]) -> str:
    say = context.words.say
    other, same, beyond = (next((row for row in found if row["attribute"] == ALL), None) for found in rows.values())
    if other is None or same is None or beyond is None:
        return say("flips.alt_none")
    parts = [
        say("flips.alt", other=other["estimate"], same=same["estimate"], more=beyond["estimate"], span=_span(beyond))
    ]
    ends = frames.extremes(rows[_MORE])
    if ends is not None:
        known = {"group": frames.name(context, ends[1]), "more": ends[1]["estimate"], "span": _span(ends[1])}
        parts.append(say("flips.alt_most", **known))
    return " ".join(parts)


def _arm_result(
    context: Context, rows: list[Row], others: dict[tuple[Any, ...], Row], changes: dict[tuple[Any, ...], Row]
) -> str:
    say, whole = context.words.say, next((row for row in rows if row["attribute"] == ALL), None)
    known = [row for row in rows if row["status"] == "ok" and _fallen(row, others) is not None]
    if whole is None or not known:
        return say("arms.alt_none")
    there = others.get(_key(whole), {}).get("estimate")
    parts = [say("arms.alt", own=whole["estimate"], other=there)]
    moved = max(known, key=lambda row: abs(_fallen(row, others) or 0.0))
    change = changes.get(_key(moved))
    if moved["attribute"] != ALL and change is not None:
        name, other = frames.name(context, moved), others[_key(moved)]["estimate"]
        parts.append(say("arms.alt_most", group=name, own=moved["estimate"], other=other, span=_span(change)))
    return " ".join(parts)


def _span(row: Row) -> str:
    return numbers.span(row["ci_low"], row["ci_high"])


def _stated(row: Row | None, *, signed: bool = False) -> str:
    if row is None or row["estimate"] is None:
        return numbers.NONE
    value, span = (numbers.signed if signed else numbers.hundredths)(row["estimate"]), _span(row)
    return value if span == numbers.NONE else f"{value} ({span})"


def _flip_table(context: Context, rows: dict[str, list[Row]], names: dict[str, str]) -> Table:
    say = context.words.say
    by = {measure: _by_key(found) for measure, found in rows.items()}
    body = [
        [
            frames.noted_name(context, row),
            numbers.count(row["n"]),
            numbers.count(row["n_clusters"]),
            *(_stated(by[measure].get(_key(row))) for measure in _FLIPS),
            _stated(by[_MORE].get(_key(row)), signed=True),
        ]
        for row in rows[_FLIPS[0]]
    ]
    columns = [say("column.subgroup"), say("column.n"), say("column.units"), *names.values(), say("column.paired")]
    return table(say("flips.table"), columns, body, note=more(context, "subgroups.parquet"))


def _arm_table(
    context: Context,
    rows: dict[str, list[Row]],
    changes: dict[str, dict[tuple[Any, ...], Row]],
    names: dict[str, str],
) -> Table:
    """Accuracy of each arm with its own n, and the paired difference from the unchanged picture."""
    say = context.words.say
    by = {arm: _by_key(found) for arm, found in rows.items()}
    body = [
        [
            frames.noted_name(context, row),
            names[arm],
            numbers.count(beside["n"]),
            numbers.count(beside["n_clusters"]),
            _stated(beside),
            _stated(changes.get(arm, {}).get(_key(row)), signed=True),
        ]
        for row in rows[_UNCHANGED]
        for arm in _ARMS
        if (beside := by[arm].get(_key(row))) is not None
    ]
    columns = [say(f"column.{key}") for key in ("subgroup", "arm", "n", "units", "accuracy", "paired_unchanged")]
    return table(say("arms.table"), columns, body, text_columns=2, note=more(context, "subgroups.parquet"), limit=20)
