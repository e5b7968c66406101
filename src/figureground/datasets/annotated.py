"""Pictures whose objects are annotated, as rows of a table, with the masks as files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.datasets.columns import LABEL_PREFIX, MASK_PREFIX, OBJECT
from figureground.datasets.folders import relative

Mask = npt.NDArray[np.uint8]
#: Left, top, right and bottom in pixels from 0; the last two are the first that lie outside.
Box = tuple[float, float, float, float]


def annotated_cells(shown: Sequence[str], files: Mapping[str, str], names: Sequence[str] | None) -> dict[str, str]:
    """Cells of labels and masks of one picture.

    Parameters
    ----------
    shown : sequence of str
        Names of what is in it.
    files : mapping of str to str
        By name, the file of its mask.
    names : sequence of str or None
        All names, each of which is a finding; None where every picture shows one, which is its label.

    Examples
    --------
    >>> annotated_cells(["cat"], {"cat": "m.png"}, None)
    {'label': 'cat', 'mask': 'm.png'}
    >>> annotated_cells(["cat"], {}, ["cat", "dog"])
    {'label:cat': '1', 'label:dog': '0', 'mask:cat': '', 'mask:dog': ''}
    """
    if names is None:
        return {"label": shown[0], "mask": files.get(shown[0], "")}
    labels = {f"{LABEL_PREFIX}{name}": str(int(name in shown)) for name in names}
    return labels | {f"{MASK_PREFIX}{name}": files.get(name, "") for name in names}


def without_unused_masks(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the columns of findings that no picture has a mask of."""
    names = [name for name in rows[0] if name.startswith(MASK_PREFIX)] if rows else []
    unused = {name for name in names if not any(row[name] for row in rows)}
    return [{name: cell for name, cell in row.items() if name not in unused} for row in rows]


def write_mask(mask: Mask, picture: str, name: str, folder: Path, root: Path) -> str:
    """Path below the root of a new PNG, whose name is made of that of the picture and ``name``."""
    stem = re.sub(r"[^\w.-]+", "_", str(Path(picture).with_suffix("")))
    file = folder / f"{stem}-{name}.png"
    Image.fromarray(mask).save(file)
    return relative(file, root)


def draw_box(mask: Mask, box: Box, value: int = OBJECT) -> bool:
    """Fill a box, cut at the edges of the picture, in place; False where nothing of it lies inside.

    >>> mask = np.zeros((2, 3), np.uint8)
    >>> draw_box(mask, (1, 0, 9, 1)), mask.tolist()
    (True, [[0, 1, 1], [0, 0, 0]])
    """
    height, width = mask.shape
    left, right = (int(np.clip(round(value), 0, width)) for value in (box[0], box[2]))
    top, bottom = (int(np.clip(round(value), 0, height)) for value in (box[1], box[3]))
    mask[top:bottom, left:right] = value
    return bottom > top and right > left
