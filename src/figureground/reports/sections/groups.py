"""Who is affected: performance beyond accuracy, differences between groups, crossings, and what an n can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import exp
from typing import Any

from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections import frames
from figureground.reports.sections.context import Context, cue_name, for_finding, more, scale_of
from figureground.reports.view import Table, table

Row = dict[str, Any]
_ERRORS = ("mean_absolute_error", "bias")
_MEASURES = (
    "balanced_accuracy",
    "auroc",
    "auprc",
    "sensitivity",
    "specificity",
    "brier",
    *_ERRORS,
    "rank_correlation",
)
_POOLED = "_pooled"
#: Measures that are logarithms of ratios.
_LOG = ("ldr", "contrast_log_odds")
#: Differences in the unit of a number that is the answer.
_NUMBER = "contrast_native"


@dataclass(frozen=True)
class Groups:
    """Sentences and tables beside the chart of accuracies."""

    worst: str
    averages: Table | None
    lead: str
    measures: Table | None
    positive: str
    calibration: Table | None
    differences: Table | None
    differing: str
    crossings: Table | None


def build(context: Context) -> Groups:
    """Everything from the stored tables; a part without numbers is None or empty."""
    return Groups(
        worst=worst(context),
        averages=averages(context),
        lead=_lead(context),
        measures=measures(context),
        positive=_positive(context),
        calibration=calibration(context),
        differences=differences(context),
        differing=differing(context),
        crossings=crossings(context),
    )


def worst(context: Context) -> str:
    """The bound under the worst group, whichever it is."""
    bound = context.performance.worst_bound
    if bound is None:
        return ""
    group = context.words.say("subgroup.all")
    if bound.attribute != ALL:
        group = frames.pair(bound.attribute, bound.group)
    if bound.label != ALL:
        group = context.words.say("accuracy.crossing", group=group, label=bound.label)
    return context.words.say(
        "worst.bound", low=bound.low, level=bound.level, n=bound.groups, group=group, attribute=bound.attribute
    )


def averages(context: Context) -> Table | None:
    """Average accuracy by attribute, weighted by images and by levels."""
    found = context.performance.averages
    if not found:
        return None
    say = context.words.say
    rows = [
        [
            one.attribute,
            _stated(one.sample_weighted.model_dump()),
            _stated(one.group_weighted.model_dump()),
            numbers.count(one.levels),
            numbers.count(one.left_out),
        ]
        for one in found
    ]
    columns = [say(f"column.{key}") for key in ("attribute", "by_images", "by_levels", "levels", "levels_left_out")]
    return table(say("averages.table"), columns, rows, note=more(context, "audit.json"))


def measures(context: Context) -> Table | None:
    """One row per subgroup, one column per measure."""
    by_group = _by_group(context, _MEASURES)
    present = [measure for measure in _MEASURES if any(measure in found for found in by_group.values())]
    if not present or not context.document.data.labelled:
        return None
    say = context.words.say
    body = []
    for found in by_group.values():
        first = next(iter(found.values()))
        cells = [_cell(context, found.get(measure)) for measure in present]
        body.append([_name(context, first), numbers.count(first["n_rows"]), *cells])
    columns = [say("column.subgroup"), say("column.n"), *(say(f"measure.{measure}") for measure in present)]
    caption = say("measures.table" if context.target is None else "measures.table_native")
    return table(caption, columns, body, note=more(context, "subgroups.parquet"))


def calibration(context: Context) -> Table | None:
    """The calibration error beside what a calibrated model would show."""
    by_group = _by_group(context, ("calibration_error", "calibration_error_null"))
    known = [found for found in by_group.values() if found.get("calibration_error", {}).get("estimate") is not None]
    if not known:
        return None
    say = context.words.say
    body = []
    for found in known:
        error, null = found["calibration_error"], found.get("calibration_error_null", {})
        p = error["p_adjusted"] if error["p_adjusted"] is not None else error["p_raw"]
        body.append(
            [
                _name(context, error),
                numbers.count(error["n"]),
                numbers.count(error["n_clusters"]),
                _stated(error),
                _stated(null),
                numbers.p_value(p),
            ]
        )
    keys = ("subgroup", "n", "units", "calibration", "calibration_null", "p")
    return table(
        say("calibration.table"),
        [say(f"column.{key}") for key in keys],
        body,
        note=more(context, "subgroups.parquet"),
    )


def differing(context: Context) -> str:
    """In how many attributes and measures any group differs."""
    tested = [row for row in context.tests if row["test"] == "any_group_differs" and row["p_adjusted"] is not None]
    if not tested:
        return ""
    alpha = float(context.document.policy.get("alpha", 0.05))
    found = sum(row["p_adjusted"] < alpha for row in tested)
    attributes = len({row["attribute"] for row in tested})
    return context.words.say("differences.lead", n=found, tested=len(tested), attributes=attributes, level=alpha)


def differences(context: Context) -> Table | None:
    """The clearest differences between groups, how often the group lies above the others, and what explains them."""
    rows = [row for row in context.tests if row["test"] == "group_difference" and row["estimate"] is not None]
    if not rows:
        return None
    say = context.words.say
    beside = {(row["test"], *_key(row)): row for row in context.tests if row.get("attribute") is not None}
    rows = sorted(rows, key=lambda row: (_or_one(row["p_adjusted"]), _or_one(row["p_raw"]), -abs(row["estimate"])))
    body = [_difference(context, row, beside) for row in rows]
    keys = ("measured", "compared", "n", "units", "difference", "interval", "p", "delta", "remark")
    caption, note = say("differences.table"), more(context, "tests.parquet")
    found = table(caption, [say(f"column.{key}") for key in keys], body, text_columns=2, note=note)
    return replace(found, numeric=found.numeric - {len(keys) - 1})  # remarks are words


def crossings(context: Context) -> Table | None:
    """Declared crossings: the raw value and the one drawn towards the others."""
    pooled = {_cell_key(row): row for row in context.subgroups if str(row["measure"]).endswith(_POOLED)}
    if not pooled:
        return None
    say = context.words.say
    body = []
    for row in context.subgroups:
        drawn = pooled.get(_cell_key(row | {"measure": f"{row['measure']}{_POOLED}"}))
        if drawn is not None:
            cells = [_written(context, one, row["measure"]) for one in (row, drawn)]
            what = _measured(context, row["measure"], row.get("method"), row.get("cue"))
            units = [numbers.count(row["n"]), numbers.count(row["n_clusters"])]
            body.append([frames.noted_name(context, row), what, *units, *cells])
    keys = ("subgroup", "measured", "n", "units", "raw", "pooled")
    caption, note = say("crossings.table"), more(context, "subgroups.parquet")
    return table(caption, [say(f"column.{key}") for key in keys], body, text_columns=2, note=note)


def _difference(context: Context, row: Row, beside: Mapping[tuple[Any, ...], Row]) -> list[str]:
    say = context.words.say
    delta = beside.get(("cliffs_delta", *_key(row)), {})
    others = say("compared.others") if row["reference"] == "(others)" else row["reference"]
    compared = say("compared", attribute=row["attribute"], level=row["arm"], others=others)
    remarks = [context.words.term("reason", row["reason"])] if row["reason"] else []
    adjusted = beside.get(("group_difference_adjusted", *_key(row)))
    if adjusted is not None and adjusted["estimate"] is not None:
        held = _amount(context, adjusted["estimate"], row["scale"])
        why = f" ({context.words.term('reason', adjusted['reason'])})" if adjusted["reason"] else ""
        remarks.append(say("differences.held", value=held) + why)
    return [
        for_finding(context, row.get("finding"), _measured(context, row["scale"], row["method"], row["cue"])),
        compared,
        numbers.count(row["n"]),
        numbers.count(row["n_clusters"]),
        _amount(context, row["estimate"], row["scale"]),
        _amounts(context, row),
        numbers.p_value(row["p_adjusted"]),
        numbers.fixed(delta.get("estimate"), 2),
        context.words.clauses(remarks) or numbers.NONE,
    ]


def _amount(context: Context, value: float | None, scale: str) -> str:
    """Logarithms of ratios as factors, everything else in points."""
    if value is None:
        return numbers.NONE
    if scale == _NUMBER:
        return EffectScale("native").amount(value)
    return context.words.say("times", value=numbers.fixed(exp(value), 2)) if scale in _LOG else numbers.signed(value)


def _amounts(context: Context, row: Row) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return numbers.NONE
    if row["scale"] in _LOG:
        low, high = (numbers.fixed(exp(row[name]), 2) for name in ("ci_low", "ci_high"))
        return context.words.say("span", low=low, high=high)
    return EffectScale("native" if row["scale"] == _NUMBER else None).span(row["ci_low"], row["ci_high"])


def _measured(context: Context, measure: str, method: str | None, cue: str | None) -> str:
    words = context.words.say(f"measure.{measure}")
    of = context.words.term("method", method) if method else cue_name(context, cue) if cue else ""
    return f"{words}, {of}" if of else words


def _by_group(context: Context, wanted: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Row]]:
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in context.subgroups:
        if row["measure"] in wanted:
            found.setdefault((row.get("finding"), row["attribute"], row["level"]), {})[row["measure"]] = row
    return found


def _name(context: Context, row: Row) -> str:
    return for_finding(context, row.get("finding"), frames.name(context, row))


def _cell(context: Context, row: Row | None) -> str:
    if row is None:
        return numbers.NONE
    if row["estimate"] is None:
        return frames.status(context, row)
    note = f" ({context.words.term('reason', row['reason'])})" if row["reason"] else ""
    return (_own(row) if row["measure"] in (*_ERRORS, "rank_correlation") else _stated(row)) + note


def _own(row: Row) -> str:
    """Value and interval of an error in its own unit, or of a correlation."""
    write = partial(numbers.fixed, digits=2) if row["measure"] == "rank_correlation" else numbers.quantity
    bounded = row["ci_low"] is not None and row["ci_high"] is not None
    value = write(row["estimate"])
    return f"{value} ({numbers.between(write(row['ci_low']), write(row['ci_high']))})" if bounded else value


def _stated(row: Mapping[str, Any]) -> str:
    """Value and interval, times 100."""
    value = numbers.hundredths(row.get("estimate"))
    bounded = row.get("ci_low") is not None and row.get("ci_high") is not None
    return f"{value} ({numbers.span(row['ci_low'], row['ci_high'])})" if bounded else value


def _written(context: Context, row: Row, measure: str) -> str:
    if measure == "contrast":
        scale = scale_of(context, next((cue.scale for cue in context.cues if cue.cue == row.get("cue")), None))
        span = scale.span(row["ci_low"], row["ci_high"])
        value = scale.amount(row["estimate"])
        return value if span == numbers.NONE else f"{value} ({span})"
    if measure != "ldr":
        return _stated(row)
    low, value, high = (numbers.fixed(row[name], 2) for name in ("ci_low", "estimate", "ci_high"))
    return f"{value} ({numbers.between(low, high)})" if row["ci_low"] is not None else value


def _lead(context: Context) -> str:
    if context.target is None:
        return context.words.say("measures.lead")
    return context.words.say("measures.lead_native", unit=context.unit)


def _positive(context: Context) -> str:
    name = context.performance.positive
    return "" if name is None else context.words.say("measures.positive", name=name)


def _key(row: Row) -> tuple[Any, ...]:
    names = ("finding", "attribute", "arm", "reference", "scale", "method", "cue")
    return tuple(row.get(name) for name in names)


def _cell_key(row: Row) -> tuple[Any, ...]:
    names = ("finding", "attribute", "level", "label", "measure", "method", "sign", "cue")
    return tuple(row.get(name) for name in names)


def _or_one(value: float | None) -> float:
    return 1.0 if value is None else value
