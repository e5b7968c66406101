"""Rows of a table whose cells name files: a manifest, a DataFrame, stored rows of a Hugging Face dataset."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from figureground.datasets import huggingface
from figureground.datasets.columns import MASK_PREFIX, REGION_PREFIX, names_file, names_mask
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.files import Files, PathEscape, shown
from figureground.datasets.images import (
    Picture,
    read_picture,
)
from figureground.datasets.lookup import Lookup
from figureground.datasets.masks import Mask, array_mask, decode_mask
from figureground.datasets.pixels import Pixels, row_pixels
from figureground.datasets.row_faults import RowFault
from figureground.errors import IntegrityError, ManifestError

#: A relative path that no normalisation would change: plain names between single slashes.
_PLAIN = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class TableSource:
    """Rows of a table whose cells name files below ``root``, or pictures that ``stored`` holds.

    ``joined`` says what was joined to the table, where that was done; ``reading`` how it was read, where that was not
    as usual.
    """

    kind: str
    where: str
    frame: pd.DataFrame = field(repr=False)
    root: Path
    reading: str | None = None
    decoding: Decoding = PLAIN
    joined: Mapping[str, Any] | None = None
    stored: Callable[[str], bytes | None] | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Role columns and attributes as strings, with ``key`` and ``path``."""
        frame = self.frame.copy()
        if "path" in frame.columns:
            raise ManifestError(
                "MANIFEST_COLUMN",
                self.where,
                found="an attribute column named 'path'",
                expected="a name that the examples table does not use itself",
                fix="rename it, for example to my_path, or map it: --column image=path",
            )
        paths = _relative_paths(frame["image"].tolist(), self.root)
        frame["path"] = [
            None if self._is_stored(cell) else path for cell, path in zip(frame["image"], paths, strict=True)
        ]
        for name in filter(names_file, frame.columns):  # bytes that are no UTF-8 can be opened, but not stored
            frame[name] = [shown(cell) for cell in frame[name]]
        if "key" not in frame.columns:
            frame["key"] = frame["path"]
        if self.decoding.mask_mode == "alpha":  # a row without a mask of its own has its picture's
            own = frame["image"]
            frame["mask"] = frame["mask"].where(frame["mask"] != "", own) if "mask" in frame.columns else own
        return frame

    @cached_property
    def _cells(self) -> dict[str, list[str]]:
        """Cells that are used of each row, by column."""
        return {str(name): self.frame[name].tolist() for name in self.frame if _is_used(str(name))}

    @cached_property
    def _files(self) -> Files:
        return Files(self.root.resolve())

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.root.resolve())

    def there(self, position: int) -> bool:
        """Whether the row names an image, and its image and masks are plainly there."""
        named = {name: cells[position] for name, cells in self._cells.items() if names_file(name)}
        wanted = [cell for name, cell in named.items() if cell != "" or name == "image"]
        return all(self._is_stored(cell) or self._lookup(cell) for cell in wanted)

    def pixels(self, position: int) -> Pixels:
        """Read and decode the files of one row."""
        row = {name: cells[position] for name, cells in self._cells.items()}
        where = f"{self.where}:{position + 2}"
        data = self._read(row["image"], "image", f"{where}:image")
        digest = hashlib.sha256(data).hexdigest()
        try:
            picture = read_picture(data, self.decoding)
        except RowFault as fault:
            raise RowFault(fault.reason, fault.detail, digest) from fault
        regions = {
            name: partial(self._mask, cell, self.decoding.for_regions, "", f"{where}:{name}")
            for name, cell in row.items()
            if name.startswith(REGION_PREFIX) and cell != ""
        }
        return row_pixels(picture, digest, self._masks(row, picture, where), regions, where)

    def _masks(self, row: Mapping[str, str], picture: Picture, where: str) -> dict[str, Callable[[], Mask]]:
        """How each mask of a row is read; one of a finding holds that finding, the shared one the row's label."""
        found: dict[str, Callable[[], Mask]] = {
            name: partial(
                self._mask,
                cell,
                self.decoding,
                name.removeprefix(MASK_PREFIX) if name != "mask" else row.get("label", ""),
                f"{where}:{name}",
            )
            for name, cell in row.items()
            if names_mask(name) and cell != ""
        }
        if self.decoding.mask_mode == "alpha" and row.get("mask", "") in ("", row["image"]):
            found["mask"] = partial(own_alpha, picture, self.decoding)
        return found

    def _mask(self, cell: str, decoding: Decoding, label: str, where: str) -> Mask:
        return decode_mask(self._read(cell, "mask", where), decoding, label)

    def _is_stored(self, cell: str) -> bool:
        return self.stored is not None and cell.startswith(huggingface.STORED)

    def _read(self, cell: str, kind: str, where: str) -> bytes:
        if self.stored is not None and (held := self.stored(cell)) is not None:
            return held
        try:
            return self._files.read(cell, kind)
        except PathEscape as escape:
            if self.decoding.keep_going:
                raise
            raise IntegrityError(
                "PATH_ESCAPE",
                where,
                found=escape.detail,
                expected="files below the data root",
                fix="give --root, correct the cell, or set such rows aside with --keep-going",
            ) from escape


def own_alpha(picture: Picture, decoding: Decoding) -> Mask:
    """The mask in a picture's own alpha channel; raises :class:`RowFault` where it has none."""
    if picture.alpha is None:
        raise RowFault("mask_values", "the picture has no alpha channel, which mask_mode alpha says is its mask")
    return array_mask(picture.alpha, decoding)


def _is_used(column: str) -> bool:
    return column == "label" or names_file(column)


def _relative_paths(cells: Sequence[str], root: Path) -> list[str]:
    """Paths below the root with forward slashes, as far as they lie there; a cell that is one already is kept."""
    # The root as it was given first: under a link, the cells usually name the link and not its target.
    bases = (root.absolute(), root.resolve())
    return [cell if _PLAIN.fullmatch(cell) else _relative(cell, bases) for cell in cells]


def _relative(cell: str, bases: Sequence[Path]) -> str:
    path = Path(cell)
    for base in bases:
        if path.is_absolute() and path.is_relative_to(base):
            path = path.relative_to(base)
    return shown(str(PurePosixPath(path.as_posix())))
