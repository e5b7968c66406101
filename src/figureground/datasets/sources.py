"""Where rows come from: a manifest, a DataFrame, or a map-style Dataset. All give the same pictures and strings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets import manifest
from figureground.datasets.columns import GROUND, IGNORE, LABEL_PREFIX, MASK_PREFIX, OBJECT, REGION_PREFIX
from figureground.datasets.images import (
    RowFault,
    check_depth,
    decode_image,
    decode_mask,
    decoded,
    flatten,
    mask_values,
)
from figureground.datasets.lookup import Lookup
from figureground.errors import ManifestError, UsageError


@dataclass(frozen=True)
class Pixels:
    """What was read for one row, before any transform.

    Attributes
    ----------
    image : PIL.Image.Image
        Upright, 8 bits, mode ``L`` or ``RGB``.
    mask : ndarray or None
        uint8 ``[H, W]`` of the image's size: 0 ground, 1 object, 255 ignored. Where findings have masks of their own,
        whatever any mask of the row calls an object: what lies outside it is background to all of them.
    regions : dict
        Named masks, as ``mask``.
    sha256 : str
        Of the bytes that were read.
    """

    image: Image.Image
    mask: npt.NDArray[np.uint8] | None
    regions: dict[str, npt.NDArray[np.uint8]]
    sha256: str


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
        if "key" not in frame.columns:
            frame["key"] = frame["path"]
        return frame

    @cached_property
    def _cells(self) -> dict[str, list[str]]:
        """Cells that name files, by column."""
        return {str(name): self.frame[name].tolist() for name in self.frame if _names_file(str(name))}

    @cached_property
    def _base(self) -> Path:
        return self.root.resolve()

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.root.resolve())

    def there(self, position: int) -> bool:
        """Whether the row names an image, and its image and masks are plainly there."""
        return all(
            self._lookup(cells[position]) for name, cells in self._cells.items() if cells[position] or name == "image"
        )

    def pixels(self, position: int) -> Pixels:
        """Read and decode the files of one row."""
        row = {name: cells[position] for name, cells in self._cells.items()}
        data = self._read(row["image"], "image")
        image = decode_image(data)
        masks = [self._mask(cell, image) for name, cell in row.items() if _names_mask(name)]
        regions = {
            name.removeprefix(REGION_PREFIX): region
            for name, cell in row.items()
            if name.startswith(REGION_PREFIX) and (region := self._mask(cell, image)) is not None
        }
        return Pixels(image, union(masks), regions, hashlib.sha256(data).hexdigest())

    def _mask(self, cell: str, image: Image.Image) -> npt.NDArray[np.uint8] | None:
        return None if cell == "" else fitting(decode_mask(self._read(cell, "mask")), image)

    def _read(self, cell: str, kind: str) -> bytes:
        if cell == "":
            raise RowFault(f"{kind}_missing", "an empty cell; expected a path")
        # Names can be too long, hold a NUL, lie in a closed folder or in a ring of links.
        try:
            file = (self._base / cell).resolve()
            if not file.is_relative_to(self._base):
                raise RowFault("outside_root", f"{cell} lies outside the data root; give --root")
            if not file.is_file():
                raise RowFault(f"{kind}_missing", f"{cell} is not a file")
            return file.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise RowFault(f"{kind}_unreadable", f"{cell}: {error}") from error


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

    def table(self) -> pd.DataFrame:
        """Everything but pixels, from one pass over the items."""
        rows = [self._strings(position) for position in range(len(self.dataset))]
        return manifest.as_strings(pd.DataFrame(rows, dtype=object))

    def there(self, position: int) -> bool:
        """Always: items without pixels are refused when the table is made."""
        return True

    def pixels(self, position: int) -> Pixels:
        """Pixels of one item."""
        item = _as_mapping(self.dataset[position])
        image = as_picture(item["image"])
        masks = [
            fitting(mask_values(_array(value)), image)
            for name, value in item.items()
            if _names_mask(name) and value is not None
        ]
        regions = {
            name.removeprefix(REGION_PREFIX): fitting(mask_values(_array(value)), image)
            for name, value in item.items()
            if name.startswith(REGION_PREFIX) and value is not None
        }
        digest = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
        return Pixels(image, union(masks), regions, digest)

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
    data: Any, *, classes: Sequence[str], columns: Mapping[str, str] | None = None, root: Path | None = None
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
    """
    if isinstance(data, str | Path):
        path = manifest.find_manifest(Path(data))
        frame = manifest.name_columns(manifest.read_manifest(path), columns or {}, str(path))
        return TableSource("manifest", str(path), frame, root or path.parent, manifest.reading_of(frame))
    if isinstance(data, pd.DataFrame):
        frame = manifest.name_columns(manifest.as_strings(data), columns or {}, "DataFrame")
        return TableSource("dataframe", "DataFrame", frame, root or _common_root(frame["image"].tolist()))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return DatasetSource(data, tuple(classes))
    raise UsageError(
        "DATA_KIND",
        "data",
        found=type(data).__name__,
        expected="a manifest path, a pandas DataFrame, or a map-style Dataset",
        fix="give one of these",
    )


def as_picture(image: Any) -> Image.Image:
    """8-bit picture from a PIL image, a uint8 array, or a float tensor in [0, 1]; raises :class:`RowFault`."""
    if isinstance(image, Image.Image):
        check_depth(image)
        return flatten(decoded(image))
    pixels = _array(image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if np.issubdtype(pixels.dtype, np.floating):
        if not ((pixels >= 0) & (pixels <= 1)).all():  # also false for NaN
            raise RowFault("image_range", "float pixels outside [0, 1]; give pictures before normalisation")
        pixels = np.rint(pixels * 255).astype(np.uint8)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or pixels.size == 0:
        raise RowFault("image_depth", f"{pixels.dtype} of shape {pixels.shape}; expected uint8, or float in [0, 1]")
    return flatten(Image.fromarray(np.ascontiguousarray(pixels)))


def fitting(mask: npt.NDArray[np.uint8], image: Image.Image) -> npt.NDArray[np.uint8]:
    """The mask itself if it has the image's size; a mask of another size is somebody else's."""
    height, width = mask.shape
    if (width, height) != image.size:
        raise RowFault("mask_size", f"mask {width}x{height}, image {image.width}x{image.height}; expected equal sizes")
    return mask


def union(masks: Sequence[npt.NDArray[np.uint8] | None]) -> npt.NDArray[np.uint8] | None:
    """Object where any mask has one, else ignored where any ignores, else ground; None without any mask.

    Examples
    --------
    >>> union([np.array([[1, 0, 0]], np.uint8), None, np.array([[0, 255, 0]], np.uint8)]).tolist()
    [[1, 255, 0]]
    """
    given = [mask for mask in masks if mask is not None]
    if len(given) < 2:
        return given[0] if given else None
    stacked = np.stack(given)
    found = np.full(stacked.shape[1:], GROUND, dtype=np.uint8)
    found[(stacked == IGNORE).any(axis=0)] = IGNORE
    found[(stacked == OBJECT).any(axis=0)] = OBJECT
    return found


def _names_mask(column: str) -> bool:
    return column == "mask" or column.startswith(MASK_PREFIX)


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
    return str(PurePosixPath(path.as_posix()))


def _common_root(cells: Sequence[str]) -> Path:
    paths = [Path(cell) for cell in cells if cell]
    if not paths or not all(path.is_absolute() for path in paths):
        return Path.cwd()
    root = paths[0].parent
    while not all(path.is_relative_to(root) for path in paths):
        root = root.parent
    return root
