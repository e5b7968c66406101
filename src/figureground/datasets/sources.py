"""Where rows come from: a manifest, a DataFrame, a Dataset, a data module, a Hugging Face dataset.

All give the same pictures and strings.
"""

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

from figureground.datasets import huggingface, manifest
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
from figureground.datasets.joining import Attributes
from figureground.datasets.label_cells import label_cells
from figureground.datasets.lightning_data import dataset_of, is_datamodule
from figureground.datasets.lookup import Lookup
from figureground.datasets.masks import Mask, array_mask, decode_mask, picture_mask
from figureground.datasets.normalized import Normalized, check_scale
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
        """``manifest``, ``dataframe``, ``dataset``, ``datamodule`` or ``huggingface``."""

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
        named = {name: cells[position] for name, cells in self._cells.items() if _names_file(name)}
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
            if _names_mask(name) and cell != ""
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
    decoding: Decoding = PLAIN
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

    def there(self, position: int) -> bool:
        """Always: items without pixels are refused when the table is made."""
        return True

    def pixels(self, position: int) -> Pixels:
        """Pixels of one item."""
        item, decoding = self._item(position), self.decoding
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
        item = self._item(position)
        if self.decoding.range is None:
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
    decoding: Decoding = PLAIN,
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
    decoding : Decoding
        What is declared about its pictures and masks.
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
        return _stored_rows(saved, str(folder), classes, columns or {}, root or folder, attributes, decoding, labelled)
    if isinstance(data, str | Path):
        path = manifest.find_manifest(Path(data))
        frame, joined = _prepared(manifest.read_manifest(path), columns or {}, str(path), attributes, labelled)
        reading = manifest.reading_of(frame)
        return TableSource("manifest", str(path), frame, root or path.parent, reading, decoding, joined)
    if isinstance(data, pd.DataFrame):
        frame, joined = _prepared(manifest.as_strings(data), columns or {}, "DataFrame", attributes, labelled)
        base = root or _common_root(frame["image"].tolist())
        return TableSource("dataframe", "DataFrame", frame, base, decoding=decoding, joined=joined)
    if huggingface.is_huggingface(data):
        where = "Hugging Face dataset"
        return _stored_rows(data, where, classes, columns or {}, root, attributes, decoding, labelled)
    kind = "datamodule" if is_datamodule(data) else "dataset"
    dataset = dataset_of(data) if kind == "datamodule" else data
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return DatasetSource(
            dataset, tuple(classes), kind, kind, decoding, columns or {}, attributes, normalized, labelled
        )
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
    decoding: Decoding,
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
    return TableSource("huggingface", where, frame, base, decoding=decoding, joined=joined, stored=rows.read)


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
