"""Where rows come from: a manifest, a DataFrame, or a map-style Dataset. All give the same pictures and strings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets import manifest
from figureground.datasets.columns import LABEL_PREFIX, MASK_PREFIX, REGION_PREFIX
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.files import Files, PathEscape, shown
from figureground.datasets.images import (
    Picture,
    array_picture,
    as_eight_bits,
    check_colour_depth,
    decoded,
    read_picture,
)
from figureground.datasets.lookup import Lookup
from figureground.datasets.masks import Mask, array_mask, decode_mask, picture_mask
from figureground.datasets.pixels import Pixels, row_pixels
from figureground.datasets.row_faults import RowFault
from figureground.errors import IntegrityError, ManifestError, UsageError

__all__ = ["DatasetSource", "Pixels", "Source", "TableSource", "as_picture", "open_source"]


#: A relative path that no normalisation would change: plain names between single slashes.
_PLAIN = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)


class Source(Protocol):
    """Rows as strings, and the pixels of one row at a time."""

    @property
    def kind(self) -> str:
        """``manifest``, ``dataframe`` or ``dataset``."""

    @property
    def where(self) -> str:
        """What errors call it: the path, or the kind."""

    @property
    def decoding(self) -> Decoding:
        """What was declared about its pictures and masks."""

    def table(self) -> pd.DataFrame:
        """Role columns and attributes as strings, with ``key``; one row per row given."""

    def there(self, position: int) -> bool:
        """Whether all files of one row are plainly there; nothing is opened, and False is no verdict."""

    def pixels(self, position: int) -> Pixels:
        """Decode one row; raises :class:`~figureground.datasets.images.RowFault`."""


@dataclass(frozen=True)
class TableSource:
    """Rows of a table whose cells name files below ``root``."""

    kind: str
    where: str
    frame: pd.DataFrame = field(repr=False)
    root: Path
    reading: str | None = None
    decoding: Decoding = PLAIN

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
        frame["path"] = _relative_paths(frame["image"].tolist(), self.root)
        for name in filter(_names_file, frame.columns):  # bytes that are no UTF-8 can be opened, but not stored
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
        named = ((name, cells[position]) for name, cells in self._cells.items() if _names_file(name))
        return all(self._lookup(cell) for name, cell in named if cell or name == "image")

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
            if _names_mask(name) and cell != ""
        }
        if self.decoding.mask_mode == "alpha" and row.get("mask", "") in ("", row["image"]):
            found["mask"] = partial(own_alpha, picture, self.decoding)
        return found

    def _mask(self, cell: str, decoding: Decoding, label: str, where: str) -> Mask:
        return decode_mask(self._read(cell, "mask", where), decoding, label)

    def _read(self, cell: str, kind: str, where: str) -> bytes:
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


@dataclass(frozen=True)
class DatasetSource:
    """Items of a map-style Dataset.

    An item is a mapping with ``image`` and ``label`` (or ``label:NAME`` for each finding), optionally ``mask``,
    ``mask:NAME``, ``key``, ``environment``, ``cluster``, ``split``, ``region:NAME`` and any attributes; or a tuple
    ``(image, label[, mask])``. An image is a PIL picture, uint8 ``[H, W, 3]`` or ``[C, H, W]``, or float ``[C, H, W]``
    in [0, 1] (rounded to 8 bits). A label is a class name or an index (a number where there are no ``classes``), or,
    for several findings, a vector with one entry for each of ``classes``: 1, 0, -1 (uncertain), NaN (unknown).
    """

    dataset: Any = field(repr=False)
    classes: Sequence[str]
    kind: str = "dataset"
    where: str = "dataset"
    decoding: Decoding = PLAIN

    def table(self) -> pd.DataFrame:
        """Everything but pixels, from one pass over the items."""
        rows = [self._strings(position) for position in range(len(self.dataset))]
        return manifest.as_strings(pd.DataFrame(rows, dtype=object))

    def there(self, position: int) -> bool:
        """Always: items without pixels are refused when the table is made."""
        return True

    def pixels(self, position: int) -> Pixels:
        """Pixels of one item."""
        item, decoding = _as_mapping(self.dataset[position]), self.decoding
        picture = read_item(item["image"], decoding)
        image = picture.image
        masks = {
            name: partial(item_mask, value, decoding, self._object(name, item))
            for name, value in item.items()
            if _names_mask(name) and value is not None
        }
        if decoding.mask_mode == "alpha" and "mask" not in masks:
            masks["mask"] = partial(own_alpha, picture, decoding)
        regions = {
            name: partial(item_mask, value, decoding.for_regions, "")
            for name, value in item.items()
            if name.startswith(REGION_PREFIX) and value is not None
        }
        digest = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
        return row_pixels(picture, digest, masks, regions, f"{self.where}[{position}]")

    def _object(self, name: str, item: Mapping[str, Any]) -> str:
        """The label whose object a mask is to hold."""
        if name != "mask":
            return name.removeprefix(MASK_PREFIX)
        return self._labels(item.get("label")).get("label", "")

    def _strings(self, position: int) -> dict[str, Any]:
        item = _as_mapping(self.dataset[position])
        found = {
            name: value
            for name, value in item.items()
            if name not in ("image", "mask") and not name.startswith((REGION_PREFIX, MASK_PREFIX))
        }
        # The names of regions and masks are part of the table; their pixels stay with the item.
        named = (name for name in item if name.startswith((REGION_PREFIX, MASK_PREFIX)))
        found |= {name: "given" for name in named if item[name] is not None}
        found.setdefault("key", f"{position:09d}")
        return found | self._labels(found.pop("label", None))

    def _labels(self, label: Any) -> dict[str, str]:
        """One label under its name, or one for each finding."""
        if label is None:
            return {}
        entries = label if isinstance(label, str) else _array(label)
        if isinstance(entries, str) or entries.ndim == 0:
            return {"label": self._label(label)}
        if len(entries) != len(self.classes):
            raise ManifestError(
                "DATASET_LABELS",
                self.where,
                found=f"{len(entries)} labels an item",
                expected=f"{len(self.classes)}, one for each of {', '.join(self.classes[:5]) or 'the classes'}",
                fix="give the classes in the order of the labels, or items with label:NAME",
            )
        values = [float(value) for value in entries]
        return {
            f"{LABEL_PREFIX}{name}": "" if value != value else f"{value:g}"
            for name, value in zip(self.classes, values, strict=True)
        }

    def _label(self, label: Any) -> str:
        if isinstance(label, str):
            return label
        number = float(label)
        # What is no index of a class (-1 above all, which Python would take from the end; 2.5) stays visible as it is.
        if number.is_integer():
            return self.classes[int(number)] if 0 <= number < len(self.classes) else str(int(number))
        return "" if number != number else repr(number)


def open_source(
    data: Any,
    *,
    classes: Sequence[str],
    columns: Mapping[str, str] | None = None,
    root: Path | None = None,
    decoding: Decoding = PLAIN,
) -> Source:
    """One :class:`Source` from what a caller gave.

    Parameters
    ----------
    data : path, pandas.DataFrame or map-style Dataset
        A CSV or Parquet manifest (or a folder with ``manifest.csv``), a frame with the same columns, or a Dataset.
    classes : sequence of str
        The model's class names, in order; they give names to a Dataset's integer labels.
    columns : mapping, optional
        ``{role: name in the table}``.
    root : Path, optional
        Nothing outside it is opened. Default: the manifest's folder; for a frame, the common folder of absolute
        paths, else the working directory.
    decoding : Decoding
        What is declared about its pictures and masks.
    """
    if isinstance(data, str | Path):
        path = manifest.find_manifest(Path(data))
        frame = manifest.name_columns(manifest.read_manifest(path), columns or {}, str(path))
        return TableSource("manifest", str(path), frame, root or path.parent, manifest.reading_of(frame), decoding)
    if isinstance(data, pd.DataFrame):
        frame = manifest.name_columns(manifest.as_strings(data), columns or {}, "DataFrame")
        base = root or _common_root(frame["image"].tolist())
        return TableSource("dataframe", "DataFrame", frame, base, decoding=decoding)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return DatasetSource(data, tuple(classes), decoding=decoding)
    raise UsageError(
        "DATA_KIND",
        "data",
        found=type(data).__name__,
        expected="a manifest path, a pandas DataFrame, or a map-style Dataset",
        fix="give one of these",
    )


def as_picture(image: Any, decoding: Decoding = PLAIN) -> Image.Image:
    """8-bit picture from a PIL image, a uint8 array, or a float tensor in [0, 1]; raises :class:`RowFault`."""
    return read_item(image, decoding).image


def read_item(image: Any, decoding: Decoding) -> Picture:
    """The picture of an item with what was done to it; raises :class:`RowFault`."""
    if not isinstance(image, Image.Image):
        return array_picture(_array(image), decoding)
    check_colour_depth(image)
    return as_eight_bits(decoded(image), decoding)


def item_mask(value: Any, decoding: Decoding, label: str) -> Mask:
    """The mask of an item, a PIL image or an array; raises :class:`RowFault`."""
    if isinstance(value, Image.Image):
        return picture_mask(decoded(value, "mask"), decoding, label)
    return array_mask(_array(value), decoding, label)


def own_alpha(picture: Picture, decoding: Decoding) -> Mask:
    """The mask in a picture's own alpha channel; raises :class:`RowFault` where it has none."""
    if picture.alpha is None:
        raise RowFault("mask_values", "the picture has no alpha channel, which mask_mode alpha says is its mask")
    return array_mask(picture.alpha, decoding)


def _names_mask(column: str) -> bool:
    return column == "mask" or column.startswith(MASK_PREFIX)


def _is_used(column: str) -> bool:
    return column == "label" or _names_file(column)


def _names_file(column: str) -> bool:
    return column == "image" or _names_mask(column) or column.startswith(REGION_PREFIX)


def _array(value: Any) -> npt.NDArray[Any]:
    return np.asarray(value.numpy(force=True) if hasattr(value, "numpy") else value)


def _as_mapping(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        found = {str(name): value for name, value in item.items()}
    else:
        # Without a mask a tuple is one shorter; what a longer one holds beyond these has no name here.
        found = dict(zip(("image", "label", "mask"), item, strict=False))
    labelled = "label" in found or any(name.startswith(LABEL_PREFIX) for name in found)
    if "image" not in found or not labelled:
        raise ManifestError(
            "DATASET_ITEM",
            "dataset[0]",
            found=f"an item with {', '.join(found) or 'nothing'}",
            expected="a mapping with image and label, or a tuple (image, label[, mask])",
            fix="wrap the dataset",
        )
    return found


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


def _common_root(cells: Sequence[str]) -> Path:
    paths = [Path(cell) for cell in cells if cell]
    if not paths or not all(path.is_absolute() for path in paths):
        return Path.cwd()
    root = paths[0].parent
    while not all(path.is_relative_to(root) for path in paths):
        root = root.parent
    return root
