"""A table of bounding boxes as a data table: one line a box, one row a picture, the boxes as files of masks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from figureground.datasets import manifest
from figureground.datasets.annotated import Box, annotated_cells, draw_box, without_unused_masks, write_mask
from figureground.datasets.columns import GROUND, OBJECT
from figureground.datasets.folders import BuiltTable, check_inside, relative
from figureground.datasets.images import FORMATS
from figureground.errors import ManifestError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def from_boxes(source: Path, pictures: Path, root: Path, masks: Path) -> BuiltTable:
    """One row for each picture of the table, and its boxes as files of masks.

    Parameters
    ----------
    source : Path
        CSV or Parquet with ``image``, ``label``, and ``xmin``, ``ymin``, ``xmax``, ``ymax`` in pixels from 0, the last
        two outside of the box; all four empty for a picture without one. Other columns are kept where all lines of a
        picture agree.
    pictures : Path
        Folder that the names of pictures start from.
    root, masks : Path
        The data root, and the folder for masks below it.

    Raises
    ------
    ManifestError
        A column is missing, a corner is no number, lines of a picture contradict each other, or a picture cannot be
        read.
    """
    for folder in (pictures, masks):
        check_inside(folder, root)
    lines = manifest.read_manifest(source)
    for name in ("image", "label", *CORNERS):
        if name not in lines:
            raise _bad(f"{source}", f"columns {', '.join(lines.columns)}", f"a column {name}")
    by_picture = {str(image): part for image, part in lines.groupby("image", sort=False)}
    several = any(part["label"].nunique() > 1 for part in by_picture.values())
    names = sorted(set(lines["label"])) if several else None
    masks.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    rows = []
    for image, part in by_picture.items():
        files = _written(image, part, pictures, root, masks, source, counts)
        shown = list(dict.fromkeys(part["label"]))
        row = {"image": relative(pictures / image, root), "mask_source": "box" if files else ""}
        rows.append(row | annotated_cells(shown, files, names) | _others(part, source))
    return BuiltTable(pd.DataFrame(without_unused_masks(rows)), {key: n for key, n in sorted(counts.items()) if n})


def _written(
    image: str, part: pd.DataFrame, pictures: Path, root: Path, masks: Path, source: Path, counts: Counter[str]
) -> dict[str, str]:
    """By label, the file of the boxes of one picture."""
    boxes = [(str(label), box) for label, box in _boxes(part, source) if box is not None]
    counts["pictures without a box"] += not boxes
    if not boxes:
        return {}
    size = _size(pictures / image)
    drawn = {label: np.full(size, GROUND, dtype=np.uint8) for label, _ in boxes}
    for label, box in boxes:
        counts["boxes outside of their picture"] += not draw_box(drawn[label], box)
    return {
        label: write_mask(mask, image, str(at), masks, root)
        for at, (label, mask) in enumerate(drawn.items())
        if (mask == OBJECT).any()
    }


def _boxes(part: pd.DataFrame, source: Path) -> list[tuple[str, Box | None]]:
    found: list[tuple[str, Box | None]] = []
    for at, line in zip(part.index, part.to_dict("records"), strict=True):
        cells = [str(line[name]) for name in CORNERS]
        if not any(cells):
            found.append((str(line["label"]), None))
            continue
        try:
            left, top, right, bottom = (float(cell) for cell in cells)
        except ValueError:
            raise _bad(f"{source}:{int(at) + 2}", ", ".join(cells), "four numbers, or four empty cells") from None
        if not (left < right and top < bottom):
            raise _bad(f"{source}:{int(at) + 2}", ", ".join(cells), "xmin below xmax, and ymin below ymax")
        found.append((str(line["label"]), (left, top, right, bottom)))
    return found


def _others(part: pd.DataFrame, source: Path) -> dict[str, str]:
    """What else is said of a picture, which all of its lines must say alike."""
    kept = [name for name in part.columns if name not in ("image", "label", *CORNERS)]
    for name in kept:
        if part[name].nunique() > 1:
            told = " and ".join(map(repr, part[name].unique()[:2]))
            raise _bad(f"{source}:{int(part.index[0]) + 2}:{name}", told, "the same in all lines of a picture")
    return {name: str(part[name].iloc[0]) for name in kept}


def _size(file: Path) -> tuple[int, int]:
    try:
        with Image.open(file, formats=FORMATS) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise _bad(str(file), f"a picture that cannot be read: {error}", "a picture for each name") from error


def _bad(where: str, found: str, expected: str) -> ManifestError:
    fix = "give image, label, xmin, ymin, xmax and ymax, in pixels from 0"
    return ManifestError("BOXES", where, found=found, expected=expected, fix=fix)
