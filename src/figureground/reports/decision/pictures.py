"""Pictures of a sheet: maps over the grey picture, what was covered, filters and patches; numpy alone."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.reports.view import Picture, webp_picture

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
#: Small pictures are enlarged by whole factors to about this many pixels.
SIDE = 224
#: Columns of a grid of filters at most.
_COLUMNS = 16
COLOURS = "cividis"


def overlay(picture: Pixels, values: Values, mask: npt.NDArray[np.bool_] | None = None) -> Pixels:
    """A map over the grey picture, scaled by its own maximum; the object's outline in white."""
    peak = float(values.max())
    colour = matplotlib.colormaps[COLOURS](values / peak if peak > 0 else values)[..., :3]
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float64)[..., None] / 255
    found = enlarged(np.asarray((0.45 * grey + 0.55 * colour) * 255, dtype=np.uint8))
    return found if mask is None else outlined(found, mask)


def outlined(enlarged_picture: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    """The picture with the outline of a mask, which is brought to its size."""
    shape = enlarged_picture.shape[:2]
    rows, columns = (np.arange(size) * mask.shape[axis] // size for axis, size in enumerate(shape))
    large = mask[rows][:, columns]
    padded = np.pad(large, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    found = enlarged_picture.copy()
    found[large & ~inner] = 255
    return found


def hatched(picture: Pixels, covered: npt.NDArray[np.bool_]) -> Pixels:
    """The picture with what is covered hatched, so that it is told from what is merely dark."""
    found = enlarged(picture).astype(np.float64)
    rows, columns = (np.arange(size) * covered.shape[axis] // size for axis, size in enumerate(found.shape[:2]))
    large = covered[rows][:, columns]
    stripes = (np.add.outer(np.arange(found.shape[0]), np.arange(found.shape[1])) // 4) % 2 == 0
    found[large] = 0.25 * found[large] + 0.75 * 110
    found[large & stripes] = 235
    return found.astype(np.uint8)


def enlarged(picture: Pixels) -> Pixels:
    """Small pictures by whole factors, so that pixels stay pixels."""
    factor = max(1, SIDE // max(picture.shape[:2]))
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)


def coloured(values: Values) -> Pixels:
    """A map in colours from its least to its largest value, enlarged."""
    low, span = float(values.min()), float(np.ptp(values))
    scaled = (values - low) / span if span > 0 else np.zeros_like(values)
    return enlarged(np.asarray(matplotlib.colormaps[COLOURS](scaled)[..., :3] * 255, dtype=np.uint8))


def signed(values: Values) -> Pixels:
    """float ``[C, h, w]`` around mid-grey, its largest modulus at the ends; enlarged."""
    peak = float(np.abs(values).max())
    shown = 127.5 + 127.5 * (values / peak if peak > 0 else values)
    image = np.asarray(shown.transpose(1, 2, 0), dtype=np.uint8)
    return enlarged(image if image.shape[2] == 3 else np.repeat(image[..., :1], 3, axis=2))


def filter_grid(weights: Values) -> Pixels:
    """Filters ``[O, I, k, l]`` side by side, each around mid-grey at its own scale, enlarged by a whole factor."""
    tiles = [_tile(each if len(each) in (1, 3) else each.mean(axis=0, keepdims=True)) for each in weights]
    height, width = tiles[0].shape[:2]
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, dtype=np.uint8)
    for at, tile in enumerate(tiles):
        top, left = at // columns * height, at % columns * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _tile(weights: Values) -> Pixels:
    factor = max(1, 40 // max(weights.shape[-2:]))
    peak = float(np.abs(weights).max())
    shown = np.asarray(127.5 + 127.5 * (weights / peak if peak > 0 else weights), dtype=np.uint8).transpose(1, 2, 0)
    colour = shown if shown.shape[2] == 3 else np.repeat(shown, 3, axis=2)
    large = np.repeat(np.repeat(colour, factor, axis=0), factor, axis=1)
    return np.pad(large, ((2, 2), (2, 2), (0, 0)), constant_values=255)


def as_picture(pixels: Pixels) -> Picture:
    """A data URI; without loss where it is small."""
    image, stream = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((4 * SIDE, 4 * SIDE))
    image.save(stream, "WEBP", lossless=max(image.size) <= 2 * SIDE, quality=88, method=4)
    return webp_picture(stream.getvalue())
