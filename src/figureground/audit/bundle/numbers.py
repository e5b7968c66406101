"""Which of the numbers behind charts an edition may show: none from which a hidden count could be worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from figureground.audit.bundle.families import Hidden
from figureground.audit.keeping.tables import ALL

Json = dict[str, Any]


def associations(rows: Iterable[Json], hidden: Hidden) -> list[Json]:
    """Of attributes whose table with the labels is shown whole: a measure of all cells says something of each."""
    return [row for row in rows if _whole(row["attribute"], hidden)]


def reliability(rows: Iterable[Json], hidden: Hidden, finding: str | None, few: Callable[[Any], bool]) -> list[Json]:
    """Groups with nothing hidden by label, and no bin of few; as in a confusion matrix, answers make no cells."""
    return [row for row in rows if _bins_shown(row, hidden, finding, few)]


def false_alarms(found: Json | None, hidden: Hidden) -> Json | None:
    """Random groups are about nobody; an attribute that may not be shown is not named."""
    if found is None:
        return None
    return {**found, "attributes": [name for name in found["attributes"] if name not in hidden.attributes]}


def _whole(attribute: str, hidden: Hidden) -> bool:
    touched = {name for cells in hidden.cells.values() for name, _, _ in cells}
    return attribute not in hidden.attributes and not hidden.labels and attribute not in touched


def _bins_shown(row: Json, hidden: Hidden, finding: str | None, few: Callable[[Any], bool]) -> bool:
    """Shares by bin add up to how many images of the group have the label."""
    attribute, level = row["attribute"], row["level"]
    cells = hidden.cells.get(finding, frozenset())
    named = any((a, lv) == (attribute, level) and label != ALL for a, lv, label in cells)
    if named or hidden.hides(attribute, level, ALL, finding):
        return False
    if attribute == ALL and hidden.labels:
        return False
    return not any(map(few, (count for part in row["bins"] for count in _counts(part["observed"]))))


def _counts(observed: Json) -> tuple[float, ...]:
    """Images and units of a bin."""
    return observed["n"], observed["n_clusters"]
