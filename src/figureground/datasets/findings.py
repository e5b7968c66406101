"""Labels of several findings: how the cells of ``label:NAME`` are read, and what is done with the uncertain ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Literal

import pandas as pd

from figureground.datasets.columns import ABSENT, LABEL_PREFIX, MASK_PREFIX, PRESENT, UNCERTAIN
from figureground.datasets.images import RowFault
from figureground.errors import ManifestError, UsageError

#: What an uncertain label counts as: left out of the finding, present, or absent.
Uncertain = Literal["exclude", "positive", "negative"]
#: Label of a row in which no finding is known to be present.
NO_FINDING = "no finding"
_SPELLINGS = {"1.0": PRESENT, "0.0": ABSENT, "-1.0": UNCERTAIN, "(missing)": ""}


def label_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the findings that a table has labels for, in its order."""
    return tuple(str(name).removeprefix(LABEL_PREFIX) for name in table.columns if str(name).startswith(LABEL_PREFIX))


def mask_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the findings that a table has masks of their own for, in its order."""
    return tuple(str(name).removeprefix(MASK_PREFIX) for name in table.columns if str(name).startswith(MASK_PREFIX))


def read_cell(cell: object, uncertain: Uncertain | None) -> float:
    """1.0 where the finding is present, 0.0 where it is absent, NaN where that is unknown or left out.

    Raises
    ------
    ValueError
        For anything but 1, 0, -1 and an empty cell.

    Examples
    --------
    >>> read_cell("1", None), read_cell("0.0", None), read_cell("-1", "positive")
    (1.0, 0.0, 1.0)
    >>> read_cell("", None), read_cell("-1", "exclude")
    (nan, nan)
    """
    text = "" if cell is None or cell is pd.NA or cell != cell else str(cell).strip()
    text = _SPELLINGS.get(text, text)
    known = {
        PRESENT: 1.0,
        ABSENT: 0.0,
        "": nan,
        UNCERTAIN: {"positive": 1.0, "negative": 0.0}.get(uncertain or "", nan),
    }
    if text not in known:
        raise ValueError(f"{text!r} is not {PRESENT}, {ABSENT}, {UNCERTAIN} or empty")
    return known[text]


def is_uncertain(cell: object) -> bool:
    """Whether a cell says that the finding may or may not be present."""
    text = str(cell).strip()
    return _SPELLINGS.get(text, text) == UNCERTAIN


def present_of(row: Mapping[str, str], findings: Sequence[str], uncertain: Uncertain | None) -> tuple[float, ...]:
    """One value for each finding as :func:`read_cell` gives it; raises :class:`RowFault` for a cell that says nothing.

    A finding that is unknown is no fault: the row stays, and only that finding is not asked on it.
    """
    found = []
    for name in findings:
        try:
            found.append(read_cell(row[f"{LABEL_PREFIX}{name}"], uncertain))
        except ValueError as error:
            raise RowFault("label_value", f"{LABEL_PREFIX}{name}: {error}") from error
    return tuple(found)


def joint_label(present: Sequence[float], findings: Sequence[str]) -> str:
    """The findings that are present in one row, as its one label.

    Examples
    --------
    >>> joint_label((1.0, nan, 1.0), ("mass", "nodule", "effusion"))
    'mass + effusion'
    """
    return " + ".join(name for name, value in zip(findings, present, strict=True) if value == 1) or NO_FINDING


def check_findings(table: pd.DataFrame, findings: Sequence[str], uncertain: Uncertain | None, where: str) -> None:
    """Refuse a table without labels for a finding of the model, and uncertain labels that nobody has decided about.

    Raises
    ------
    ManifestError
        ``MANIFEST_FINDING``: a finding has no column.
    UsageError
        ``UNCERTAIN``: a label is -1, and no policy says what that counts as.
    """
    given = label_columns(table)
    missing = [name for name in findings if name not in given]
    if missing:
        raise ManifestError(
            "MANIFEST_FINDING",
            where,
            found=f"labels for {', '.join(given) or 'no finding'}",
            expected=f"a column {LABEL_PREFIX}{missing[0]}",
            fix=f"add it, or map it: --column {LABEL_PREFIX}{missing[0]}=NAME",
        )
    check_uncertain(table, findings, uncertain, where)


def check_uncertain(table: pd.DataFrame, findings: Sequence[str], uncertain: Uncertain | None, where: str) -> None:
    """Refuse uncertain labels as long as nobody has decided what they count as; raises :class:`UsageError`."""
    counts = {name: int(table[f"{LABEL_PREFIX}{name}"].map(is_uncertain).sum()) for name in findings}
    unsure = {name: n for name, n in counts.items() if n}
    if unsure and uncertain is None:
        raise UsageError(
            "UNCERTAIN",
            where,
            found="uncertain labels (-1): " + ", ".join(f"{name} ({n})" for name, n in unsure.items()),
            expected="a decision what they count as",
            fix="declare uncertain = exclude, positive or negative: in the policy for an audit, --uncertain to train",
        )
