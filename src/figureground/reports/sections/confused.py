"""Which errors a group has more often than all images together."""

from __future__ import annotations

import numpy as np

from figureground.audit.document.audit_json import Confusion
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.differences import difference_chart, row_differences
from figureground.reports.figures.matrices import Matrix
from figureground.reports.sections import frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table

#: A row of fewer images shows no percentage worth comparing.
FEWEST = 20
#: Above so many classes a matrix is no longer read.
_MAX_CLASSES, _MAX_MATRICES = 10, 6


def build(context: Context) -> Chart | None:
    """Row percentages of each kind of background minus those of all images; None where no group is large enough."""
    whole = next((one for one in context.performance.confusion if one.attribute == ALL), None)
    if whole is None or len(context.classes) > _MAX_CLASSES:
        return None
    pooled = _matrix(context, whole)
    found = [_matrix(context, one) for one in context.performance.confusion if context.is_environment(one.attribute)]
    large = [one for one in found if one.counts.sum(axis=1).max(initial=0) >= FEWEST][:_MAX_MATRICES]
    if not large:
        return None
    say = context.words.say
    return chart(
        "confusion-difference",
        say("confused.title"),
        lambda width: difference_chart(
            large,
            pooled,
            fewest=FEWEST,
            row_axis=say("column.label"),
            column_axis=say("column.predicted"),
            width=width,
        ),
        alt=" ".join(_alt(context, one, pooled) for one in large),
        caption=say("confused.caption", fewest=FEWEST),
        tables=[_table(context, large, pooled)],
    )


def _matrix(context: Context, item: Confusion) -> Matrix:
    title = context.words.say("subgroup.all") if item.attribute == ALL else frames.pair(item.attribute, item.level)
    return Matrix(title, np.array(item.counts, dtype=np.int64), context.classes, context.classes)


def _alt(context: Context, one: Matrix, pooled: Matrix) -> str:
    """The largest rise of an error."""
    values = row_differences(one.counts, pooled.counts, FEWEST)
    off = np.where(np.eye(len(values), dtype=bool) | np.isnan(values), -np.inf, values)
    row, column = np.unravel_index(int(np.argmax(off)), off.shape)
    if not off[row, column] > 0:
        return context.words.say("confused.alt_none", group=one.title)
    return context.words.say(
        "confused.alt",
        group=one.title,
        points=float(off[row, column]),
        label=one.rows[row],
        predicted=one.columns[column],
    )


def _table(context: Context, found: list[Matrix], pooled: Matrix) -> Table:
    say = context.words.say
    rows = []
    for one in found:
        values = row_differences(one.counts, pooled.counts, FEWEST)
        for label, counts, line in zip(one.rows, one.counts, values, strict=True):
            cells = [numbers.NONE if np.isnan(value) else numbers.signed(float(value)) for value in line]
            rows.append([one.title, label, numbers.count(int(counts.sum())), *cells])
    predicted = [say("column.predicted_as", name=name) for name in pooled.columns]
    columns = [say("column.subgroup"), say("column.label"), say("column.n"), *predicted]
    return table(say("confused.table"), columns, rows, text_columns=2, note=more(context, "audit.json"))
