"""What was found in the files: masks that give nothing to measure, the same bytes twice, what was done to pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import Group
from figureground.audit.keeping.tables import ALL
from figureground.datasets.columns import MASK_ABSENT

LABEL = "label"


def mask_troubles(rows: pd.DataFrame, groups: Sequence[Group]) -> list[document.MaskTrouble]:
    """Usable rows whose mask gives nothing to measure, by status: overall, by label and by level.

    Rows for which no mask was named are among them where others have one; empty for data without any masks.
    """
    if "mask_status" not in rows or (rows["mask_status"].fillna(MASK_ABSENT) == MASK_ABSENT).all():
        return []
    status = rows["mask_status"].fillna(MASK_ABSENT)
    return [
        document.MaskTrouble(attribute=attribute, level=level, status=str(name), n=int(n), rows=int(member.sum()))
        for attribute, level, member in _parts(rows, groups)
        for name, n in sorted(status[member & (status != "ok")].value_counts().items())
    ]


def read_notes(rows: pd.DataFrame) -> dict[str, int]:
    """Usable rows by what was done to their picture or mask beyond decoding."""
    if "read_notes" not in rows:
        return {}
    counts = Counter(note for notes in rows["read_notes"].dropna() for note in str(notes).split(";"))
    return {note: counts[note] for note in sorted(counts)}


def duplicates(rows: pd.DataFrame) -> int:
    """Usable rows whose bytes are those of an earlier row under another name."""
    return int(rows["sha256"].dropna().duplicated().sum()) if "sha256" in rows else 0


def without_most_masks(troubles: Sequence[document.MaskTrouble]) -> list[str]:
    """Labels of which more than half of the masks are missing or empty.

    Where masks were simply not named, only if another label has most of its own: masks for a part of the data are
    planned, masks for some classes alone are a trap.
    """
    by_label: dict[str, list[document.MaskTrouble]] = {}
    for item in troubles:
        if item.attribute == LABEL:
            by_label.setdefault(item.level, []).append(item)
    whole = next((item.rows for item in troubles if item.attribute == ALL), 0)
    most = {label: items for label, items in by_label.items() if sum(item.n for item in items) > items[0].rows / 2}
    some_are_well = sum(items[0].rows for items in most.values()) < whole
    return [label for label, items in most.items() if some_are_well or _unusable(items) > items[0].rows / 2]


def _unusable(items: Sequence[document.MaskTrouble]) -> int:
    """Rows that name a mask which gives nothing."""
    return sum(item.n for item in items if item.status != MASK_ABSENT)


def _parts(rows: pd.DataFrame, groups: Sequence[Group]) -> Iterator[tuple[str, str, pd.Series]]:
    yield ALL, ALL, pd.Series(True, index=rows.index)
    for name in sorted(rows["label"].unique()):
        yield LABEL, str(name), rows["label"] == name
    for group in groups:
        values = group.values.loc[rows.index]
        for level in group.levels:
            yield group.attribute, level, values == level
