"""Where rows come from: a manifest, a DataFrame, or a map-style Dataset. All give the same pictures and strings."""

from __future__ import annotations

import hashlib
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
from figureground.datasets.columns import REGION_PREFIX
from figureground.datasets.images import (
    RowFault,
    check_depth,
    decode_image,
    decode_mask,
    decoded,
    flatten,
    mask_values,
)
from figureground.errors import ManifestError, UsageError


@dataclass(frozen=True)
class Pixels:
    """What was read for one row, before any transform.

    Attributes
    ----------
    image : PIL.Image.Image
        Upright, 8 bits, mode ``L`` or ``RGB``.
    mask : ndarray or None
        uint8 ``[H, W]`` of the image's size: 0 ground, 1 object, 255 ignored.
    regions : dict
        Named masks, as ``mask``.
    sha256 : str
        Of the bytes that were read.
    """

    image: Image.Image
    mask: npt.NDArray[np.uint8] | None
    regions: dict[str, npt.NDArray[np.uint8]]
    sha256: str


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

    def pixels(self, position: int) -> Pixels:
        """Decode one row; raises :class:`~figureground.datasets.images.RowFault`."""


@dataclass(frozen=True)
class TableSource:
    """Rows of a table whose cells name files below ``root``."""

    kind: str
    where: str
    frame: pd.DataFrame = field(repr=False)
    root: Path

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
        frame["path"] = [_relative(cell, self.root) for cell in frame["image"]]
        if "key" not in frame.columns:
            frame["key"] = frame["path"]
        return frame

    @cached_property
    def _cells(self) -> list[dict[str, str]]:
        return [
            {str(name): cell for name, cell in row.items()}
            for row in self.frame[[name for name in self.frame if _names_file(str(name))]].to_dict("records")
        ]

    @cached_property
    def _base(self) -> Path:
        return self.root.resolve()

    def pixels(self, position: int) -> Pixels:
        """Read and decode the files of one row."""
        row = self._cells[position]
        data = self._read(row["image"], "image")
        image = decode_image(data)
        mask = self._mask(row.get("mask", ""), image)
        regions = {
            name.removeprefix(REGION_PREFIX): region
            for name, cell in row.items()
            if name.startswith(REGION_PREFIX) and (region := self._mask(cell, image)) is not None
        }
        return Pixels(image, mask, regions, hashlib.sha256(data).hexdigest())

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

    An item is a mapping with ``image`` and ``label``, optionally ``mask``, ``key``, ``environment``, ``cluster``,
    ``split``, ``region:NAME`` and any attributes; or a tuple ``(image, label[, mask])``. An image is
    a PIL picture, uint8 ``[H, W, 3]`` or ``[C, H, W]``, or float ``[C, H, W]`` in [0, 1] (rounded to 8 bits). A label
    is a class name or an index.
    """

    dataset: Any = field(repr=False)
    classes: Sequence[str]
    kind: str = "dataset"
    where: str = "dataset"

    def table(self) -> pd.DataFrame:
        """Everything but pixels, from one pass over the items."""
        rows = [self._strings(position) for position in range(len(self.dataset))]
        return manifest.as_strings(pd.DataFrame(rows, dtype=object))

    def pixels(self, position: int) -> Pixels:
        """Pixels of one item."""
        item = _as_mapping(self.dataset[position])
        image = as_picture(item["image"])
        mask = item.get("mask")
        regions = {
            name.removeprefix(REGION_PREFIX): fitting(mask_values(_array(value)), image)
            for name, value in item.items()
            if name.startswith(REGION_PREFIX) and value is not None
        }
        digest = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
        return Pixels(image, None if mask is None else fitting(mask_values(_array(mask)), image), regions, digest)

    def _strings(self, position: int) -> dict[str, Any]:
        item = _as_mapping(self.dataset[position])
        found = {
            name: value
            for name, value in item.items()
            if name not in ("image", "mask") and not name.startswith(REGION_PREFIX)
        }
        # The names of regions are part of the table; their pixels stay with the item.
        found |= {name: "given" for name in item if name.startswith(REGION_PREFIX) and item[name] is not None}
        found.setdefault("key", f"{position:09d}")
        found["label"] = self._label(found["label"])
        return found

    def _label(self, label: Any) -> str:
        if isinstance(label, str):
            return label
        index = int(label)
        # An index that no class has (-1 above all, which Python would take from the end) stays visible as it is.
        return self.classes[index] if 0 <= index < len(self.classes) else str(index)


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
        return TableSource("manifest", str(path), frame, root or path.parent)
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


def _names_file(column: str) -> bool:
    return column in ("image", "mask") or column.startswith(REGION_PREFIX)


def _array(value: Any) -> npt.NDArray[Any]:
    return np.asarray(value.numpy(force=True) if hasattr(value, "numpy") else value)


def _as_mapping(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        found = {str(name): value for name, value in item.items()}
    else:
        found = dict(zip(("image", "label", "mask"), item, strict=False))
    if "image" not in found or "label" not in found:
        raise ManifestError(
            "DATASET_ITEM",
            "dataset[0]",
            found=f"an item with {', '.join(found) or 'nothing'}",
            expected="a mapping with image and label, or a tuple (image, label[, mask])",
            fix="wrap the dataset",
        )
    return found


def _relative(cell: str, root: Path) -> str:
    path = Path(cell)
    # The root as it was given first: under a link, the cells usually name the link and not its target.
    for base in (root.absolute(), root.resolve()):
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
