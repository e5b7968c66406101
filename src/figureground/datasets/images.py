"""Decode pictures from bytes: every pixel read, nothing guessed, each fault named.

A :class:`~figureground.datasets.row_faults.RowFault` concerns one row; the intake sets that row aside, counts it and
goes on.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from figureground.datasets.decoding import PLAIN, Colour, Decoding
from figureground.datasets.dicom import read_dicom, windowed
from figureground.datasets.row_faults import RowFault, is_dicom, no_picture

__all__ = [
    "Picture",
    "RowFault",
    "array_picture",
    "as_eight_bits",
    "check_colour_depth",
    "decode_image",
    "decoded",
    "flatten",
    "opened",
    "read_picture",
    "upright",
    "windowed",
]

#: Formats that are opened; others (EPS runs an interpreter, FITS had a decompression bomb) are not even tried.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
#: Checked from the header before any pixel is decoded.
MAX_PIXELS = 100_000_000
#: Shorter side, in pixels, below which a picture shows nothing.
MIN_SIDE = 2

_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
_WITH_ALPHA = ("LA", "PA", "RGBA")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"GIF8")
#: What Pillow's decoders let out on damaged bytes, found by flipping bytes in files of every format.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError, struct.error)


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    image : PIL.Image.Image
        Upright, 8 bits, mode ``L`` or ``RGB``.
    alpha : ndarray or None
        uint8 ``[H, W]``, its alpha channel where it has one.
    notes : tuple of str
        What was done to it beyond decoding, as stable words.
    """

    image: Image.Image = field(repr=False)
    alpha: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, decoding: Decoding = PLAIN) -> Image.Image:
    """Upright 8-bit picture (mode ``L`` or ``RGB``) from the bytes of a file; raises :class:`RowFault`."""
    return read_picture(data, decoding).image


def read_picture(data: bytes, decoding: Decoding = PLAIN) -> Picture:
    """Picture with what was done to it, from the bytes of a file.

    Raises
    ------
    RowFault
        ``not_an_image``, ``format_not_allowed``, ``image_unreadable``, ``truncated``, ``pixel_cap``, ``multi_frame``,
        ``bit_depth``.
    """
    if is_dicom(data):
        return Picture(*read_dicom(data, decoding, MAX_PIXELS))
    with _counted() as warned:
        stored = opened(data, "image", decoding)
        check_colour_depth(stored)
        picture, turned = upright(decoded(stored), decoding)
    notes = {
        "decoder_warning": bool(warned),
        "exif_turned": turned,
        "frame_chosen": decoding.frame is not None and _frames(stored) > 1,
        "further_pictures": _is_photograph(stored),
    }
    found = as_eight_bits(picture, decoding)
    return Picture(found.image, found.alpha, (*(name for name, said in notes.items() if said), *found.notes))


def as_eight_bits(picture: Image.Image, decoding: Decoding = PLAIN) -> Picture:
    """The decoded picture in 8 bits, grey or colour, without transparency."""
    notes = []
    if picture.mode not in _EIGHT_BIT:
        picture = _scaled(picture, decoding)
        notes.append("range_scaled")
    alpha = None
    if _has_alpha(picture):
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        if decoding.mask_mode != "alpha" and (alpha < 255).any():
            notes.append("alpha_flattened")
    elif picture.mode not in ("L", "RGB", "1", "P"):
        notes.append(f"converted:{picture.mode}")
    # Where the alpha channel is a mask it hides nothing: what lies beneath is the picture.
    bare = decoding.mask_mode == "alpha" and alpha is not None
    return Picture(picture.convert("RGB") if bare else flatten(picture, decoding.alpha_bg), alpha, tuple(notes))


def array_picture(pixels: npt.NDArray[Any], decoding: Decoding = PLAIN) -> Picture:
    """Picture from an array ``[H, W]`` or ``[H, W, C]``, or ``[C, H, W]`` with 1 or 3 channels.

    uint8, or float in [0, 1] (rounded to 8 bits); with a declared range any numbers.

    Raises
    ------
    RowFault
        ``bit_depth``: another type or shape; ``image_range``: floats outside [0, 1].
    """
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    scaled = decoding.range is not None and pixels.dtype != np.uint8
    if scaled and decoding.range is not None:
        pixels = windowed(pixels, decoding.range)
    elif np.issubdtype(pixels.dtype, np.floating):
        if not ((pixels >= 0) & (pixels <= 1)).all():  # also false for NaN
            raise RowFault("image_range", "float pixels outside [0, 1]; give pictures before normalisation")
        pixels = np.rint(pixels * 255).astype(np.uint8)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or pixels.size == 0:
        raise RowFault("bit_depth", f"{pixels.dtype} of shape {pixels.shape}; expected uint8, or float in [0, 1]")
    found = as_eight_bits(Image.fromarray(np.ascontiguousarray(pixels)), decoding)
    return Picture(found.image, found.alpha, (*["range_scaled"] * scaled, *found.notes))


def check_colour_depth(picture: Image.Image) -> None:
    """Refuse colours of more than 8 bits a channel, which Pillow would cut; to be asked before they are decoded."""
    # Such a file opens as mode RGB; only the raw mode of its tiles tells that half of each value is dropped.
    tiles = getattr(picture, "tile", ())
    raw = [str(part) for tile in tiles for part in np.atleast_1d(np.asarray(tile[3], dtype=object))]
    if picture.mode in _EIGHT_BIT and any(";16" in part for part in raw):
        depth = f"mode {picture.mode}, 16 bits a channel in the file"
        raise RowFault("bit_depth", f"{depth}; expected 8 bits a channel: convert it first")


def flatten(picture: Image.Image, background: Colour = PLAIN.alpha_bg) -> Image.Image:
    """Mode ``L`` or ``RGB``; transparent pixels show the background, not the colour hidden beneath them."""
    if _has_alpha(picture):
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (*background, 255)), rgba).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")


def decoded(picture: Image.Image, kind: str = "image") -> Image.Image:
    """The picture with every pixel read: open and verify() accept truncated files; raises :class:`RowFault`."""
    try:
        picture.load()
    except _DAMAGE as error:
        cut = kind == "image" and ("truncated" in str(error) or isinstance(error, EOFError))
        reason = "truncated" if cut else f"{kind}_unreadable"
        raise RowFault(reason, f"truncated or damaged: {error}") from error
    return picture


def opened(data: bytes, kind: str, decoding: Decoding = PLAIN) -> Image.Image:
    """A picture or mask of an allowed format, size and number of frames, not yet decoded; raises :class:`RowFault`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit follows
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            frames = _frames(picture)
            _check_size(picture.width * picture.height, kind, f"{picture.width}x{picture.height}")
            _choose(picture, frames, kind, decoding)
    except Image.DecompressionBombError as error:
        raise _too_many(kind, str(error)) from error
    except _DAMAGE as error:
        if not data.startswith(_MAGIC):
            raise no_picture(data, kind, FORMATS) from error
        raise RowFault(f"{kind}_unreadable", f"a damaged header: {error}") from error
    return picture


def _frames(picture: Image.Image) -> int:
    """Frames of which one would have to be named."""
    return 1 if _is_photograph(picture) else int(getattr(picture, "n_frames", 1))


def _is_photograph(picture: Image.Image) -> bool:
    """Whether a JPEG is followed by others, as telephones add previews and gain maps to what they take."""
    return picture.format == "MPO"


def upright(picture: Image.Image, decoding: Decoding = PLAIN, kind: str = "image") -> tuple[Image.Image, bool]:
    """The picture turned as its EXIF orientation says, where that is wanted, and whether it was."""
    if decoding.exif == "ignore":
        return picture, False
    try:
        turned = ImageOps.exif_transpose(picture)
    except _DAMAGE as error:
        raise RowFault(f"{kind}_unreadable", f"its EXIF data are damaged: {error}") from error
    return (picture, False) if turned is None else (turned, _orientation(picture) > 1)


def _check_size(pixels: int, kind: str, size: str) -> None:
    if pixels > MAX_PIXELS:
        raise _too_many(kind, f"{size} pixels")


def _too_many(kind: str, found: str) -> RowFault:
    return RowFault("pixel_cap" if kind == "image" else f"{kind}_too_large", f"{found}; the limit is {MAX_PIXELS}")


def _choose(picture: Image.Image, frames: int, kind: str, decoding: Decoding) -> None:
    """Go to the frame that was asked for; a file of several without that is a question."""
    if frames > 1:
        if decoding.frame is None or decoding.frame >= frames:
            reason = "multi_frame" if kind == "image" else f"{kind}_frames"
            raise RowFault(reason, f"{frames} frames; expected one: name it with --frame, from 0 to {frames - 1}")
        picture.seek(decoding.frame)


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in _WITH_ALPHA or "transparency" in picture.info


def _orientation(picture: Image.Image) -> int:
    value = picture.getexif().get(0x0112)  # of any type, in a damaged file
    return next((number for number in range(2, 9) if number == value), 1)


def _scaled(picture: Image.Image, decoding: Decoding) -> Image.Image:
    """More than 8 bits through the declared range."""
    if decoding.range is None:
        depth = f"mode {picture.mode}; expected 8 bits a channel"
        raise RowFault("bit_depth", f"{depth}: declare --range LOW,HIGH, or window and convert it first")
    return Image.fromarray(windowed(np.asarray(picture), decoding.range))


@contextmanager
def _counted() -> Iterator[list[warnings.WarningMessage]]:
    """Remarks of decoders on damaged data, kept from the screen."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found
