"""How each planted cue is painted: pure functions on one picture, uint8 ``[H, W, 3]``."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Pixels = npt.NDArray[np.uint8]
Region = npt.NDArray[np.bool_]

#: Sides of the marks, in pixels, for pictures of 64 pixels.
TAG, MARK, LOGO, FRAME = 8, 9, 9, 2


def tag(picture: Pixels, on: bool, *, bottom: bool = False) -> Pixels:
    """A small pattern in the top left (or bottom right) corner, or nothing."""
    if not on:
        return picture
    painted = picture.copy()
    at = slice(-TAG - 1, -1) if bottom else slice(1, TAG + 1)
    painted[at, at] = _pattern(TAG)
    return painted


def frame(picture: Pixels, on: bool) -> Pixels:
    """A frame along the edges: dark, or bright."""
    painted = picture.copy()
    edge = np.ones(picture.shape[:2], dtype=bool)
    edge[FRAME:-FRAME, FRAME:-FRAME] = False
    painted[edge] = (225, 220, 205) if on else (35, 40, 50)
    return painted


def mark(picture: Pixels, on: bool, top: int, left: int) -> Pixels:
    """A pattern at a place of the row's own, or nothing."""
    if not on:
        return picture
    painted = picture.copy()
    painted[top : top + MARK, left : left + MARK] = _pattern(MARK)
    return painted


def logo(picture: Pixels, on: bool, mask: Region) -> Pixels:
    """A pattern in the middle of the object, on the object's own pixels only; or nothing."""
    if not on:
        return picture
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    row, column = (int(rows[0]) + int(rows[-1]) + 1) // 2, (int(columns[0]) + int(columns[-1]) + 1) // 2
    window = slice(row - LOGO // 2, row - LOGO // 2 + LOGO), slice(column - LOGO // 2, column - LOGO // 2 + LOGO)
    painted = picture.copy()
    inside = mask[window]
    painted[window][inside] = _pattern(LOGO)[inside]
    return painted


def tint(picture: Pixels, on: bool, where: Region | None = None) -> Pixels:
    """A cast of colour: warm, or cold; on the whole picture, or where a region says."""
    gain = np.array((1.22, 1.0, 0.78) if on else (0.78, 1.0, 1.22))
    cast = np.clip(picture * gain, 0, 255).round().astype(np.uint8)
    return cast if where is None else np.where(where[..., None], cast, picture).astype(np.uint8)


def blur(picture: Pixels, on: bool) -> Pixels:
    """Out of focus, or sharp."""
    if not on:
        return picture
    blurred = ndimage.gaussian_filter(picture.astype(np.float64), (1.3, 1.3, 0), mode="nearest")
    return np.asarray(blurred.round(), dtype=np.uint8)


def jpeg(picture: Pixels, on: bool) -> Pixels:
    """Strongly compressed, or hardly."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=10 if on else 92, subsampling=0)
    stream.seek(0)
    with Image.open(stream) as image:
        return np.array(image)


def _pattern(side: int) -> Pixels:
    """Bright and dark stripes with a red heart: small, and like nothing else in the pictures."""
    stripes = np.where(np.arange(side)[:, None] // 2 % 2 == 0, 245, 20).astype(np.uint8)
    pattern = np.repeat(np.broadcast_to(stripes, (side, side))[..., None], 3, axis=2).copy()
    third = side // 3
    pattern[third : side - third, third : side - third] = (220, 30, 30)
    return pattern
