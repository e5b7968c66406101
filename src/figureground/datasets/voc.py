"""Pascal VOC annotations as a data table: masks from the segmentation of a picture, else from the boxes of its objects.

A row is a picture that has an annotation. Where every picture shows one class, ``label`` names it; otherwise every
class is a finding. Objects that the annotators call difficult are ignored in masks of boxes (255), as is the border
that the segmentations leave open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from PIL import Image

from figureground.datasets.annotated import (
    Box,
    Mask,
    annotated_cells,
    draw_box,
    without_unused_masks,
    write_mask,
)
from figureground.datasets.columns import GROUND, IGNORE, OBJECT
from figureground.datasets.folders import SPLITS, BuiltTable, check_inside, relative
from figureground.errors import ManifestError

ANNOTATIONS, PICTURES, SEGMENTED, SETS = "Annotations", "JPEGImages", "SegmentationClass", "ImageSets/Main"
#: Numbers of the classes of Pascal VOC in its segmentations, from 1; 0 is the ground and 255 is open.
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class Annotated:
    """One annotation: the file of its picture, its size, and its objects with their boxes."""

    file: str
    size: tuple[int, int]
    objects: tuple[tuple[str, Box, bool], ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of what is in it, each once."""
        return tuple(dict.fromkeys(name for name, _, _ in self.objects))


def is_voc(source: Path) -> bool:
    """Whether a folder is laid out as Pascal VOC."""
    return (source / ANNOTATIONS).is_dir() and (source / PICTURES).is_dir()


def from_voc(source: Path, root: Path, masks: Path, *, boxes: bool = False) -> BuiltTable:
    """One row for each annotated picture, and its masks as files.

    Parameters
    ----------
    source : Path
        With ``Annotations`` and ``JPEGImages``, and possibly ``SegmentationClass`` (class numbers as in
        :data:`VOC_CLASSES`) and ``ImageSets/Main`` (``train.txt``, ``val.txt``, ``test.txt``: the splits).
    root : Path
        The data root.
    masks : Path
        Folder for the masks, below the root; made where it is not there.
    boxes : bool
        Whether boxes are masks where there is no segmentation; otherwise such a picture has none.

    Raises
    ------
    ManifestError
        There is no annotation, or one is damaged.
    """
    for folder in (source, masks):
        check_inside(folder, root)
    files = sorted((source / ANNOTATIONS).glob("*.xml"))
    if not files:
        raise _bad(source / ANNOTATIONS, "no annotation")
    masks.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    found = [one for file in files if (one := _with_objects(file, counts)) is not None]
    if not found:
        raise _bad(source / ANNOTATIONS, "no annotation of an object")
    names = None if all(len(one.shown) == 1 for one in found) else sorted({name for one in found for name in one.shown})
    build = _Build(source, root, masks, boxes, _splits(source), counts)
    rows = [build(one, names) for one in found]
    return BuiltTable(pd.DataFrame(without_unused_masks(rows)), {key: n for key, n in sorted(counts.items()) if n})


@dataclass(frozen=True)
class _Build:
    source: Path
    root: Path
    masks: Path
    boxes: bool
    splits: Mapping[str, str]
    counts: Counter[str] = field(repr=False)

    def __call__(self, one: Annotated, names: list[str] | None) -> dict[str, str]:
        stem = Path(one.file).stem
        segmented = self.source / SEGMENTED / f"{stem}.png"
        drawn, origin = (_segmented(segmented), "human") if segmented.is_file() else (self._boxed(one), "box")
        files = {
            name: write_mask(drawn[name], one.file, str(at), self.masks, self.root)
            for at, name in enumerate(one.shown)
            if name in drawn and (drawn[name] == OBJECT).any()
        }
        self.counts["pictures without a mask"] += not files
        row = {"image": relative(self.source / PICTURES / one.file, self.root)}
        row |= {"mask_source": origin if files else ""} | annotated_cells(one.shown, files, names)
        return row | ({"split": self.splits.get(stem, "")} if self.splits else {})

    def _boxed(self, one: Annotated) -> dict[str, Mask]:
        if not self.boxes:
            return {}
        found = {name: np.full(one.size, GROUND, dtype=np.uint8) for name in one.shown}
        # Difficult ones first: where they touch an object that counts, the object stays.
        for name, box, difficult in sorted(one.objects, key=lambda item: not item[2]):
            inside = draw_box(found[name], box, IGNORE if difficult else OBJECT)
            self.counts["boxes outside of their picture"] += not inside
        return found


def _segmented(file: Path) -> dict[str, Mask]:
    """By class, its mask from the numbers of a palette file; never from the colours that they are shown in."""
    with Image.open(file, formats=("PNG",)) as picture:
        numbers = np.asarray(picture)
    if numbers.ndim != 2:
        raise _bad(file, "colours in place of class numbers")
    found = {}
    for number, name in enumerate(VOC_CLASSES, start=1):
        mask = np.where(numbers == number, OBJECT, GROUND).astype(np.uint8)
        mask[numbers == IGNORE] = IGNORE
        found[name] = mask
    return found


def _with_objects(file: Path, counts: Counter[str]) -> Annotated | None:
    one = read_annotation(file)
    if not one.objects:
        counts["pictures without an object"] += 1
        return None
    return one


def read_annotation(file: Path) -> Annotated:
    """One annotation; raises :class:`ManifestError` where it is none."""
    text = file.read_bytes()
    if b"<!" in text.replace(b"<!--", b""):  # entities could be unfolded without end, and point to other files
        raise _bad(file, "a document type or entities")
    try:
        tree = ElementTree.fromstring(text)  # noqa: S314  (without entities it is plain)
        size = int(_text(tree, "size/height")), int(_text(tree, "size/width"))
        return Annotated(Path(_text(tree, "filename")).name, size, tuple(_objects(tree)))
    except (ElementTree.ParseError, ValueError) as error:
        raise _bad(file, str(error)) from error


def _objects(tree: ElementTree.Element) -> Iterator[tuple[str, Box, bool]]:
    for item in tree.iterfind("object"):
        left, top, right, bottom = (float(_text(item, f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax"))
        difficult = (item.findtext("difficult") or "0").strip() == "1"
        # Pixels are counted from 1, and the last one belongs to the box.
        yield _text(item, "name"), (left - 1, top - 1, right, bottom), difficult


def _text(element: ElementTree.Element, path: str) -> str:
    found = (element.findtext(path) or "").strip()
    if not found:
        raise ValueError(f"no {path}")
    return found


def _splits(source: Path) -> dict[str, str]:
    """Split by the stem of a picture, from the lists of the sets."""
    found: dict[str, str] = {}
    for name, split in SPLITS.items():
        file = source / SETS / f"{name}.txt"
        if file.is_file():
            found |= {line.split()[0]: split for line in file.read_text(encoding="utf-8").splitlines() if line.strip()}
    return found


def _bad(path: Path, found: str) -> ManifestError:
    return ManifestError(
        "VOC",
        str(path),
        found=found,
        expected="annotations of Pascal VOC: filename, size, and objects with name and bndbox",
        fix="check the file",
    )
