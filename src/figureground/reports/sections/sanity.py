"""May the maps be believed: every method beside every check, and how alike the methods are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from figureground.audit.document.audit_json import CheckMeasure, TrustCheck
from figureground.reports import numbers
from figureground.reports.figures.differences import agreement_chart
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, chip
from figureground.reports.view import Chart, Chip, table

#: Checks of one method: its name follows.
_OF_METHOD = ("maps_not_empty", "randomised_weights", "repeatability", "mask_sensitivity")
_AGREEMENT, _LAYER, _LAYER_METHOD = "agreement", "second_layer", "gradcam"
_COLUMNS = (*_OF_METHOD[:3], _AGREEMENT, _OF_METHOD[3], _LAYER)
#: With fewer methods a sentence says it all.
_MATRIX_FROM = 3


@dataclass(frozen=True)
class SanityCell:
    """A state with its number; no state where a check does not concern the method."""

    chip: Chip | None
    value: str


@dataclass(frozen=True)
class SanityPanel:
    """Methods beside checks."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[SanityCell, ...]], ...]


@dataclass(frozen=True)
class Sanity:
    """The panel, and the agreement of the methods as a matrix or as a sentence."""

    panel: SanityPanel | None
    pairs: Chart | None
    sentence: str


def build(context: Context) -> Sanity:
    """What the checks of the maps found."""
    measures = _pairs(context)
    many = len(_named(measures)) >= _MATRIX_FROM
    return Sanity(
        panel=panel(context),
        pairs=_matrix(context, measures) if many else None,
        sentence="" if many or not measures else _sentence(context, "pairs.one", measures[0]),
    )


def panel(context: Context) -> SanityPanel | None:
    """One row for each method that was checked; None where none was."""
    checks = {check.check: check for check in context.document.trust}
    methods = _methods(context.document.trust)
    if not methods:
        return None
    say = context.words.say
    columns = [name for name in _COLUMNS if any(_check(checks, name, method) for method in methods)]
    return SanityPanel(
        caption=say("sanity.table"),
        columns=(say("column.method"), *(say(f"sanity.{name}") for name in columns)),
        rows=tuple(
            (_name(context, method), tuple(_cell(context, _check(checks, name, method)) for name in columns))
            for method in methods
        ),
    )


def _methods(checks: Sequence[TrustCheck]) -> list[str]:
    start = f"{_OF_METHOD[1]}_"
    return [check.check.removeprefix(start) for check in checks if check.check.startswith(start)]


def _check(checks: dict[str, TrustCheck], name: str, method: str) -> TrustCheck | None:
    if name == _LAYER:
        return checks.get(name) if method == _LAYER_METHOD else None
    if name == _AGREEMENT:
        # Methods that are checked apart stand behind it: it is not about them.
        order = list(checks)
        first = f"{_OF_METHOD[1]}_{method}"
        return checks.get(name) if name in checks and order.index(first) < order.index(name) else None
    return checks.get(f"{name}_{method}")


def _cell(context: Context, check: TrustCheck | None) -> SanityCell:
    if check is None:
        return SanityCell(None, "")
    return SanityCell(chip(context, check.status), "" if check.value is None else numbers.quantity(check.value))


def _pairs(context: Context) -> list[CheckMeasure]:
    found = next((check for check in context.document.trust if check.check == _AGREEMENT), None)
    return [] if found is None else [one for one in found.measures if one.value is not None]


def _named(measures: Sequence[CheckMeasure]) -> list[str]:
    """Methods in the order of the run."""
    return list(dict.fromkeys(name for one in measures for name in one.name.split("/")))


def _matrix(context: Context, measures: Sequence[CheckMeasure]) -> Chart:
    say, methods = context.words.say, _named(measures)
    values = np.full((len(methods), len(methods)), np.nan)
    for one in measures:
        left, right = (methods.index(name) for name in one.name.split("/"))
        values[left, right] = values[right, left] = one.value
    names = [_name(context, method) for method in methods]
    order = sorted(measures, key=lambda one: one.value or 0.0)
    rows = [
        [*_both(context, one), numbers.fixed(one.value, 2), _interval(one), numbers.count(one.n)]
        for one in reversed(order)
    ]
    columns = [say("column.method"), say("pairs.other"), say("pairs.correlation"), say("column.interval")]
    columns.append(say("column.n"))
    return chart(
        "method-pairs",
        say("pairs.title"),
        lambda width: agreement_chart(values, names, width=width),
        alt=f"{_sentence(context, 'pairs.most', order[-1])} {_sentence(context, 'pairs.least', order[0])}",
        caption=say("pairs.caption"),
        tables=[table(say("pairs.table"), columns, rows, text_columns=2, limit=len(rows))],
    )


def _sentence(context: Context, key: str, one: CheckMeasure) -> str:
    left, right = _both(context, one)
    value = numbers.fixed(one.value, 2)
    return context.words.say(key, left=left, right=right, value=value, interval=_interval(one), n=one.n)


def _both(context: Context, one: CheckMeasure) -> list[str]:
    return [_name(context, name) for name in one.name.split("/")]


def _interval(one: CheckMeasure) -> str:
    if one.ci_low is None or one.ci_high is None:
        return numbers.NONE
    return numbers.between(numbers.fixed(one.ci_low, 2), numbers.fixed(one.ci_high, 2))


def _name(context: Context, method: str) -> str:
    return context.words.term("method", method)
