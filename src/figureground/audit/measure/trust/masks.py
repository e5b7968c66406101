"""Does the sign of the density ratio depend on where exactly the mask ends?"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from figureground.audit.measure.attribution_rows import MIN_BACKGROUND_AREA, MIN_OBJECT_CELLS
from figureground.audit.measure.masked_maps import BoolArray, FloatArray, MaskedMaps, ObjectMasks, Shape, ratio
from figureground.audit.measure.trust.estimates import Estimated, mean_of
from figureground.audit.measure.trust.lines import NO_MASKS, TOO_FEW, Line, not_run, reference
from figureground.audit.measure.trust.maps import FloatMaps

NAME = "mask_sensitivity"


def density_ratios(values: FloatMaps, masks: ObjectMasks, map_shape: Shape) -> FloatArray:
    """LDR per image (see :func:`~figureground.audit.measure.shares.log_density_ratio`), float64 ``[N]``.

    NaN without an object, for unusable maps, and where the table of attributions leaves the measure out: less
    than 2 % background, or an object below two cells of the map.
    """
    cell = masks.shape[1] * masks.shape[2] / (map_shape[0] * map_shape[1])
    measurable = (ratio(masks.n_background, masks.n_valid) >= MIN_BACKGROUND_AREA) & (
        masks.n_object >= MIN_OBJECT_CELLS * cell
    )
    return np.where(measurable, MaskedMaps.of(values, masks).log_density_ratio(), np.nan)


def radius(size: int, cells: int) -> int:
    """``ceil(stride / 2)`` pixels with ``stride = size / cells``: what upsampling alone can move.

    Examples
    --------
    >>> radius(64, 8), radius(64, 64), radius(224, 7)
    (4, 1, 16)
    """
    return -(-size // (2 * cells))


def grown(masks: ObjectMasks, radii: tuple[int, int]) -> ObjectMasks:
    """The object dilated by a rectangle of ``radii`` (down, right) to each side; ignored pixels stay ignored."""
    reach = _dilated(masks.foreground, radii) & masks.valid
    return ObjectMasks(reach, masks.valid & ~reach)


def shrunk(masks: ObjectMasks, radii: tuple[int, int]) -> ObjectMasks:
    """The object eroded likewise; the edge of the image and ignored pixels take nothing away."""
    kept = masks.foreground & ~_dilated(masks.background, radii)
    return ObjectMasks(kept, masks.valid & ~kept)


def mask_sensitivity(
    method: str, values: FloatMaps, masks: ObjectMasks, map_shape: Shape, min_rows: int
) -> tuple[Line, ...]:
    """The mean LDR with the mask as given, eroded and dilated; its sign must be the same.

    Each variant is compared on the images that have both numbers. The value of the deciding line is the mean LDR
    of the variant times the sign of the mean under the mask as given: negative where the sign changes.
    """
    given = density_ratios(values, masks, map_shape)
    found = mean_of(given)
    if not (masks.n_object > 0).any():
        return (not_run(method, NAME, NO_MASKS),)
    if found.n < min_rows:
        return (not_run(method, NAME, TOO_FEW, found.n),)
    radii = (radius(masks.shape[1], map_shape[0]), radius(masks.shape[2], map_shape[1]))
    variants = {"eroded": shrunk(masks, radii), "dilated": grown(masks, radii)}
    lines = [
        _compared(method, name, given, density_ratios(values, variant, map_shape), min_rows)
        for name, variant in variants.items()
    ]
    # The check shows the numbers of its first line: the variant that comes closest to another sign.
    lines.sort(key=lambda line: line.value)
    return (*lines, reference(method, f"{NAME}_given", found))


def _compared(method: str, name: str, given: FloatArray, changed: FloatArray, min_rows: int) -> Line:
    both = np.isfinite(given) & np.isfinite(changed)
    check = f"{NAME}_{name}"
    if both.sum() < min_rows:
        return not_run(method, check, TOO_FEW, int(both.sum()))
    sign = math.copysign(1.0, float(given[both].mean()))
    found: Estimated = mean_of(sign * changed[both])
    kept = found.value > 0
    return Line(
        method, check, found.value, found.low, found.high, found.n, 0.0,
        "passed" if kept else "failed",
        None if kept else f"the sign of the mean density ratio changes with the mask {name}",
    )  # fmt: skip


def _dilated(mask: BoolArray, radii: tuple[int, int]) -> BoolArray:
    window = (1, 2 * radii[0] + 1, 2 * radii[1] + 1)
    return np.asarray(ndimage.maximum_filter(mask.view(np.uint8), size=window, mode="constant") > 0)
