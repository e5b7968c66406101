"""What a COCO annotation covers: polygons, runs, boxes, checked before native code is given them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from figureground.datasets.images import MAX_PIXELS
from figureground.errors import UsageError

Covered = npt.NDArray[np.bool_]
#: Corners may lie outside the picture, by so many of its larger side; the steps between them take memory.
_BEYOND = 10


class OutlineFault(Exception):
    """An annotation that cannot be drawn; the message is the reason under which it is counted."""


def outline(annotation: Mapping[str, Any], size: tuple[int, ...], *, boxes: bool = False) -> Covered | None:
    """What an annotation covers, bool ``[H, W]``: its polygons, its runs (compressed or not), or its box.

    None where it has no segmentation, and boxes are not wanted. Runs have a size of their own, which may be another.

    Raises
    ------
    OutlineFault
        Its segmentation is damaged.
    """
    tools, given = _tools(), annotation.get("segmentation")
    if not given:
        if not boxes or "bbox" not in annotation:
            return None
        given = [_box(annotation["bbox"])]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pycocotools, about its own arrays under numpy 2
            return np.asarray(tools.decode(_runs(tools, given, size)), dtype=bool)
    except OutlineFault:
        raise
    except Exception as error:  # pycocotools raises Exception itself
        raise OutlineFault("segmentations that cannot be read") from error


def _runs(tools: Any, given: Any, size: tuple[int, ...]) -> Any:
    if not isinstance(given, Mapping):
        polygons = [[float(value) for value in polygon] for polygon in given]
        if not all(_is_polygon(polygon, size) for polygon in polygons):
            raise OutlineFault("segmentations that cannot be read")
        return tools.merge(tools.frPyObjects(polygons, *size))
    own = [int(side) for side in given["size"]]
    if min(own) < 1 or math.prod(own) > MAX_PIXELS:
        raise OutlineFault("segmentations that cannot be read")
    if not isinstance(given["counts"], list):
        return given
    if sum(given["counts"]) != math.prod(own) or min(given["counts"]) < 0:
        raise OutlineFault("segmentations that cannot be read")
    return tools.frPyObjects(given, *own)


def _is_polygon(polygon: Sequence[float], size: tuple[int, ...]) -> bool:
    """Whether there are at least three corners, not too far outside the picture."""
    near = _BEYOND * max(size)
    return len(polygon) >= 6 and len(polygon) % 2 == 0 and all(abs(value) <= near for value in polygon)


def _box(given: Any) -> list[float]:
    try:
        left, top, across, down = (float(value) for value in given)
    except (TypeError, ValueError) as error:
        raise OutlineFault("boxes that cannot be read") from error
    return [left, top, left + across, top, left + across, top + down, left, top + down]


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
