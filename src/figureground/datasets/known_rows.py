"""Rows as far as their table alone knows them, before a file is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from figureground.datasets.columns import (
    LABEL_PREFIX,
    MASK_PREFIX,
    NUMBER,
    PREFIXES,
    ROLES,
)
from figureground.datasets.findings import (
    label_columns,
)
from figureground.datasets.identity import row_id
from figureground.errors import ManifestError, UsageError

if TYPE_CHECKING:
    pass

#: Names that the examples table uses itself.
TABLE_COLUMNS = (
    "row_id",
    "path",
    "label",
    "split",
    "cluster",
    "environment",
    "object_area",
    "sha256",
    "status",
    "reason",
    "weight",
    "mask_status",
    "read_notes",
    "mask_sha256",
)
#: Names that :class:`~figureground.datasets.intake.Examples` uses beside them, for what is not stored.
WORKING_COLUMNS = ("position", "key", "image", "detail", "width", "height", "present", "border", NUMBER)
MISSING = "(missing)"
MASK_SOURCE = "mask_source"


def identified(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with ``row_id``, index from 0; names that the examples table uses itself are refused."""
    if table.empty:
        raise ManifestError("MANIFEST_EMPTY", where, found="no rows", expected="at least one", fix="check the file")
    taken = sorted({*attribute_columns(table), *({"row_id"} & set(table.columns))} & {*TABLE_COLUMNS, *WORKING_COLUMNS})
    if taken:
        raise ManifestError(
            "MANIFEST_COLUMN",
            where,
            found=f"an attribute column named {taken[0]!r}",
            expected="a name that the examples table does not use itself",
            fix=f"rename it, for example to my_{taken[0]}",
        )
    identified = table.reset_index(drop=True)
    # Repetitions are numbered by their contents, so that the order of the manifest does not matter to them either.
    repeated = identified[identified["key"].duplicated(keep=False)]
    numbers = repeated.sort_values(sorted(repeated.columns), kind="stable").groupby("key").cumcount()
    occurrence = np.zeros(len(identified), dtype=np.int64)
    occurrence[numbers.index] = numbers
    keys = zip(identified["key"].tolist(), occurrence.tolist(), strict=True)
    identified["row_id"] = np.fromiter((row_id(key, "", n) for key, n in keys), np.int64, len(identified))
    return identified


def known_rows(table: pd.DataFrame, attributes: Sequence[str], labels: pd.Series) -> pd.DataFrame:
    """What the table says of each row before its files are opened; index: its position."""
    nothing = pd.Series(None, index=table.index, dtype=object)
    cluster = table["cluster"].where(table["cluster"] != "", table["key"]) if "cluster" in table else table["key"]
    named = table["environment"].replace("", MISSING) if "environment" in table else nothing
    return pd.DataFrame(
        {
            "row_id": table["row_id"],
            "path": table.get("path", nothing),
            "label": labels,
            "split": table.get("split", nothing),
            "cluster": cluster,
            "environment": named,
            "position": table.index,
            "key": table["key"],
            "image": table.get("image", nothing),
            "detail": nothing,
            "masked": _masked(table),
            **{name: table[name].replace("", MISSING) for name in attributes},
            **_verbatim(table),
        }
    )


def _masked(table: pd.DataFrame) -> pd.Series:
    """Whether a row names a mask, its own or one of a finding."""
    named = [name for name in table.columns if name == "mask" or name.startswith(MASK_PREFIX)]
    return (table[named] != "").any(axis=1)


def attribute_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the columns that have no role: the attributes, in the order of the table."""
    internal = {*ROLES, "path", "row_id"}
    return tuple(name for name in table.columns if name not in internal and not name.startswith(PREFIXES))


def _verbatim(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Labels of findings as they are written, whether each row has a mask of its own for each, and who drew masks."""
    labels = {name: table[name] for name in table.columns if name.startswith(LABEL_PREFIX)}
    given = (table[name] for name in table.columns if name.startswith(MASK_PREFIX))
    masks = {str(cells.name): (cells != "").map({True: "given", False: ""}) for cells in given}
    sources = {MASK_SOURCE: table[MASK_SOURCE].replace("", MISSING)} if MASK_SOURCE in table.columns else {}
    return labels | masks | sources


def check_kind(table: pd.DataFrame, several: bool, where: str) -> None:
    """Raise :class:`UsageError` where the labels are of another kind than the model's answers."""
    if several == ("label" not in table.columns):
        return
    found = ", ".join(f"{LABEL_PREFIX}{name}" for name in label_columns(table)[:4]) or "one column label"
    raise UsageError(
        "LABELS",
        where,
        found=found,
        expected="a column label:NAME for each finding of the model" if several else "one column label",
        fix="name the column of each finding label:NAME" if several else "declare kind='multilabel' for this model",
    )
