"""Items of a map-style Dataset, of a data module or of one of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from figureground.datasets import manifest
from figureground.datasets.columns import LABEL_PREFIX, MASK_PREFIX, REGION_PREFIX, names_file, names_mask
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.images import (
    Picture,
    array_picture,
    as_eight_bits,
    check_colour_depth,
    decoded,
)
from figureground.datasets.joining import Attributes
from figureground.datasets.label_cells import label_cells
from figureground.datasets.masks import Mask, array_mask, picture_mask
from figureground.datasets.normalized import Normalized, check_scale
from figureground.datasets.pixels import Pixels, row_pixels
from figureground.datasets.table_source import own_alpha
from figureground.errors import ManifestError


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
            if names_mask(name) and value is not None
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


def _array(value: Any) -> npt.NDArray[Any]:
    return np.asarray(value.numpy(force=True) if hasattr(value, "numpy") else value)


def _taken(columns: Mapping[str, str]) -> dict[str, str]:
    """Roles by the name in an item, for what is no column of strings: pixels and labels."""
    return {name: role for role, name in columns.items() if names_file(role) or role.startswith("label")}


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
