"""Read a data table as strings: nothing is coerced, ``NA`` stays ``NA``, an empty cell stays empty."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from figureground.datasets.columns import REGION_PREFIX, ROLES
from figureground.errors import ManifestError


def find_manifest(data: Path) -> Path:
    """The table itself, or ``manifest.csv`` / ``manifest.parquet`` in a folder."""
    candidates = [data / "manifest.csv", data / "manifest.parquet"] if data.is_dir() else [data]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ManifestError(
        "MANIFEST_MISSING", str(data), found="no such table",
        expected="a CSV or Parquet file, or a folder that holds manifest.csv", fix="check the path",
    )


def read_manifest(path: Path) -> pd.DataFrame:
    """All cells as strings, in file order.

    Raises
    ------
    ManifestError
        Encoding, repeated column names, rows with too many or too few fields: each with its row.
    """
    if path.suffix.lower() == ".parquet":
        return as_strings(pd.read_parquet(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
    except UnicodeDecodeError as error:
        raise ManifestError(
            "MANIFEST_ENCODING", str(path), found=f"a byte that is not UTF-8 at offset {error.start}",
            expected="UTF-8", fix="save the table as CSV UTF-8",
        ) from error
    return _frame(path, [row for row in rows if row])


def as_strings(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as the string that a person would type; missing values become empty strings."""
    return pd.DataFrame({str(name): [_text(value) for value in frame[name]] for name in frame.columns}, dtype=object)


def name_columns(frame: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    """Give mapped columns the names of their roles; ``columns`` is ``{role: name in the table}``.

    The column mapped to ``environment`` also stays under its own name, as an attribute.
    """
    renamed = frame.copy()
    for role, name in columns.items():
        _check_mapping(frame, role, name, where)
        renamed[role] = frame[name]
        if name != role and role != "environment":
            renamed = renamed.drop(columns=name)
    for role in ("image", "label"):
        if role not in renamed.columns:
            raise ManifestError(
                "MANIFEST_COLUMN", where, found=f"columns {', '.join(frame.columns)}",
                expected=f"a column named {role}", fix=f"rename one, or map it: --column {role}=NAME",
            )
    return renamed


def _check_mapping(frame: pd.DataFrame, role: str, name: str, where: str) -> None:
    if role not in ROLES and not role.startswith(REGION_PREFIX):
        raise ManifestError(
            "MANIFEST_ROLE", where, found=f"a mapping for {role!r}",
            expected=f"one of {', '.join(ROLES)} or {REGION_PREFIX}NAME", fix="map role=NAME, not NAME=role",
        )
    if name not in frame.columns:
        raise ManifestError(
            "MANIFEST_COLUMN", where, found=f"columns {', '.join(frame.columns)}",
            expected=f"a column named {name}", fix=f"check the mapping {role}={name}",
        )


def _frame(path: Path, rows: list[list[str]]) -> pd.DataFrame:
    if not rows:
        raise ManifestError("MANIFEST_EMPTY", str(path), found="no rows", expected="a header and rows", fix="check the file")
    header = [name.strip() for name in rows[0]]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ManifestError(
            "MANIFEST_HEADER", f"{path}:1", found=f"column {repeated[0]!r} twice", expected="unique names", fix="rename one"
        )
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ManifestError(
            "MANIFEST_DELIMITER", f"{path}:1", found=repr(header[0]), expected="fields separated by commas",
            fix="save the table with commas",
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ManifestError(
                "MANIFEST_WIDTH", f"{path}:{number}", found=f"{len(row)} fields", expected=f"{len(header)} as in the header",
                fix="quote fields that hold commas",
            )
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def _text(value: object) -> str:
    missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
    return "" if missing else str(value)
