"""Read a data table as strings: nothing is coerced, ``NA`` stays ``NA``, an empty cell stays empty."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Protocol

import pandas as pd

from figureground.datasets.columns import LABEL_PREFIX, PREFIXES, ROLES
from figureground.errors import ManifestError
from figureground.visible import is_text

_UTF8, _CP1252, _READING, _LEVELS = "UTF-8", "Windows-1252", "reading", "levels"
_CODECS = {_UTF8: "utf-8-sig", _CP1252: "cp1252"}
#: Rows that are taken over at once, and distinct cells of a column up to which each is kept once.
_CHUNK, _KEPT_ONCE = 4096, 50_000
#: Marks that spreadsheets put between fields in place of commas.
_DELIMITERS = {";": "separated by semicolons", "\t": "separated by tabs", "|": "separated by bars"}
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class _Reader(Protocol):
    """A CSV reader: rows, and the number of lines read so far."""

    @property
    def line_num(self) -> int:
        """Lines read, which are more than rows where a quoted field holds line ends."""

    def __iter__(self) -> Iterator[list[str]]: ...


def find_manifest(data: Path) -> Path:
    """The table itself, or ``manifest.csv`` / ``manifest.parquet`` in a folder."""
    candidates = [data / "manifest.csv", data / "manifest.parquet"] if data.is_dir() else [data]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ManifestError(
        "MANIFEST_MISSING",
        str(data),
        found="no such table",
        expected="a CSV or Parquet file, or a folder that holds manifest.csv",
        fix="check the path",
    )


def read_manifest(path: Path) -> pd.DataFrame:
    """All cells as strings, in file order.

    A CSV file is UTF-8, else Windows-1252 (what spreadsheets write); fields are separated by commas, else by
    semicolons, tabs or bars where every row then has as many fields as the header. What was not UTF-8 and commas is
    told by :func:`reading_of`.

    Raises
    ------
    ManifestError
        Encoding, repeated column names, rows with too many or too few fields: each with its row.
    """
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    data = path.read_bytes()
    encoding = _encoding_of(data, path)
    delimiter = _delimiter(data, encoding, path)
    frame = _frame(path, _numbered(path, _reader(data, encoding, delimiter)))
    told = [*([] if encoding == _UTF8 else [encoding]), *([] if delimiter == "," else [_DELIMITERS[delimiter]])]
    frame.attrs[_READING] = ", ".join(told)
    return frame


def reading_of(frame: pd.DataFrame) -> str | None:
    """How a table was read, where that was not UTF-8 with commas; None otherwise."""
    return frame.attrs.get(_READING) or None


def _encoding_of(data: bytes, path: Path) -> str:
    """The encoding that all bytes of a file are in."""
    wide = next((name for mark, name in _WIDE.items() if data.startswith(mark)), None)
    if wide is not None:
        raise _encoding(path, f"{wide}, by its first bytes")
    try:
        data.decode("utf-8")
        return _UTF8
    except UnicodeDecodeError as error:
        offset = error.start
    try:
        data.decode("cp1252")
        return _CP1252
    except UnicodeDecodeError:
        raise _encoding(path, f"a byte that is neither UTF-8 nor Windows-1252 at offset {offset}") from None


def _reader(data: bytes, encoding: str, delimiter: str) -> _Reader:
    """Rows of a file, one at a time: a million of them as one text would take four bytes a character."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding=_CODECS[encoding], newline="")
    # Strict, because a quote that is never closed would otherwise swallow all rows that follow.
    return csv.reader(text, strict=True, delimiter=delimiter)


def _encoding(path: Path, found: str) -> ManifestError:
    fix = "save the table as CSV UTF-8"
    return ManifestError("MANIFEST_ENCODING", str(path), found=found, expected="UTF-8", fix=fix)


def _delimiter(data: bytes, encoding: str, path: Path) -> str:
    """The comma, or, where the header holds none, the mark that gives every row as many fields as the header."""
    header = data.split(b"\n", 1)[0].decode(_CODECS[encoding])
    marks = [mark for mark in _DELIMITERS if mark in header]
    if "," in header or not marks:
        return ","
    found = next((mark for mark in marks if _even(_reader(data, encoding, mark))), None)
    if found is not None:
        return found
    raise ManifestError(
        "MANIFEST_DELIMITER",
        f"{path}:1",
        found=repr(header.strip()),
        expected="fields separated by commas, or as many fields in every row as in the header",
        fix="save the table with commas",
    )


def _even(rows: _Reader) -> bool:
    try:
        widths = Counter(len(row) for row in rows if row)
    except csv.Error:
        return False
    return len(widths) == 1 and widths.total() > 1


def levels_of(frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Levels that a table declares for its columns, whether a row has them or not; empty where it declares none."""
    return dict(frame.attrs.get(_LEVELS, {}))


def declare_levels(frame: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The table with levels declared for some of its columns, as :func:`levels_of` tells them."""
    frame.attrs[_LEVELS] = {name: tuple(found) for name, found in levels.items()}
    return frame


def as_strings(frame: pd.DataFrame) -> pd.DataFrame:
    """Every cell as the string that a person would type; missing values become empty strings.

    An index that has a name is a column like any other. Categories stay known to :func:`levels_of`, those without a
    row too.

    Raises
    ------
    ManifestError
        ``MANIFEST_HEADER`` for two columns of one name.
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index(level=[name for name in frame.index.names if name is not None], allow_duplicates=True)
    _check_unique([str(name) for name in frame.columns], "table")
    columns = {str(name): [_text(value) for value in frame[name]] for name in frame.columns}
    for name, cells in columns.items():
        _check_text(name, cells)
    return declare_levels(pd.DataFrame(columns, dtype=object), _categories(frame))


def _categories(frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    kinds = {str(name): frame[name].dtype for name in frame.columns}
    return {
        name: tuple(_text(value) for value in kind.categories)
        for name, kind in kinds.items()
        if isinstance(kind, pd.CategoricalDtype)
    }


def name_columns(frame: pd.DataFrame, columns: Mapping[str, str], where: str, *, labelled: bool = True) -> pd.DataFrame:
    """Give mapped columns the names of their roles; ``columns`` is ``{role: name in the table}``.

    Without labels (``labelled`` False) none is asked for.
    The column mapped to ``environment`` also stays under its own name, as an attribute.
    """
    renamed = frame.copy()
    for role, name in columns.items():
        _check_mapping(frame, role, name, where)
        renamed[role] = frame[name]
    moved = {name for role, name in columns.items() if role != "environment"} - set(columns)
    renamed = renamed.drop(columns=[name for name in moved if name in renamed.columns])
    _check_needed(renamed, where, labelled)
    return declare_levels(renamed, _renamed_levels(levels_of(frame), columns, moved))


def _renamed_levels(
    levels: Mapping[str, tuple[str, ...]], columns: Mapping[str, str], moved: set[str]
) -> dict[str, tuple[str, ...]]:
    kept = {name: found for name, found in levels.items() if name not in {*moved, *columns}}
    return kept | {role: levels[name] for role, name in columns.items() if name in levels}


def _check_needed(frame: pd.DataFrame, where: str, labelled: bool) -> None:
    """An image column, and either one label column or one for each finding, where there are labels."""
    several = [name for name in frame.columns if name.startswith(LABEL_PREFIX)]
    for role in ("image", "label") if labelled and not several else ("image",):
        if role not in frame.columns:
            raise ManifestError(
                "MANIFEST_COLUMN",
                where,
                found=f"columns {', '.join(map(repr, frame.columns))}",
                expected=f"a column named {role}",
                fix=_nearest(role, list(frame.columns)),
            )
    if several and "label" in frame.columns:
        raise ManifestError(
            "MANIFEST_LABELS",
            where,
            found=f"a column label beside {', '.join(several[:3])}",
            expected="one label a row, or one column for each finding, not both",
            fix="rename the column that is no label, for example to diagnosis",
        )


def _nearest(role: str, columns: Sequence[str]) -> str:
    """What to do about a role without a column; a name that differs in blanks or capitals only is the nearest."""
    plain = {name.strip().casefold(): name for name in reversed(columns)}
    near = get_close_matches(role, plain, n=1)
    if not near:
        none = ", or audit without labels: --no-labels" if role == "label" else ""
        return f"rename one, or map it: --column {role}=NAME{none}"
    return f"did you mean {plain[near[0]]!r}? rename it, or map it: --column '{role}={plain[near[0]]}'"


def _check_mapping(frame: pd.DataFrame, role: str, name: str, where: str) -> None:
    if role not in ROLES and not role.startswith(PREFIXES):
        raise ManifestError(
            "MANIFEST_ROLE",
            where,
            found=f"a mapping for {role!r}",
            expected=f"one of {', '.join(ROLES)}, {', '.join(f'{prefix}NAME' for prefix in PREFIXES)}",
            fix="map role=NAME, not NAME=role",
        )
    if name not in frame.columns:
        raise ManifestError(
            "MANIFEST_COLUMN",
            where,
            found=f"columns {', '.join(map(repr, frame.columns))}",
            expected=f"a column named {name}",
            fix=f"check the mapping {role}={name}",
        )


def _parquet(path: Path) -> pd.DataFrame:
    # Nullable types: pandas' default turns whole numbers beside a missing value into floats, 7 into "7.0".
    try:
        return as_strings(pd.read_parquet(path, dtype_backend="numpy_nullable"))
    except (ManifestError, MemoryError):
        raise
    except Exception as error:  # what pandas wrote about its types, and the bytes of words, can be damaged in any way
        raise ManifestError(
            "MANIFEST_PARQUET",
            str(path),
            found=next(iter(str(error).splitlines()), type(error).__name__),
            expected="a Parquet file",
            fix="write it again, or give a CSV file",
        ) from error


def _numbered(path: Path, reader: _Reader) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it begins."""
    first = 1
    try:
        for row in reader:
            if any("\0" in cell for cell in row):  # no name of a file holds one, and other tools cut the cell there
                raise csv.Error("a NUL byte")
            if row:
                yield first, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(
            "MANIFEST_QUOTES",
            f"{path}:{first}",
            found=f"a row that cannot be split: {error}",
            expected="fields that are plain, or wholly inside one pair of quotes",
            fix="close or double the quotes; a table with NUL bytes was not saved as text: save it as CSV UTF-8",
        ) from error


def _check_text(name: str, cells: list[str]) -> None:
    """Only a table in memory can hold what UTF-8 cannot write: files are decoded."""
    if is_text(name) and is_text("".join(cells)):
        return
    row = next((at for at, cell in enumerate(cells) if not is_text(cell)), 0)
    raise ManifestError(
        "MANIFEST_TEXT",
        f"table:{row + 2}:{name}",
        found=f"{cells[row] if is_text(name) else name!r}, which holds half of a surrogate pair",
        expected="text that UTF-8 can write",
        fix="give the level, or the file, another name",
    )


def _check_unique(header: list[str], where: str) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ManifestError(
            "MANIFEST_HEADER", where, found=f"column {repeated[0]!r} twice", expected="unique names", fix="rename one"
        )


def _frame(path: Path, rows: Iterator[tuple[int, list[str]]]) -> pd.DataFrame:
    first = next(rows, None)
    if first is None:
        raise ManifestError(
            "MANIFEST_EMPTY", str(path), found="no rows", expected="a header and rows", fix="check the file"
        )
    header = [name.strip() for name in first[1]]
    _check_unique(header, f"{path}:1")
    columns = [_Column() for _ in header]
    checked = _of_width(path, len(header), rows)
    while chunk := list(islice(checked, _CHUNK)):
        for column, cells in zip(columns, zip(*chunk, strict=True), strict=True):
            column.take(cells)
    return pd.DataFrame(dict(zip(header, (column.cells for column in columns), strict=True)), dtype=object)


def _of_width(path: Path, width: int, rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[str]]:
    for number, row in rows:
        if len(row) != width:
            raise ManifestError(
                "MANIFEST_WIDTH",
                f"{path}:{number}",
                found=f"{len(row)} fields",
                expected=f"{width} as in the header",
                fix="quote fields that hold commas",
            )
        yield row


@dataclass
class _Column:
    """Cells of one column; few distinct ones are kept once each, as in a million rows of four sites."""

    cells: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def take(self, cells: Sequence[str]) -> None:
        if len(self.known) > _KEPT_ONCE:
            self.known = {}
            self.cells.extend(cells)
        elif self.cells and not self.known:
            self.cells.extend(cells)
        else:
            self.cells.extend(self.known.setdefault(cell, cell) for cell in cells)


def _text(value: object) -> str:
    missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
    return "" if missing else str(value)
