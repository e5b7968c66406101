"""COCO annotations as a data table, with the masks as files.

A row is a picture. Where every picture shows one category, ``label`` names it; otherwise every category is a finding
with a column ``label:NAME`` of 1 and 0. A mask is the union of a category's polygons and runs in the picture; crowds
(``iscrowd``) are ignored in it (255), because what exactly they cover is not annotated.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.datasets.annotated import annotated_cells, without_unused_masks, write_mask
from figureground.datasets.columns import IGNORE, OBJECT
from figureground.datasets.folders import BuiltTable, check_inside, relative
from figureground.errors import ManifestError, UsageError

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
        except (OSError, ValueError) as error:
            raise _bad(path, str(error)) from error
        missing = [name for name in _NEEDED if not isinstance(content, dict) or not isinstance(content.get(name), list)]
        if missing:
            raise _bad(path, f"no list {missing[0]!r}")
        try:
            by_image = defaultdict(list)
            for annotation in content["annotations"]:
                by_image[int(annotation["image_id"])].append(annotation)
            categories = {int(one["id"]): str(one["name"]) for one in content["categories"]}
            images = tuple(
                {**one, "id": int(one["id"]), "file_name": str(one["file_name"])} for one in content["images"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _bad(path, f"an entry without {error}") from error
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
    rows = [_Row(coco, image, masks, root, boxes, counts)(pictures, single) for image in coco.images]
    return BuiltTable(
        pd.DataFrame(without_unused_masks(rows)), {reason: n for reason, n in sorted(counts.items()) if n}
    )


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
        row |= annotated_cells(shown, files, None if single else list(self.coco.categories.values()))
        return row | ({"mask_source": self._origin(files)} if self.boxes else {})

    def _origin(self, files: Mapping[str, str]) -> str:
        """Who drew the masks of this picture, where boxes may be among them."""
        annotations = self.coco.annotations.get(self.image["id"], [])
        kinds = {"human" if one.get("segmentation") else "box" for one in annotations}
        return "" if not files else "box" if "box" in kinds else "human"

    def _written(self, category: str) -> str | None:
        """Path of the category's mask in this picture below the root; None where nothing outlines it."""
        size = int(self.image["height"]), int(self.image["width"])
        mask = np.zeros(size, dtype=np.uint8)
        for annotation in self.coco.annotations.get(self.image["id"], []):
            if self.coco.categories.get(int(annotation["category_id"])) == category:
                self._draw(mask, annotation)
        if not (mask == OBJECT).any():
            self.counts["categories of a picture without an outline"] += 1
            return None
        # The ids keep names apart that differ in nothing that a file name may hold.
        number = next(number for number, name in self.coco.categories.items() if name == category)
        return write_mask(mask, self.image["file_name"], f"{self.image['id']}-{number}", self.masks, self.root)

    def _draw(self, mask: Mask, annotation: Mapping[str, Any]) -> None:
        part = outline(annotation, mask.shape, boxes=self.boxes)
        if part is None:
            self.counts["annotations without a segmentation"] += 1
        elif part.shape != mask.shape:
            self.counts["segmentations of another size than their picture"] += 1
        elif annotation.get("iscrowd"):
            mask[part & (mask != OBJECT)] = IGNORE
        else:
            mask[part] = OBJECT


def outline(
    annotation: Mapping[str, Any], size: tuple[int, ...], *, boxes: bool = False
) -> npt.NDArray[np.bool_] | None:
    """What an annotation covers, bool ``[H, W]``: its polygons, its runs (compressed or not), or its box.

    None where it has no segmentation, and boxes are not wanted.
    """
    tools, (height, width) = _tools(), size
    given = annotation.get("segmentation")
    if not given:
        if not boxes or "bbox" not in annotation:
            return None
        left, top, across, down = (float(value) for value in annotation["bbox"])
        given = [[left, top, left + across, top, left + across, top + down, left, top + down]]
    if isinstance(given, Sequence) and not isinstance(given, str):
        runs = tools.merge(tools.frPyObjects(list(given), height, width))
    else:
        runs = tools.frPyObjects(given, height, width) if isinstance(given["counts"], list) else given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pycocotools, about its own arrays under numpy 2
        return np.asarray(tools.decode(runs), dtype=bool)


def _shown(coco: Coco, image: Mapping[str, Any]) -> list[str]:
    """Categories in a picture, in the order of the categories."""
    found = {int(annotation["category_id"]) for annotation in coco.annotations.get(image["id"], [])}
    return [name for number, name in coco.categories.items() if number in found]


def _tools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UsageError(
            "EXTRA",
            "coco",
            found="pycocotools is not installed",
            expected="the extra coco",
            fix="pip install 'figureground[coco]'",
        ) from error
    return mask


def _bad(path: Path, found: str) -> ManifestError:
    return ManifestError(
        "COCO",
        str(path),
        found=found,
        expected="COCO annotations of instances: images, annotations and categories",
        fix="check the file; captions and keypoints alone are no outlines",
    )
