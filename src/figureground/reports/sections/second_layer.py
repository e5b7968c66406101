"""Grad-CAM at the layer that was chosen, and at the one that would be chosen next: what hangs on the choice."""

from __future__ import annotations

from figureground.audit.document.audit_json import CheckMeasure
from figureground.reports import numbers
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Table, table

CHECK = "second_layer"


def build(context: Context) -> Table | None:
    """The numbers of the comparison; None where no second layer was looked at."""
    say = context.words.say
    found = next((check for check in context.document.trust if check.check == CHECK and check.measures), None)
    if found is None or len(found.compared_with) != 2:
        return None
    chosen, second = found.compared_with
    rows = [_row(context, measure) for measure in found.measures]
    columns = [say("column.measured"), say("column.value"), say("second_layer.interval"), say("column.n")]
    caption = say("second_layer.table", chosen=chosen, second=second)
    return table(caption, columns, rows, text_columns=1, note=more(context, "audit.json"), limit=len(rows))


def _row(context: Context, measure: CheckMeasure) -> list[str]:
    words = context.words.term("measured", measure.name)
    n = numbers.count(measure.n)
    if measure.name.endswith("share_difference"):
        return [words, numbers.hundredths(measure.value), numbers.span(measure.ci_low, measure.ci_high), n]
    if "share" in measure.name or measure.name == CHECK:
        return [words, numbers.percent(measure.value), numbers.span(measure.ci_low, measure.ci_high), n]
    return [words, numbers.coefficient(measure.value), _span(measure), n]


def _span(measure: CheckMeasure) -> str:
    if measure.ci_low is None or measure.ci_high is None:
        return numbers.NONE
    return numbers.between(numbers.coefficient(measure.ci_low), numbers.coefficient(measure.ci_high))
