"""CSV tables that a spreadsheet shows and does not execute."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from figureground.reports.sections.context import Context
from figureground.reports.twins.number_sheets import number_rows
from figureground.reports.twins.told import told
from figureground.reports.view import records

# What makes spreadsheets read a cell as a formula (OWASP, CSV injection), full-width forms among it: first in the text,
# whatever blank or unseen characters stand before it, and after what separates cells where the reader's list separator
# is another one (in French, a semicolon): a spreadsheet then takes quotes in the middle of a line for text.
_ACTIVE = re.compile(
    "(^|[;\t\r\n])(?=[\\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2060\ufeff]*[-=+@＝＋－＠])|^(?=[\t\r\n])"
)
_CUES = ("cue", "finding", "status", "estimate", "ci_low", "ci_high", "scale", "level", "severity", "evidence_level")
_COUNTS = ("n", "n_clusters", "min_detectable", "p_adjusted")


def sheets(context: Context) -> dict[str, bytes]:
    """The findings, the cues, and the tables of subgroups and tests, by file name."""
    found = told(context)
    cues = [cue.model_dump(mode="json") for cue in context.document.verdict.cues]
    return {
        "findings.csv": table(
            ("id", "status", "state", "sentence", "details"),
            ([item.id, item.status, item.state, item.sentence, " ".join(item.details)] for item in found),
        ),
        "cues.csv": table((*_CUES, *_COUNTS), ([cue[name] for name in (*_CUES, *_COUNTS)] for cue in cues)),
        "subgroups.csv": frame(context.result.subgroups),
        "tests.csv": frame(context.result.tests),
        **numbers_sheets(context),
    }


def numbers_sheets(context: Context) -> dict[str, bytes]:
    """The numbers behind charts that stand in no table of the run, where the run has them."""
    return {
        f"{name}.csv": table(list(rows[0]), ([*row.values()] for row in rows))
        for name, rows in number_rows(context.document).items()
        if rows
    }


def frame(rows: pd.DataFrame) -> bytes:
    """A table of the run as CSV."""
    return table([str(name) for name in rows.columns], ([*row.values()] for row in records(rows)))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV in UTF-8 (RFC 4180): texts in quotes, numbers as numbers, nothing where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([cell(name) for name in columns])
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return stream.getvalue().encode("utf-8", errors="replace")


def cell(value: Any) -> Any:
    """A value as it can stand in a cell: a number, or a text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> cell(-0.5), cell("=1+1"), cell("-5"), cell("grass")
    (-0.5, "'=1+1", "'-5", 'grass')
    >>> cell("a;=1+1")
    "a;'=1+1"
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value if math.isfinite(value) else ""
    text = str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return _ACTIVE.sub(r"\1'", text)
