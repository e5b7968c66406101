"""Shares of many maps of a batch on the same named regions, which are brought to the valid region once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from figureground.audit.measure.masked_maps import BoolArray, FloatArray, MaskedMaps, ObjectMasks
from figureground.errors import UsageError


@dataclass(frozen=True)
class Place:
    """One region of a batch of images.

    Attributes
    ----------
    seen : ndarray
        bool, ``[B]``: whether the region has a valid pixel.
    pixels : ndarray or None
        int64: positions in the flattened image, of a region that is the same in all of them.
    selection : ndarray or None
        bool ``[B, H, W]``, of a region that is each image's own.
    """

    seen: BoolArray
    pixels: npt.NDArray[np.intp] | None = None
    selection: BoolArray | None = None

    @classmethod
    def of(cls, region: npt.ArrayLike, masks: ObjectMasks) -> Place:
        """A region from bool ``[B, H, W]``, or ``[H, W]`` for the same in all images; refuses other shapes."""
        found = np.asarray(region, dtype=bool)
        if found.shape not in (masks.shape, masks.shape[1:]):
            raise UsageError(
                "REGION_SHAPE",
                "regions",
                found=f"shape {list(found.shape)}",
                expected=f"{list(masks.shape)} or {list(masks.shape[1:])}",
                fix="bring the region to the geometry of the image first",
            )
        if found.ndim == 3:
            return cls(np.asarray((found & masks.valid).any(axis=(1, 2))), selection=found)
        pixels = np.flatnonzero(found)
        return cls(np.asarray(_flat(masks.valid).take(pixels, axis=1).any(axis=1)), pixels=pixels)

    def share(self, maps: MaskedMaps) -> FloatArray:
        """Share of each map's sum on the region, ``[B]``; NaN where the region has no valid pixel."""
        found = np.full(len(self.seen), np.nan)
        if self.selection is not None:
            found = maps.share(self.selection)
        elif self.pixels is not None:  # maps are 0 where they are not valid
            found = _flat(maps.values).take(self.pixels, axis=1).sum(axis=1, dtype=np.float64) / maps.total
        return np.where(self.seen, found, np.nan)


def places(regions: Mapping[str, npt.ArrayLike], masks: ObjectMasks) -> dict[str, Place]:
    """Named regions of a batch."""
    return {name: Place.of(region, masks) for name, region in regions.items()}


def _flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape(len(values), math.prod(values.shape[1:]))
