"""Where rows come from: a manifest, a DataFrame, a Dataset, a data module, a Hugging Face dataset.

All give the same pictures and strings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets import huggingface, manifest
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
from figureground.datasets.joining import Attributes
from figureground.datasets.label_cells import label_cells
from figureground.datasets.lightning_data import dataset_of, is_datamodule
from figureground.datasets.normalized import Normalized, check_scale
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


class Source(Protocol):
    """Rows as strings, and the pixels of one row at a time."""

    @property
    def kind(self) -> str:
        """``manifest``, ``dataframe``, ``dataset``, ``datamodule`` or ``huggingface``."""

    @property
    def where(self) -> str:
        """What errors call it: the path, or the kind."""

    def table(self) -> pd.DataFrame:
        """Role columns and attributes as strings, with ``key``; one row per row given."""

    def pixels(self, position: int) -> Pixels:
        """Decode one row; raises :class:`~figureground.datasets.images.RowFault`."""


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
        held = huggingface.STORED if self.stored is not None else None
        frame["path"] = [
            None if held is not None and cell.startswith(held) else _relative(cell, self.root)
            for cell in frame["image"]
        ]
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
        if self.stored is not None and (held := self.stored(cell)) is not None:
            return held
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
    in [0, 1] (rounded to 8 bits), or as ``normalized`` says. A label is a class name or an index (a number where there
    are no ``classes``), or, for several findings, a vector with one entry for each of ``classes``: 1, 0, -1
    (uncertain), NaN (unknown).

    ``columns`` gives entries of an item the names of their roles; ``attributes`` are joined to the table.
    """

    dataset: Any = field(repr=False)
    classes: Sequence[str]
    kind: str = "dataset"
    where: str = "dataset"
    columns: Mapping[str, str] = field(default_factory=dict)
    attributes: Attributes | None = None
    normalized: Normalized | None = None
    labelled: bool = True

    def table(self) -> pd.DataFrame:
        """Everything but pixels, from one pass over the items; raises where pixels are on no scale that is declared."""
        found = self._plain if self.attributes is None else self.attributes(self._plain, self.where)
        taken = set(_taken(self.columns))
        later = {role: name for role, name in self.columns.items() if name not in taken}
        # Pixels are no column of the table; a place for them lets roles be named as in any other.
        named = manifest.name_columns(found.assign(image=""), later, self.where, labelled=self.labelled)
        return named.drop(columns="image")

    @property
    def joined(self) -> Mapping[str, Any] | None:
        """What was joined to the table; None where nothing was."""
        return None if self.attributes is None else self.attributes.record(self._plain)

    @property
    def reading(self) -> str | None:
        """How pixels were brought back to [0, 1], where they were normalised."""
        return None if self.normalized is None else self.normalized.told

    @cached_property
    def _plain(self) -> pd.DataFrame:
        rows = [self._strings(position) for position in range(len(self.dataset))]
        found = manifest.as_strings(pd.DataFrame(rows, dtype=object))
        for name, role in _taken(self.columns).items():
            if role not in ("image", "label", *found.columns):
                manifest.name_columns(found.assign(image="", label=""), {role: name}, self.where)  # says so
        return found

    def _item(self, position: int) -> dict[str, Any]:
        """One item; what holds pixels or a label has the name of its role already."""
        item = _as_mapping(self.dataset[position], _taken(self.columns), labelled=self.labelled)
        if self.normalized is not None:
            item["image"] = self.normalized.undone(item["image"])
        return item

    def pixels(self, position: int) -> Pixels:
        """Pixels of one item."""
        item = self._item(position)
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
        item = self._item(position)
        check_scale(item["image"], f"{self.where}[{position}]")
        found = {
            name: value
            for name, value in item.items()
            if name not in ("image", "mask") and not name.startswith((REGION_PREFIX, MASK_PREFIX))
        }
        # That there are regions and masks is part of the table; their pixels stay with the item.
        named = (name for name in item if name == "mask" or name.startswith((REGION_PREFIX, MASK_PREFIX)))
        found |= {name: "given" for name in named if item[name] is not None}
        found.setdefault("key", f"{position:09d}")
        return found | self._labels(found.pop("label", None))

    def _labels(self, label: Any) -> dict[str, str]:
        """One label under its name, or one for each finding."""
        return label_cells(label, self.classes, self.where)


def open_source(
    data: Any,
    *,
    classes: Sequence[str],
    columns: Mapping[str, str] | None = None,
    root: Path | None = None,
    attributes: Attributes | None = None,
    normalized: Normalized | None = None,
    labelled: bool = True,
) -> Source:
    """One :class:`Source` from what a caller gave.

    Parameters
    ----------
    data : path, DataFrame, map-style Dataset, LightningDataModule or Hugging Face dataset
        A CSV or Parquet manifest (or a folder with ``manifest.csv``), a frame with the same columns, a Dataset, a data
        module with a test or predict dataset, or a ``datasets.Dataset`` or ``DatasetDict`` in memory or as the folder
        that ``save_to_disk`` wrote.
    classes : sequence of str
        The model's class names, in order; they give names to a Dataset's integer labels.
    columns : mapping, optional
        ``{role: name in the table}``.
    root : Path, optional
        Nothing outside it is opened. Default: the folder of the manifest or dataset; for what is in memory, the
        common folder of absolute paths, else the working directory.
    attributes : Attributes, optional
        Joined to the rows before roles are named, so that its columns can have roles too.
    normalized : Normalized, optional
        How the tensors of a Dataset were normalised.
    labelled : bool
        Whether there must be labels.
    """
    if normalized is not None and not _is_dataset(data):
        raise _not_tensors(data)
    if isinstance(data, str | Path) and huggingface.is_saved(Path(data)):
        folder, saved = Path(data), huggingface.load_saved(Path(data))
        return _stored_rows(saved, str(folder), classes, columns or {}, root or folder, attributes, labelled)
    if isinstance(data, str | Path):
        path = manifest.find_manifest(Path(data))
        frame, joined = _prepared(manifest.read_manifest(path), columns or {}, str(path), attributes, labelled)
        return TableSource("manifest", str(path), frame, root or path.parent, manifest.reading_of(frame), joined)
    if isinstance(data, pd.DataFrame):
        frame, joined = _prepared(manifest.as_strings(data), columns or {}, "DataFrame", attributes, labelled)
        base = root or _common_root(frame["image"].tolist())
        return TableSource("dataframe", "DataFrame", frame, base, joined=joined)
    if huggingface.is_huggingface(data):
        return _stored_rows(data, "Hugging Face dataset", classes, columns or {}, root, attributes, labelled)
    kind = "datamodule" if is_datamodule(data) else "dataset"
    dataset = dataset_of(data) if kind == "datamodule" else data
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return DatasetSource(dataset, tuple(classes), kind, kind, columns or {}, attributes, normalized, labelled)
    raise UsageError(
        "DATA_KIND",
        "data",
        found=type(data).__name__,
        expected="a path, a pandas DataFrame, a map-style Dataset, a LightningDataModule, or a Hugging Face dataset",
        fix="give one of these; what is streamed has to be read into one first",
    )


def _prepared(
    frame: pd.DataFrame, columns: Mapping[str, str], where: str, attributes: Attributes | None, labelled: bool
) -> tuple[pd.DataFrame, Mapping[str, Any] | None]:
    """The table with what is joined to it and its roles named, and what there is to say of the join."""
    joined = frame if attributes is None else attributes(frame, where)
    named = manifest.name_columns(joined, columns, where, labelled=labelled)
    return named, None if attributes is None else attributes.record(frame)


def _stored_rows(
    data: Any,
    where: str,
    classes: Sequence[str],
    columns: Mapping[str, str],
    root: Path | None,
    attributes: Attributes | None,
    labelled: bool,
) -> TableSource:
    rows = huggingface.ArrowRows.of(data, classes, where)
    cells = rows.cells(columns)
    label = columns.get("label")
    if label in rows.dataset.column_names and label not in cells:  # it became one column for each finding
        columns = {role: name for role, name in columns.items() if role != "label"}
    frame, joined = _prepared(cells, columns, where, attributes, labelled)
    rows.check_pictures(frame)
    base = root or _common_root([cell for cell in frame["image"] if rows.read(cell) is None])
    return TableSource("huggingface", where, frame, base, joined=joined, stored=rows.read)


def _is_dataset(data: Any) -> bool:
    return not isinstance(data, str | Path | pd.DataFrame) and not huggingface.is_huggingface(data)


def _not_tensors(data: Any) -> UsageError:
    return UsageError(
        "NORMALIZED",
        "normalized",
        found=f"{type(data).__name__}, whose pictures are no tensors",
        expected="a Dataset or data module that yields normalised tensors",
        fix="say how the model normalises by transform or --mean and --std",
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


def _taken(columns: Mapping[str, str]) -> dict[str, str]:
    """Roles by the name in an item, for what is no column of strings: pixels and labels."""
    return {name: role for role, name in columns.items() if _names_file(role) or role.startswith("label")}


def _as_mapping(item: Any, roles: Mapping[str, str] | None = None, *, labelled: bool = True) -> dict[str, Any]:
    if isinstance(item, Mapping):
        found = {(roles or {}).get(str(name), str(name)): value for name, value in item.items()}
    else:
        # Without a mask a tuple is one shorter; what a longer one holds beyond these has no name here.
        found = dict(zip(("image", "label", "mask"), item, strict=False))
    has_label = "label" in found or any(name.startswith(LABEL_PREFIX) for name in found)
    if "image" not in found or (labelled and not has_label):
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
