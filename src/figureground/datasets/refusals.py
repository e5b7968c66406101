"""What is refused of a table before a file is opened: labels that no class has, and pictures that are named twice."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from figureground.datasets.schema import row_id
from figureground.errors import ManifestError

#: Reason in the ledger of rows that repeat another one in every cell.
REPEATED = "row_repeated"
#: So many values, and first rows of them, are told.
_TOLD = 5
#: Columns that say where a row is found; all others say what it is.
_PLACE = ("image", "path", "row_id", "position")


def check_known(labels: pd.Series, classes: Sequence[str], where: str) -> None:
    """Refuse labels that are no class of the model; an empty one is a fault of its row alone.

    Parameters
    ----------
    labels : pandas.Series
        Index: positions in the table, from 0.

    Raises
    ------
    ManifestError
        ``LABEL_UNKNOWN``, with the values, how many rows have them, and the first of these.
    """
    unknown = labels[~labels.isin([*classes, ""])]
    if unknown.empty:
        return
    first = unknown.index[~unknown.duplicated()][:_TOLD]
    counts = unknown.value_counts()
    told = ", ".join(f"{unknown[at]!r} ({counts[unknown[at]]} rows, first {at + 2})" for at in first)
    more = len(counts) - len(first)
    numbers = unknown.str.fullmatch(r"\d+").all()
    raise ManifestError(
        "LABEL_UNKNOWN",
        f"{where}:{int(first[0]) + 2}:label",
        found=f"{told}{f' and {more} more' if more else ''}",
        expected=f"one of the model's classes: {', '.join(classes[:20])}",
        fix="write names in place of numbers: no order is guessed"
        if numbers
        else "correct the labels, or leave these rows out of the table",
    )


def repetitions(table: pd.DataFrame) -> pd.Series:
    """bool, index of the table: rows of a picture beyond the first; which that is does not depend on their order.

    ``table`` has ``row_id``, ``key`` and ``path``; where a row has no path (it comes from no file), it repeats none.
    """
    named = _named(table)
    several = named[named.duplicated("path", keep=False)]
    # The one that has the identity that it would have alone goes first, so that dropping its copies changes nothing.
    later = [number != row_id(key) for number, key in zip(several["row_id"], several["key"], strict=True)]
    ordered = several.assign(later=later).sort_values(["later", "row_id"])
    return ordered.duplicated("path").reindex(table.index, fill_value=False).astype(bool)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that name a picture; an empty cell, which as a path reads ``.``, names none."""
    return table[table["path"].notna() & ~table["path"].isin(["", "."])] if "path" in table else table.iloc[:0]


def check_repeated(table: pd.DataFrame, where: str, *, dedupe: bool) -> None:
    """Refuse pictures that are named twice, unless copies are to be dropped and differ from the first in nothing.

    Raises
    ------
    ManifestError
        ``ROW_REPEATED``: rows that nobody asked to drop. ``ROW_CONTRADICTS``: rows of one picture that differ, of
        which none can be called the right one.
    """
    again = repetitions(table)
    if not again.any():
        return
    if not dedupe:
        raise _repeated(_named(table), where)
    several = table[table["path"].isin(table.loc[again, "path"])]
    said = [name for name in several.columns if name not in _PLACE]
    differing = several.groupby("path", sort=False)[said].nunique(dropna=False)
    contradicting = differing[(differing > 1).any(axis=1)]
    if len(contradicting):
        raise _contradicting(several, contradicting, where)


def _repeated(named: pd.DataFrame, where: str) -> ManifestError:
    later = named[named.duplicated("path")]
    told = list(zip(later.index, later["path"], strict=True))[:_TOLD]
    first = ", ".join(f"{path!r} in row {at + 2}" for at, path in told)
    return ManifestError(
        "ROW_REPEATED",
        f"{where}:{int(later.index[0]) + 2}:image",
        found=f"{len(later)} rows whose picture another row names: {first}",
        expected="every picture once: a copy is no further evidence",
        fix="--dedupe drops copies that differ in no cell, and counts them",
    )


def _contradicting(several: pd.DataFrame, differing: pd.DataFrame, where: str) -> ManifestError:
    path = differing.index[0]
    name = differing.columns[(differing.iloc[0] > 1).to_numpy()][0]
    rows = several[several["path"] == path]
    told = ", ".join(f"{cell!r} in row {at + 2}" for at, cell in zip(rows.index, rows[name], strict=True))
    return ManifestError(
        "ROW_CONTRADICTS",
        f"{where}:{int(rows.index[0]) + 2}:{name}",
        found=f"{len(differing)} pictures whose rows differ, first {path!r}: {name} is {told}",
        expected="copies that differ in no cell",
        fix="correct the table: which row is right cannot be told from it",
    )
