"""COCO annotations as a data table, with the masks as files.

A row is a picture. Where every picture shows one category, ``label`` names it; otherwise every category is a finding
with a column ``label:NAME`` of 1 and 0. A mask is the union of a category's polygons and runs in the picture; crowds
(``iscrowd``) are ignored in it (255), because what exactly they cover is not annotated. A picture without annotations
has a mask without an object. Runs of another size than their picture are written as they are: the audit then says
``size_mismatch`` of the row.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.datasets.annotated import annotated_cells, without_unused_masks, write_mask
from figureground.datasets.columns import IGNORE, MASK_PREFIX, OBJECT
from figureground.datasets.folders import BuiltTable, check_inside, relative
from figureground.datasets.images import MAX_PIXELS
from figureground.datasets.outlines import OutlineFault, outline
from figureground.errors import ManifestError

Mask = npt.NDArray[np.uint8]
_NEEDED = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Coco:
    """Annotations of one file.

    Attributes
    ----------
    where : Path
    images : tuple of mapping
        ``id``, ``file_name``, ``height``, ``width``, in the order of the file.
    categories : mapping of int to str
    annotations : mapping of int to list
        By the id of the picture.
    """

    where: Path
    images: tuple[Mapping[str, Any], ...] = field(repr=False)
    categories: Mapping[int, str]
    annotations: Mapping[int, list[Mapping[str, Any]]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Coco:
        """Raises :class:`ManifestError` where the file is no COCO annotation of instances."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _bad(path, str(error)) from error
        missing = [name for name in _NEEDED if not isinstance(content, dict) or not isinstance(content.get(name), list)]
        if missing:
            raise _bad(path, f"no list {missing[0]!r}")
        try:
            by_image = defaultdict(list)
            for annotation in content["annotations"]:
                category = {"category_id": int(annotation["category_id"])}
                by_image[int(annotation["image_id"])].append(annotation | category)
            categories = {int(one["id"]): str(one["name"]) for one in content["categories"]}
            images = tuple(_picture(one) for one in content["images"])
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise _bad(path, f"an entry without {error}") from error
        if not images:
            raise _bad(path, "no pictures")
        if len(set(categories.values())) < len(categories):
            raise _bad(path, "two categories of one name")
        return cls(path, images, categories, dict(by_image))


def from_coco(coco: Coco, pictures: Path, root: Path, masks: Path, *, boxes: bool = False) -> BuiltTable:
    """One row for each picture, and its masks as files.

    Parameters
    ----------
    coco : Coco
    pictures : Path
        Folder that file names start from.
    root : Path
        The data root.
    masks : Path
        Folder for the masks, below the root; made where it is not there.
    boxes : bool
        Whether an annotation without a segmentation covers its bounding box; otherwise it covers nothing.
    """
    for folder in (pictures, masks):
        check_inside(folder, root)
    counts: Counter[str] = Counter()
    single = all(len(_shown(coco, image)) == 1 for image in coco.images)
    masks.mkdir(parents=True, exist_ok=True)
    made = [_Row(coco, image, masks, root, boxes, counts) for image in coco.images]
    rows = without_unused_masks([row(pictures, single) for row in made])
    cells = [row.with_nothing(found) for row, found in zip(made, rows, strict=True)]
    return BuiltTable(pd.DataFrame(cells), {reason: n for reason, n in sorted(counts.items()) if n})


@dataclass(frozen=True)
class _Row:
    coco: Coco
    image: Mapping[str, Any]
    masks: Path
    root: Path
    boxes: bool
    counts: Counter[str]

    def __call__(self, pictures: Path, single: bool) -> dict[str, Any]:
        """Cells of the row."""
        shown = _shown(self.coco, self.image)
        files = {name: file for name in shown if (file := self._written(name))}
        row = {"image": relative(pictures / self.image["file_name"], self.root)}
        names = None if single else list(self.coco.categories.values())
        row |= annotated_cells(shown, files, names)
        return row | ({"mask_source": self._origin(files)} if self.boxes else {})

    def with_nothing(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row; where nothing is on the picture, with a mask that says so, which is something else than no mask."""
        columns = [name for name in row if name.startswith(MASK_PREFIX)]
        if not columns or _shown(self.coco, self.image):
            return row
        return row | dict.fromkeys(columns, self._saved(np.zeros(self._size, np.uint8), "none"))

    def _origin(self, files: Mapping[str, str]) -> str:
        """Who drew the masks of this picture, where boxes may be among them."""
        annotations = self.coco.annotations.get(self.image["id"], [])
        kinds = {"human" if one.get("segmentation") else "box" for one in annotations}
        return "" if not files else "box" if "box" in kinds else "human"

    def _written(self, category: str) -> str | None:
        """Path of the category's mask in this picture below the root; None where nothing outlines it."""
        # The ids keep names apart that differ in nothing that a file name may hold.
        number = next(number for number, name in self.coco.categories.items() if name == category)
        mask = np.zeros(self._size, dtype=np.uint8)
        for annotation in self.coco.annotations.get(self.image["id"], []):
            if self.coco.categories.get(int(annotation["category_id"])) == category:
                foreign = self._draw(mask, annotation)
                if foreign is not None:
                    return self._saved(foreign, str(number))
        if not (mask == OBJECT).any():
            self.counts["categories of a picture without an outline"] += 1
            return None
        return self._saved(mask, str(number))

    @property
    def _size(self) -> tuple[int, int]:
        return int(self.image["height"]), int(self.image["width"])

    def _saved(self, mask: Mask, name: str) -> str:
        """Path of a mask below the root, once it is written; ids keep names apart that no file name can tell."""
        return write_mask(mask, self.image["file_name"], f"{self.image['id']}-{name}", self.masks, self.root)

    def _draw(self, mask: Mask, annotation: Mapping[str, Any]) -> Mask | None:
        """Enter an annotation into the mask; given back where it has another size."""
        try:
            part = outline(annotation, mask.shape, boxes=self.boxes)
        except OutlineFault as fault:
            self.counts[str(fault)] += 1
            return None
        if part is None:
            self.counts["annotations without a segmentation"] += 1
        elif part.shape != mask.shape:
            self.counts["segmentations of another size than their picture"] += 1
            return part.astype(np.uint8)
        elif annotation.get("iscrowd"):
            mask[part & (mask != OBJECT)] = IGNORE
        else:
            mask[part] = OBJECT
        return None


def _picture(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a picture that are used; raises ValueError for a size that no picture has."""
    height, width = int(given["height"]), int(given["width"])
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"a usable size: {width}x{height}")
    return {"id": int(given["id"]), "file_name": str(given["file_name"]), "height": height, "width": width}


def _shown(coco: Coco, image: Mapping[str, Any]) -> list[str]:
    """Categories in a picture, in the order of the categories."""
    found = {annotation["category_id"] for annotation in coco.annotations.get(image["id"], [])}
    return [name for number, name in coco.categories.items() if number in found]


def _bad(path: Path, found: str) -> ManifestError:
    return ManifestError(
        "COCO",
        str(path),
        found=found,
        expected="COCO annotations of instances: images, annotations and categories",
        fix="check the file; captions and keypoints alone are no outlines",
    )
