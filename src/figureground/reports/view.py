"""What a template is given: plain values, already in words. No template computes anything."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

#: Rows of a table beneath a chart; the rest stays in the run's Parquet files.
MAX_ROWS = 12


@dataclass(frozen=True)
class Table:
    """A table: its caption, columns, rows of text, and what to say beneath.

    ``numeric`` holds the columns that are aligned right; the first column is a row header.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page; width and height in CSS pixels."""

    src: str
    width: int
    height: int


@dataclass(frozen=True)
class Chart:
    """A chart for wide and for narrow screens, the result in words, and its numbers; ``failed`` says why none is."""

    identifier: str
    title: str
    wide: Picture | None
    narrow: Picture | None
    alt: str
    caption: str
    tables: tuple[Table, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Chip:
    """A state as a word and a shape, so that it never hangs on colour."""

    state: str
    shape: str
    words: str


@dataclass(frozen=True)
class Facts:
    """What a case is filtered and sorted by.

    ``choices`` says which value of each filter it has, from 1, in the order of the filters; ``probability`` and
    ``share`` are written as JavaScript reads numbers, and are empty where there is none.
    """

    rank: int
    choices: tuple[int, ...]
    probability: str
    share: str


@dataclass(frozen=True)
class Panel:
    """One picture of a case, with what stands beneath it."""

    title: str
    picture: Picture | None
    alt: str
    lines: tuple[str, ...]
    mark: str = ""
    marked: bool = False
    is_map: bool = False


@dataclass(frozen=True)
class Case:
    """One image of the data and its panels."""

    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    facts: Facts | None = None


@dataclass(frozen=True)
class Cases:
    """Cases chosen by one rule that was declared before the run."""

    title: str
    rule: str
    cases: tuple[Case, ...]
    rule_name: str = ""


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries in which every missing value is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def svg_picture(svg: str, width: int, height: int) -> Picture:
    """An SVG document as a data URI."""
    return Picture(_uri("image/svg+xml", svg.encode()), width, height)


def png_picture(content: bytes, width: int, height: int) -> Picture:
    """A PNG file as a data URI."""
    return Picture(_uri("image/png", content), width, height)


def webp_picture(content: bytes) -> Picture:
    """A stored WebP file as a data URI, with its own size in pixels."""
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    return Picture(_uri("image/webp", content), width, height)


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text_columns: int = 1,
    note: Callable[[int, int], str] | None = None,
    limit: int = MAX_ROWS,
) -> Table:
    """Table of the first ``limit`` rows; of all of them where no ``note`` says that it was cut.

    ``note`` words how many rows were left out, and of how many. Columns from ``text_columns`` on are numbers and
    aligned right.
    """
    left_out = 0 if note is None else max(len(rows) - limit, 0)
    words = note(left_out, len(rows)) if note is not None and left_out else ""
    shown = tuple(tuple(row) for row in rows[: len(rows) - left_out])
    return Table(caption, tuple(columns), shown, frozenset(range(text_columns, len(columns))), words)


def _uri(media: str, content: bytes) -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
