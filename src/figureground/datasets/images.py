"""Decode pictures and masks from bytes: every pixel read, nothing guessed, each fault named.

A :class:`RowFault` concerns one row; the intake sets that row aside, counts it and goes on.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from figureground.datasets.columns import GROUND, IGNORE, OBJECT

#: Formats that are opened; others (EPS runs an interpreter, FITS had a decompression bomb) are not even tried.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
#: Checked from the header before any pixel is decoded.
MAX_PIXELS = 100_000_000
#: White in 16 bits, as some tools write an object.
_FULL_16 = 65_535
#: What shows through transparent pixels.
MATTE = (255, 255, 255)

_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
_WITH_ALPHA = ("LA", "PA", "RGBA")
#: What Pillow's decoders let out on damaged bytes, found by flipping bytes in files of every format.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    Image.DecompressionBombError,
)


class RowFault(Exception):
    """One row cannot be used: ``reason`` is a stable word, ``detail`` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def decode_image(data: bytes) -> Image.Image:
    """Upright 8-bit picture (mode ``L`` or ``RGB``) from the bytes of a file; raises :class:`RowFault`."""
    picture = _open(data, "image")
    check_depth(picture)
    return flatten(_upright(picture, "image"))


def decode_mask(data: bytes) -> npt.NDArray[np.uint8]:
    """uint8 ``[H, W]`` with 0 ground, 1 object, 255 ignored, from the bytes of a file; raises :class:`RowFault`."""
    return mask_values(np.asarray(_upright(_open(data, "mask"), "mask")))


def check_depth(picture: Image.Image) -> None:
    """Refuse more than 8 bits a channel, which Pillow would clip or cut; raises :class:`RowFault`."""
    # A 16-bit colour file opens as mode RGB; only the raw mode of its tiles tells that half of each value is dropped.
    raw = [
        str(part) for tile in getattr(picture, "tile", ()) for part in np.atleast_1d(np.asarray(tile[3], dtype=object))
    ]
    if picture.mode not in _EIGHT_BIT or any(";16" in part for part in raw):
        depth = f"mode {picture.mode}{', 16 bits a channel in the file' if picture.mode in _EIGHT_BIT else ''}"
        raise RowFault("image_depth", f"{depth}; expected 8 bits a channel: window and convert it first")


def mask_values(raw: Any) -> npt.NDArray[np.uint8]:
    """Mask values in our convention from 0/1, 0/255, 0/65535, boolean, or 0/1/255 with 255 ignored.

    Raises
    ------
    RowFault
        ``mask_values`` where the values are none of these: a threshold would be a guess.

    Examples
    --------
    >>> mask_values(np.array([[0, 255]])).tolist()
    [[0, 1]]
    >>> mask_values(np.array([[0, 1, 255]])).tolist()
    [[0, 1, 255]]
    """
    values = np.asarray(raw)
    if values.ndim == 3 and values.shape[2] >= 3 and (values[..., :1] == values).all():
        values = values[..., 0]  # a grey mask that was saved with three equal channels
    if values.ndim != 2:
        raise RowFault(
            "mask_values", f"an array of shape {values.shape}; expected one channel with 0 and 1, or 0 and 255"
        )
    found = set(np.unique(values).tolist())
    if found <= {0, 1}:
        return values.astype(np.uint8)
    if found <= {0, 255} or found <= {0, _FULL_16}:
        return np.where(values > 0, OBJECT, GROUND).astype(np.uint8)
    if found <= {0, 1, IGNORE}:
        return values.astype(np.uint8)
    raise RowFault(
        "mask_values", f"values {sorted(found)[:6]}; expected 0 and 1, or 0 and 255 (255 beside 1 is ignored)"
    )


def flatten(picture: Image.Image) -> Image.Image:
    """Mode ``L`` or ``RGB``; transparent pixels show :data:`MATTE`, not the colour hidden beneath them."""
    if picture.mode in _WITH_ALPHA or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (*MATTE, 255)), rgba).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def decoded(picture: Image.Image, kind: str = "image") -> Image.Image:
    """The picture with every pixel read: open and verify() accept truncated files; raises :class:`RowFault`."""
    try:
        picture.load()
    except _DAMAGE as error:
        raise RowFault(f"{kind}_unreadable", f"truncated or damaged: {error}") from error
    return picture


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit follows
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            frames = int(getattr(picture, "n_frames", 1))
    except _DAMAGE as error:
        raise RowFault(f"{kind}_unreadable", f"not a picture in {', '.join(FORMATS)}") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise RowFault(f"{kind}_too_large", f"{picture.width}x{picture.height} pixels; the limit is {MAX_PIXELS}")
    if frames > 1:
        raise RowFault(f"{kind}_frames", f"{frames} frames; expected one: save the frame you mean")
    return picture


def _upright(picture: Image.Image, kind: str) -> Image.Image:
    picture = decoded(picture, kind)
    try:
        return ImageOps.exif_transpose(picture) or picture
    except _DAMAGE as error:
        raise RowFault(f"{kind}_unreadable", f"its EXIF data are damaged: {error}") from error
