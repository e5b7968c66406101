"""One image of a run, and a run in short: for notebooks and for people at a prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from figureground.audit.declared.task import Task
from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError
from figureground.reports import catalogue, numbers
from figureground.reports.html import render_fragment
from figureground.reports.sections import cases, cover
from figureground.reports.sections.context import Context, for_finding
from figureground.reports.view import Panel, Table, records


@dataclass(frozen=True)
class RowView:
    """What a run holds about one row.

    Attributes
    ----------
    row_id : int
        Key of the row.
    label, status : str
        From the examples table.
    predictions, attributions : pandas.DataFrame
        The row's part of these tables.
    panels : tuple of Panel
        Its stored pictures; empty where none were stored.
    """

    row_id: int
    label: str
    status: str
    predictions: pd.DataFrame
    attributions: pd.DataFrame
    panels: tuple[Panel, ...]
    tables: tuple[Table, ...]

    def _repr_html_(self) -> str:
        return render_fragment("row.html.j2", row=self, t=catalogue.load("en").say)


def show_row(result: AuditResult, row_id: int) -> RowView:
    """Everything stored about one row: measures, answers under every background, pictures if there are any.

    Parameters
    ----------
    result : AuditResult
        A finished run.
    row_id : int
        Key from ``result.examples``.

    Raises
    ------
    UsageError
        If the run has no such row.
    """
    found = result.examples[result.examples["row_id"] == row_id]
    if found.empty:
        raise UsageError(
            "ROW_UNKNOWN",
            str(result.path),
            found=f"row_id {row_id}",
            expected="a row_id of the examples table",
            fix="take one from result.examples",
        )
    example = records(found)[0]
    predictions = result.predictions[result.predictions["row_id"] == row_id]
    attributions = result.attributions[result.attributions["row_id"] == row_id]
    context = Context.of(result, catalogue.load("en"))
    return RowView(
        row_id=int(row_id),
        label=example["label"] or numbers.NONE,
        status=example["status"],
        predictions=predictions,
        attributions=attributions,
        panels=_panels(context, row_id),
        tables=(_predicted(context, predictions), _measured(context, attributions)),
    )


def result_card(result: AuditResult) -> str:
    """The first screen of the report as a small piece of HTML, escaped, without style."""
    context = Context.of(result, catalogue.load("en"))

    return render_fragment("card.html.j2", cover=cover.build(context), t=context.words.say)


def _panels(context: Context, row_id: int) -> tuple[Panel, ...]:
    """The pictures of the row, each once, whichever rules chose it."""
    kept = {
        (row["panel"], row["caption_level"], row["asset"]): row for row in context.gallery if row["row_id"] == row_id
    }
    return cases.panels(context, list(kept.values()))


def _predicted(context: Context, frame: pd.DataFrame) -> Table:
    classes, say = context.document.subject.classes, context.words.say
    rows = []
    for row in records(frame):
        if row["predicted"] is not None:
            name = classes[int(row["predicted"])]
        elif row["status"] == "ok" and row["logits"] is not None:
            name = _called(context, list(row["logits"]))
        else:
            name = context.words.term("reason", row["reason"] or row["status"])
        kind = context.words.term("intervention", row["intervention"])
        rows.append((kind, row["arm"] or "", name, _probability(row)))
    columns = (
        say("column.intervention"),
        say("column.background"),
        say("column.predicted"),
        say("column.probability"),
    )
    return Table(say("row.predictions"), columns, tuple(rows), frozenset({3}))


def _called(context: Context, logits: list[float]) -> str:
    """The findings that are called present, each at its operating threshold, with the probability of each."""
    subject = context.document.subject
    task = Task("multilabel", tuple(subject.classes), subject.thresholds)
    called = [
        f"{name} ({numbers.percent(1 / (1 + math.exp(-z)))})"
        for name, z in zip(subject.classes, logits, strict=True)
        if z >= task.offset(name)
    ]
    return ", ".join(called) or context.words.say("row.none_called")


def _probability(row: dict[str, object]) -> str:
    """Softmax probability of the predicted class, from its logit and the stored log of the sum."""
    logits, predicted, total = row["logits"], row["predicted"], row["logsumexp"]
    if logits is None or predicted is None or total is None:
        return numbers.NONE
    kept = list(range(len(list(logits)))) if row["classes"] is None else list(row["classes"])  # type: ignore[call-overload]
    if predicted not in kept:
        return numbers.NONE
    return numbers.percent(math.exp(float(list(logits)[kept.index(predicted)]) - float(total)))  # type: ignore[call-overload,arg-type]


def _measured(context: Context, frame: pd.DataFrame) -> Table:
    say = context.words.say
    rows = tuple(
        (
            for_finding(
                context,
                row["target"] if row.get("target") in context.findings else None,
                context.words.term("method", row["method"]),
            ),
            context.words.term("sign", row["sign"]),
            numbers.hundredths(row["background_share"]),
            numbers.hundredths(row["background_area"]),
            numbers.hundredths(row["bleed_floor"]),
            numbers.general(row["ldr"]),
            context.words.term("reason", row["status"]),
        )
        for row in records(frame)
    )
    columns = tuple(
        say(f"column.{key}") for key in ("method", "sign", "on_background", "area", "floor", "ldr", "status")
    )
    return Table(say("row.attributions"), columns, rows, frozenset({2, 3, 4, 5}))
