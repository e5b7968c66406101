"""How far an attribute and the label go together."""

from __future__ import annotations

from figureground.audit.document.audit_json import Association
from figureground.reports import numbers
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Table, table


def sentence(context: Context, attribute: str) -> str:
    """Cramér's V with its interval; empty where the run has none."""
    found = next((one for one in context.document.data.associations if one.attribute == attribute), None)
    if found is None or found.cramers_v.estimate is None:
        return ""
    value, interval = numbers.fixed(found.cramers_v.estimate, 2), _interval(found)
    return context.words.say("association.alt", value=value, interval=interval)


def build(context: Context) -> Table | None:
    """Every attribute of the run; None where the run has no such number."""
    found, say = context.document.data.associations, context.words.say
    if not found:
        return None
    rows = [
        [
            one.attribute,
            numbers.count(one.cramers_v.n),
            numbers.count(one.cramers_v.n_clusters),
            numbers.fixed(one.cramers_v.estimate, 2),
            _interval(one),
        ]
        for one in found
    ]
    columns = [say("association.attribute"), say("column.n"), say("column.units"), say("association.v")]
    columns.append(say("column.interval"))
    return table(say("association.table"), columns, rows, note=more(context, "audit.json"))


def _interval(one: Association) -> str:
    low, high = one.cramers_v.ci_low, one.cramers_v.ci_high
    if low is None or high is None:
        return numbers.NONE
    return numbers.between(numbers.fixed(low, 2), numbers.fixed(high, 2))
