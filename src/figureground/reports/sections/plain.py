"""Plain interventions, noise, doses and places: described beside their controls, never a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from figureground.audit.declared import plain
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context, cue_name, for_finding, more
from figureground.reports.view import Table, table

Row = dict[str, Any]
#: Rows of one table; the rest stays in the run's files.
_MAX = 24
_PLACES = (plain.ON_BACKGROUND, plain.EQUAL_AREA, plain.ELSEWHERE)


@dataclass(frozen=True)
class Plain:
    """What the changes are worth, and their tables, those that have rows."""

    lead: str
    tables: tuple[Table, ...]


def build(context: Context) -> Plain | None:
    """The section, or None where nothing of it was run."""
    found = [make(context) for make in (_changes, _alone, _noise, doses)]
    shown = tuple(one for one in found if one is not None)
    return Plain(_lead(context), shown) if shown else None


def _lead(context: Context) -> str:
    say, data = context.words.say, context.document.data
    parts = [say("plain.lead")]
    if data.with_mask < data.ok:
        parts.append(say("plain.without_masks", without=data.ok - data.with_mask, ok=data.ok))
    out = [row for row in _rows(context, plain.LEFT_OUT) if row["estimate"] is not None]
    if out:
        most = max(out, key=lambda row: row["estimate"])
        parts.append(say("plain.left_out", share=most["estimate"], n=most["n"], what=_kind(context, most)))
    return " ".join(parts)


def _changes(context: Context) -> Table | None:
    """Background blanked, blurred, noised, shuffled, each beside its two controls."""
    measures = plain.MEASURES if context.target is None else plain.NUMBER_MEASURES
    by = {_key(row): row for test in measures for row in _rows(context, test)}
    firsts = [row for row in _rows(context, plain.CHANGED) if not row["reference"]]
    body = [_change(context, row, by, measures) for row in firsts]
    last = "probability_lost" if context.target is None else "number_moved"
    names = ("change", "place", "changed", "accuracy_lost", last, "background_minus", "n", "units")
    return _table(context, "plain.changes", names, body, 2)


def _change(context: Context, row: Row, by: dict[tuple[Any, ...], Row], measures: tuple[str, ...]) -> list[str]:
    drop, lost = (by.get((row["finding"], test, row["arm"], row["part"], None)) for test in measures[::2])
    beside = by.get((row["finding"], plain.ACCURACY_DROP, row["arm"], plain.ON_BACKGROUND, row["part"]))
    return [
        _kind(context, row),
        context.words.term("place", row["part"]),
        _share(row),
        _effect(drop),
        _scaled(lost),
        _effect(beside, n=True) if row["part"] != plain.ON_BACKGROUND else numbers.NONE,
        *_counts(row),
    ]


def _alone(context: Context) -> Table | None:
    """The object removed, the object alone, and what the outline of a filled hole gives away."""
    above = {_key(row): row for row in _rows(context, plain.ABOVE_CHANCE)}
    rows = [row for row in _rows(context, plain.ALONE) if row["arm"] in (plain.REMOVED, plain.ONLY)]
    say = context.words.say
    body = [
        [
            say("plain.pair", what=_kind(context, row), where=context.words.term("place", row["part"])),
            _share(row),
            _effect(above.get((row["finding"], plain.ABOVE_CHANCE, row["arm"], row["part"], None))),
            *_counts(row),
        ]
        for row in rows
    ]
    leaks = [
        [for_finding(context, row["finding"], say("plain.leak")), numbers.NONE, _effect(row), *_counts(row)]
        for row in _rows(context, plain.LEAK)
    ]
    return _table(context, "plain.alone", ("picture", "accuracy", "above_chance", "n", "units"), [*body, *leaks], 1)


def _noise(context: Context) -> Table | None:
    """Accuracy under noise on the background and on the object, and the relative foreground sensitivity."""
    under = {
        (row["finding"], row["arm"], row["part"], row["dose"]): row
        for row in _rows(context, plain.ALONE)
        if row["arm"] in (plain.NOISE, plain.NOISE_TOTAL)
    }
    body = [_noise_row(context, row, under) for row in _rows(context, plain.RFS)]
    names = ("noise", "size", "accuracy_background", "accuracy_object", "rfs", "n", "units")
    return _table(context, "plain.noise", names, body, 1)


def _noise_row(context: Context, row: Row, under: dict[tuple[Any, ...], Row]) -> list[str]:
    places = (plain.ON_BACKGROUND, plain.ON_OBJECT)
    accuracies = [_share(under.get((row["finding"], row["arm"], part, row["dose"]))) for part in places]
    name = for_finding(context, row["finding"], context.words.term("noise", row["arm"]))
    size = numbers.general(row["dose"])
    return [name, size, *accuracies, _relative(context, row), *_counts(row)]


def doses(context: Context) -> Table | None:
    """Where a property of the whole picture counts, and how the effect grows."""
    by = {
        (row["finding"], row["cue"], row["test"], row["part"], row["dose"]): row
        for row in context.tests
        if row["test"] in plain.DOSE_TESTS
    }
    body = [
        [
            for_finding(context, row["finding"], cue_name(context, row["cue"])),
            context.words.term("place", row["part"]),
            numbers.percent(row["dose"], 0),
            *(_scaled(by.get((finding, cue, other, part, dose))) for other in plain.DOSE_TESTS[:3]),
            *_counts(row),
        ]
        for (finding, cue, test, part, dose), row in by.items()
        if test == plain.DOSE_RESPONSE
    ]
    names = ("cue", "place", "dose", "effect", "noise_alone", "beyond_noise", "n", "units")
    return _table(context, "plain.doses", names, body, 2)


def _table(context: Context, key: str, names: Iterable[str], body: list[list[str]], text_columns: int) -> Table | None:
    if not body:
        return None
    columns = [context.words.say(f"column.{name}", unit=context.unit) for name in names]
    note = more(context, "tests.parquet")
    return table(context.words.say(key), columns, body, text_columns=text_columns, note=note, limit=_MAX)


def _rows(context: Context, test: str) -> list[Row]:
    return [row for row in context.tests if row["test"] == test]


def _key(row: Row) -> tuple[Any, ...]:
    return row["finding"], row["test"], row["arm"], row["part"], row["reference"]


def _kind(context: Context, row: Row) -> str:
    return for_finding(context, row["finding"], context.words.term("intervention", row["arm"]))


def _counts(row: Row) -> tuple[str, str]:
    return numbers.count(row["n"]), numbers.count(row["n_clusters"])


def _share(row: Row | None) -> str:
    return numbers.NONE if row is None else _with(numbers.hundredths(row["estimate"]), row)


def _effect(row: Row | None, *, n: bool = False) -> str:
    if row is None:
        return numbers.NONE
    found = _with(numbers.signed(row["estimate"]), row)
    return f"{found}, n {numbers.count(row['n'])}" if n else found


def _scaled(row: Row | None) -> str:
    """An effect on its own scale: hundredths of the images, the logarithm of an odds ratio, or a number's unit."""
    if row is None:
        return numbers.NONE
    scale = EffectScale(row["scale"])
    span = scale.span(row["ci_low"], row["ci_high"])
    value = scale.amount(row["estimate"])
    return value if span == numbers.NONE else f"{value} ({span})"


def _with(value: str, row: Row) -> str:
    span = numbers.span(row["ci_low"], row["ci_high"])
    return value if span == numbers.NONE else f"{value} ({span})"


def _relative(context: Context, row: Row) -> str:
    if row["estimate"] is None:
        return context.words.term("reason", row["reason"])
    return _with(numbers.signed(row["estimate"]), row)
