"""The stage before every share: checked masks, and checked maps over them. numpy only.

The measures themselves are explained in :mod:`figureground.audit.measure.shares`, which is the interface for
people; the two classes here let a whole batch be checked once and measured many times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

from figureground.audit.measure.ranking import Ranked
from figureground.datasets.columns import GROUND, IGNORE, OBJECT
from figureground.errors import UsageError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Maps come in the precision of the model.
MapArray = npt.NDArray[np.floating[Any]]
_SUMMED = (np.float32, np.float64)
Shape = tuple[int, int]

#: A map whose sum is at most this much per pixel is a zero map: it points nowhere.
ZERO_PER_PIXEL = 1e-12

#: Below this the room between the bleed floor and a uniform map is rounding error.
_NO_ROOM = 1e-9


@dataclass(frozen=True)
class ObjectMasks:
    """Object and background of every image; pixels in neither were ignored.

    Attributes
    ----------
    foreground, background : ndarray
        bool, ``[B, H, W]``, disjoint. Their union is the valid region O of an image.
    soft : ndarray or None
        float64, ``[B, H, W]``: the share of each pixel that is object, where masks are soft; every sum is weighted by
        it then, and ranks and rings go by ``foreground``, the pixels of one half and more.
    """

    foreground: BoolArray
    background: BoolArray
    soft: FloatArray | None = None

    @classmethod
    def of(cls, masks: npt.ArrayLike) -> ObjectMasks:
        """Masks from uint8 ``[B, H, W]`` (0 ground, 1 object, 255 ignored) or bool; refuses other values."""
        found = np.asarray(masks)
        if found.ndim != 3:
            raise _shape_error("masks", found.shape, "[B, H, W]")
        foreground, background = found == OBJECT, found == GROUND
        if not np.all(foreground | background | (found == IGNORE)):
            raise UsageError(
                "MASK_VALUE",
                "masks",
                found=f"values {np.unique(found)[:8].tolist()}",
                expected=f"{GROUND} ground, {OBJECT} object, {IGNORE} ignored",
                fix="map the mask's own values to these three first",
            )
        return cls(foreground, background)

    def softened(self, shares: npt.ArrayLike) -> ObjectMasks:
        """The same masks with the share of each pixel that is object, float ``[B, H, W]`` in [0, 1]."""
        found = np.asarray(shares, dtype=np.float64)
        if found.shape != self.shape:
            raise _shape_error("soft", found.shape, f"that of the masks, {list(self.shape)}")
        if not np.all((found >= 0) & (found <= 1)):
            raise UsageError(
                "MASK_VALUE", "soft", found="values outside [0, 1]", expected="shares", fix="divide by the full range"
            )
        return ObjectMasks(self.foreground, self.background, found)

    @property
    def figure(self) -> FloatArray | BoolArray:
        """How much of each valid pixel is object, ``[B, H, W]``."""
        return self.foreground if self.soft is None else np.where(self.valid, self.soft, 0.0)

    @property
    def ground(self) -> FloatArray | BoolArray:
        """How much of each valid pixel is background, ``[B, H, W]``."""
        return self.background if self.soft is None else np.where(self.valid, 1.0 - self.soft, 0.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(B, H, W)``."""
        batch, height, width = self.foreground.shape
        return batch, height, width

    @cached_property
    def valid(self) -> BoolArray:
        """The valid region O, bool ``[B, H, W]``."""
        return self.foreground | self.background

    @cached_property
    def n_object(self) -> FloatArray:
        """Object pixels per image, ``[B]``; shares of pixels count as such."""
        return _count(self.figure)

    @cached_property
    def n_background(self) -> FloatArray:
        """Background pixels per image, ``[B]``."""
        return _count(self.ground)

    @cached_property
    def all_valid(self) -> bool:
        """Whether no pixel of any image is ignored."""
        return bool(self.valid.all())

    @cached_property
    def n_valid(self) -> FloatArray:
        """Valid pixels per image, ``[B]``."""
        return _count(self.valid)

    @cached_property
    def background_area(self) -> FloatArray:
        """A per image, ``[B]``; see :func:`~figureground.audit.measure.shares.background_area`."""
        return np.where(self.n_object > 0, ratio(self.n_background, self.n_valid), np.nan)

    @cached_property
    def eccentricity(self) -> FloatArray:
        """How far from the centre, per image, ``[B]``; see
        :func:`~figureground.audit.measure.shares.object_eccentricity`."""
        _, height, width = self.shape
        place = [
            ratio(self.figure.sum(axis=other) @ (np.arange(size) + 0.5), self.n_object) - size / 2
            for size, other in ((height, 2), (width, 1))
        ]
        return np.asarray(np.hypot(*place) / (0.5 * np.hypot(height, width)))

    def bleed_floor(self, map_shape: Shape) -> FloatArray:
        """B0 per image, ``[B]``; see :func:`~figureground.audit.measure.shares.bleed_floor`."""
        (height, rows), (width, columns) = self._axes(map_shape)
        if (height, width) == (rows, columns):  # resampling to the same size changes nothing, slowly
            return np.where(self.n_object > 0, 0.0, np.nan)
        if (rows, columns) not in self._floors:
            self._floors[rows, columns] = self._resampled_floor(map_shape)
        return self._floors[rows, columns]

    def _resampled_floor(self, map_shape: Shape) -> FloatArray:
        (height, rows), (width, columns) = self._axes(map_shape)
        (down_h, up_h), (down_w, up_w) = _resampling(height, rows), _resampling(width, columns)
        figure, ground = (np.asarray(side, dtype=np.float64) for side in (self.figure, self.ground))
        coarse = down_h @ figure @ down_w.T
        # sum(up_h coarse up_w' * weights) = sum(coarse * up_h' weights up_w): the map at image size is never made.
        inside, outside = (_sum(coarse, up_h.T @ side @ up_w) for side in (figure, ground))
        return ratio(outside, inside + outside)

    def ring(self, map_shape: Shape) -> BoolArray:
        """Background within half a map cell of the object, bool ``[B, H, W]``; with the object where masks are soft."""
        rows, columns = (-(-size // (2 * cells)) for size, cells in self._axes(map_shape))
        if (rows, columns) not in self._rings:
            window = (1, 2 * rows + 1, 2 * columns + 1)
            dilated = ndimage.maximum_filter(self.foreground.view(np.uint8), size=window, mode="constant")
            side = self.background if self.soft is None else self.valid
            self._rings[rows, columns] = np.asarray(dilated > 0) & side
        return self._rings[rows, columns]

    @cached_property
    def _rings(self) -> dict[Shape, BoolArray]:
        # Maps of one layer share their ring, and a filter costs more than all their sums.
        return {}

    @cached_property
    def _floors(self) -> dict[Shape, FloatArray]:
        return {}

    def _axes(self, map_shape: Shape) -> list[tuple[int, int]]:
        """Pixels and map cells along each axis."""
        if len(map_shape) != 2 or min(map_shape) < 1:
            raise UsageError(
                "MAP_SHAPE",
                "map_shape",
                found=str(map_shape),
                expected="at least 1 cell along both axes",
                fix="give the height and width of the attribution map at its own layer",
            )
        return list(zip(self.shape[1:], map_shape, strict=True))


@dataclass(frozen=True)
class MaskedMaps:
    """Non-negative maps over the valid region of their images.

    Attributes
    ----------
    values : ndarray
        float32 or float64, ``[B, H, W]``; 0 at ignored pixels and all over maps that are not usable. Sums are taken in
        float64 without a copy of the maps in it.
    total : ndarray
        float64, ``[B]``: sum over the valid region; NaN where the map is zero or not finite there, which
        makes every measure of that image NaN.
    masks : ObjectMasks
        Of the same shape.
    """

    values: MapArray
    total: FloatArray
    masks: ObjectMasks

    @classmethod
    def of(cls, attributions: npt.ArrayLike, masks: npt.ArrayLike | ObjectMasks) -> MaskedMaps:
        """Maps from ``[B, H, W]``; refuses negative values and a shape that is not the masks'."""
        found = np.asarray(attributions)
        checked = masks if isinstance(masks, ObjectMasks) else ObjectMasks.of(masks)
        if found.shape != checked.shape:
            raise _shape_error("attributions", found.shape, f"that of the masks, {list(checked.shape)}")
        if np.any(found < 0) and np.any(np.isfinite(found) & (found < 0)):
            raise UsageError(
                "ATTRIBUTION_SIGN",
                "attributions",
                found="negative values",
                expected="a map >= 0",
                fix="take the positive part or the absolute value; shares of signed maps leave [0, 1]",
            )
        values = found if found.dtype in _SUMMED else found.astype(np.float64)
        values = values if checked.all_valid else np.where(checked.valid, values, values.dtype.type(0))
        with np.errstate(over="ignore"):  # values near the largest float: not usable, as infinity is
            total = values.sum(axis=(1, 2), dtype=np.float64)
        usable = np.isfinite(total) & (total > ZERO_PER_PIXEL * checked.n_valid)
        values = values if usable.all() else np.where(usable[:, None, None], values, values.dtype.type(0))
        return cls(values, np.where(usable, total, np.nan), checked)

    @property
    def usable(self) -> BoolArray:
        """Whether the map is finite and points anywhere, bool ``[B]``."""
        return np.isfinite(self.total)

    def share(self, selection: FloatArray | BoolArray) -> FloatArray:
        """Share of the map's sum on the selected pixels, ``[B]``; needs no object."""
        return _sum(self.values, selection) / self.total

    def ground_share(self, selection: BoolArray) -> FloatArray:
        """Share of the map's sum on the background within the selected pixels, ``[B]``."""
        return self.share(self.masks.ground * selection)

    def if_object(self, measure: FloatArray) -> FloatArray:
        """The measure, NaN where the map is not usable or no object is annotated, ``[B]``."""
        return np.where(self.usable & (self.masks.n_object > 0), measure, np.nan)

    @cached_property
    def background_share(self) -> FloatArray:
        """B per image, ``[B]``."""
        if self.masks.soft is not None:
            return self.if_object(self.share(self.masks.ground))
        sums = np.array([ground.sum(dtype=np.float64) for ground, _ in self._sides], dtype=np.float64)
        return self.if_object(sums / self.total)

    def ring_share(self, map_shape: Shape) -> FloatArray:
        """Share on the background within half a map cell of the object, ``[B]``."""
        ring = self.masks.ring(map_shape)
        if self.masks.soft is not None:
            return self.if_object(self.ground_share(ring))
        sums = [a[near].sum(dtype=np.float64) for a, near in zip(self.values, ring, strict=True)]
        return self.if_object(np.array(sums, dtype=np.float64) / self.total)

    def far_share(self, map_shape: Shape) -> FloatArray:
        """Share on the background beyond that, ``[B]``; rounding could leave less than nothing."""
        return np.maximum(self.background_share - self.ring_share(map_shape), 0.0)

    def log_density_ratio(self) -> FloatArray:
        """LDR per image, ``[B]``; NaN without background as well."""
        eps = 0.5 / np.maximum(self.masks.n_valid, 1.0)
        difference = special.logit(np.clip(self.background_share, eps, 1 - eps)) - special.logit(
            self.masks.background_area
        )
        return np.where(self.masks.n_background > 0, difference, np.nan)

    def background_auc(self) -> FloatArray:
        """P(background pixel > object pixel) + P(tie) / 2 per image, ``[B]``."""
        return self.if_object(np.array([pixels.superiority() for pixels in self._ranked], dtype=np.float64))

    def background_rank_share(self, pixels: FloatArray) -> FloatArray:
        """Expected share of background among the strongest ``pixels[b]`` valid pixels, ``[B]``."""
        top = np.maximum(1, np.minimum(pixels, self.masks.n_valid)).astype(np.int64).tolist()
        found = [ranked.expected_share(k) for ranked, k in zip(self._ranked, top, strict=True)]
        return self.if_object(np.array(found, dtype=np.float64))

    @cached_property
    def _sides(self) -> list[tuple[MapArray, MapArray]]:
        """Values on the background and on the object, image by image: what is read often, read out once."""
        rows = zip(self.values, self.masks.background, self.masks.foreground, strict=True)
        return [(a[ground], a[figure]) for a, ground, figure in rows]

    @cached_property
    def _ranked(self) -> list[Ranked]:
        return [Ranked(np.sort(ground), np.sort(figure)) for ground, figure in self._sides]

    def relative_background(self, map_shape: Shape) -> FloatArray:
        """RBI per image, ``[B]``."""
        floor = self.masks.bleed_floor(map_shape)
        room = self.masks.background_area - floor
        return ratio(self.background_share - floor, np.where(room > _NO_ROOM, room, np.nan))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0, negative or NaN."""
    quotient = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _sum(values: MapArray, selection: FloatArray | BoolArray) -> FloatArray:
    # Image by image stays in the cache: twice as fast as one product over a batch of 224 px.
    sums = [(a * chosen).sum(dtype=np.float64) for a, chosen in zip(values, selection, strict=True)]
    return np.array(sums, dtype=np.float64)


def _count(selection: FloatArray | BoolArray) -> FloatArray:
    if selection.dtype == bool:
        return np.asarray(np.count_nonzero(selection, axis=(1, 2)), dtype=np.float64)
    return np.asarray(selection.sum(axis=(1, 2)), dtype=np.float64)


def _resampling(size: int, cells: int) -> tuple[FloatArray, FloatArray]:
    """Adaptive average pooling ``[cells, size]`` and bilinear upsampling ``[size, cells]`` along one axis."""
    pixel, cell = np.arange(size), np.arange(cells)
    start, stop = cell * size // cells, -(-(cell + 1) * size // cells)
    member = (pixel >= start[:, None]) & (pixel < stop[:, None])
    # Sampling points at pixel centres (align_corners=False); the border repeats the outermost cell.
    position = np.clip((pixel + 0.5) * cells / size - 0.5, 0, cells - 1)
    weight = np.maximum(0.0, 1.0 - np.abs(position[:, None] - cell))
    return member / member.sum(axis=1, keepdims=True), weight


def _shape_error(where: str, found: tuple[int, ...], expected: str) -> UsageError:
    return UsageError(
        "ATTRIBUTION_SHAPE",
        where,
        found=f"shape {list(found)}",
        expected=expected,
        fix="give one map and one mask of equal height and width per image, also for a batch of one",
    )
