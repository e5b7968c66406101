"""Accuracy by subgroup and confusion matrices."""

from __future__ import annotations

import numpy as np

from figureground.audit.document.audit_json import Confusion
from figureground.audit.keeping.tables import ALL
from figureground.reports import numbers
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.figures.matrices import Matrix, matrix_chart
from figureground.reports.sections import chosen, frames
from figureground.reports.sections.charts import chart
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Chart, Table, table

#: Above so many classes a matrix is no longer read; its largest confusions are listed instead.
MAX_CLASSES = 10
#: Above so many classes the table lists errors, not cells.
MAX_COLUMNS = 5
_MAX_MATRICES = 6


def accuracy(context: Context) -> Chart | None:
    """Accuracy with Wilson intervals, the overall value as a dashed line."""
    plain = frames.measure_rows(context, "accuracy")
    whole = [row for row in plain if row["attribute"] == ALL]
    rows = [
        *whole,
        *frames.crossing_rows(context, "accuracy"),
        *(row for row in plain if row["attribute"] != ALL),
    ]
    if not rows or not context.document.data.labelled:  # without labels there is no accuracy, and no empty chart of it
        return None
    words = context.words
    shown = chosen.chosen(context, rows, chosen.estimate)
    frame = frames.chart_frame(context, [(words.say("axis.accuracy_title"), shown)], {})
    labels = Words(
        axis=words.say("axis.accuracy"),
        n=words.say("column.n"),
        estimate=words.say("legend.accuracy"),
        hollow=words.say("legend.hollow"),
        pooled=words.say("legend.overall"),
    )
    mean = frames.overall(rows)
    pooled = {} if mean is None else {words.say("axis.accuracy_title"): mean}
    return chart(
        "accuracy",
        words.say("accuracy.title"),
        lambda width: interval_chart(frame, labels, pooled=pooled, bounds=(-0.02, 1.02), width=width),
        alt=worst_sentence(context),
        caption=words.say("accuracy.caption") + chosen.told(context, rows, shown),
        tables=[frames.estimate_table(context, words.say("accuracy.table"), rows)],
    )


def worst_sentence(context: Context) -> str:
    """The worst group by name, or the overall accuracy where no group is large enough."""
    performance, say = context.performance, context.words.say
    overall, worst = performance.overall.estimate, performance.worst_group
    if worst is None:
        return say("accuracy.alt_overall", overall=numbers.percent(overall))
    group = say("subgroup.all") if worst.attribute == ALL else frames.pair(worst.attribute, worst.level)
    if worst.label not in ("", ALL):
        group = say("accuracy.crossing", group=group, label=worst.label)
    interval = numbers.span(worst.accuracy.ci_low, worst.accuracy.ci_high)
    return say(
        "accuracy.alt",
        overall=numbers.percent(overall),
        group=group,
        n=worst.accuracy.n,
        interval=interval,
        accuracy=numbers.percent(worst.accuracy.estimate),
    )


def left_out(context: Context) -> Table | None:
    """Groups too small to be called the worst."""
    groups = context.performance.left_out
    if not groups or not context.document.data.labelled:
        return None
    say = context.words.say
    rows = [
        [
            say("subgroup.all") if g.attribute == ALL else frames.pair(g.attribute, g.level),
            say("label.all") if g.label in ("", ALL) else g.label,
            numbers.count(g.accuracy.n),
            numbers.hundredths(g.accuracy.estimate),
        ]
        for g in groups
    ]
    columns = [say("column.subgroup"), say("column.label"), say("column.n"), say("column.share")]
    return table(say("accuracy.left_out"), columns, rows, text_columns=2, note=more(context, "audit.json"))


def confusion(context: Context) -> Chart | None:
    """Confusion matrices, overall and per kind of background."""
    found = [
        item
        for item in context.performance.confusion
        if item.attribute == ALL or context.is_environment(item.attribute)
    ]
    if not found or not context.document.data.labelled:
        return None
    say = context.words.say
    matrices = [_matrix(context, item) for item in found]
    drawn = matrices[:_MAX_MATRICES] if len(context.classes) <= MAX_CLASSES else [_largest(matrices[0])]
    return chart(
        "confusion",
        say(context.of_answers("confusion.title")),
        lambda width: matrix_chart(
            drawn, row_axis=say("column.label"), column_axis=say("column.predicted"), width=width
        ),
        alt=" ".join(_matrix_alt(context, matrix) for matrix in matrices[:_MAX_MATRICES]),
        caption=say("confusion.caption"),
        tables=[_matrix_table(context, matrices)],
    )


def _matrix(context: Context, item: Confusion) -> Matrix:
    classes = context.classes
    title = context.words.say("subgroup.all") if item.attribute == ALL else frames.pair(item.attribute, item.level)
    return Matrix(title, np.array(item.counts, dtype=np.int64), classes, classes)


def _largest(matrix: Matrix) -> Matrix:
    """The classes with most confusions, so that a matrix of hundreds of classes can be read at all."""
    wrong = matrix.counts - np.diag(np.diag(matrix.counts))
    order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MAX_CLASSES]
    names = tuple(matrix.rows[index] for index in order)
    return Matrix(matrix.title, matrix.counts[np.ix_(order, order)], names, names)


def _matrix_alt(context: Context, matrix: Matrix) -> str:
    total, right = int(matrix.counts.sum()), int(np.trace(matrix.counts))
    wrong = matrix.counts - np.diag(np.diag(matrix.counts))
    if wrong.sum() == 0:
        return context.words.say("confusion.alt_none", title=matrix.title, right=right, total=total)
    row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return context.words.say(
        "confusion.alt",
        title=matrix.title,
        right=right,
        total=total,
        n=int(wrong[row, column]),
        label=matrix.rows[row],
        predicted=matrix.columns[column],
    )


def _matrix_table(context: Context, matrices: list[Matrix]) -> Table:
    """All counts where the classes fit into columns, else the most frequent errors over all images."""
    if len(context.classes) > MAX_COLUMNS:
        return _error_table(context, matrices[0])
    say = context.words.say
    rows = [
        [
            matrix.title,
            label,
            *(numbers.count(int(n)) for n in counts),
            numbers.hundredths(_share(counts[i], counts.sum())),
        ]
        for matrix in matrices
        for i, (label, counts) in enumerate(zip(matrix.rows, matrix.counts, strict=True))
    ]
    predicted = [say("column.predicted_as", name=name) for name in matrices[0].columns]
    columns = [say("column.subgroup"), say("column.label"), *predicted, say("column.as_labelled")]
    return table(say("confusion.table"), columns, rows, text_columns=2, note=more(context, "audit.json"))


def _error_table(context: Context, matrix: Matrix) -> Table:
    say, k = context.words.say, len(matrix.rows)
    cells = [(int(matrix.counts[i, j]), i, j) for i in range(k) for j in range(k) if i != j and matrix.counts[i, j]]
    rows = [
        [
            matrix.rows[i],
            matrix.columns[j],
            numbers.count(n),
            numbers.hundredths(_share(n, matrix.counts[i].sum())),
        ]
        for n, i, j in sorted(cells, key=lambda cell: (-cell[0], cell[1], cell[2]))
    ]
    columns = [say("column.label"), say("column.predicted"), say("column.n"), say("column.row_share")]
    return table(say("confusion.errors"), columns, rows, text_columns=2, note=more(context, "audit.json"))


def _share(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None
