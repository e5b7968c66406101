"""Masks from pixels: which are object, which ground, which neither. What could be read in two ways is asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.datasets.columns import GROUND, IGNORE, OBJECT
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.images import decoded, opened, upright
from figureground.datasets.row_faults import MaskQuestion, RowFault

Values = npt.NDArray[Any]
ThreeValued = npt.NDArray[np.uint8]
#: White in 16 bits, as some tools write an object.
_FULL_16 = 65_535
_TOLD = 6


@dataclass(frozen=True)
class Mask:
    """A mask in our own values.

    Attributes
    ----------
    values : ndarray
        uint8 ``[H, W]``: 0 ground, 1 object, 255 ignored. Of a soft mask: object from one half on.
    soft : ndarray or None
        Of a soft mask: float32 ``[H, W]``, the share of each pixel that is object, in [0, 1].
    notes : tuple of str
        What was done to it, as stable words.
    """

    values: ThreeValued = field(repr=False)
    soft: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


def decode_mask(data: bytes, decoding: Decoding = PLAIN, label: str = "") -> Mask:
    """Mask from the bytes of a file; ``label`` is that of its row.

    Raises
    ------
    MaskQuestion
        It can be read in several ways, and nothing was declared.
    RowFault
        ``mask_unreadable``, ``mask_too_large``, ``mask_frames``; ``mask_values``: it is not what was declared;
        ``object_absent``: the declared object is not in it.
    """
    picture, turned = upright(decoded(opened(data, "mask", decoding), "mask"), decoding, "mask")
    return replace(picture_mask(picture, decoding, label), notes=("mask_exif_turned",) if turned else ())


def picture_mask(picture: Image.Image, decoding: Decoding, label: str = "") -> Mask:
    """Mask from a decoded picture; of a palette its numbers, never its colours."""
    if decoding.mask_mode == "alpha":
        if picture.mode not in ("LA", "PA", "RGBA") and "transparency" not in picture.info:
            raise RowFault("mask_values", f"mode {picture.mode}; expected an alpha channel, as mask_mode alpha says")
        return array_mask(np.asarray(picture.convert("RGBA").getchannel("A")), decoding)
    return array_mask(np.asarray(picture), decoding, label)


def array_mask(raw: Any, decoding: Decoding = PLAIN, label: str = "") -> Mask:
    """Mask from an array: ``[H, W]``, or ``[H, W, C]`` with equal channels.

    Examples
    --------
    >>> array_mask(np.array([[0, 1, 255]])).values.tolist()
    [[0, 1, 255]]
    >>> chosen = Decoding(mask_mode="class-ids", mask_object="ids", mask_ids=(3,))
    >>> array_mask(np.array([[0, 3, 7, 255]]), chosen).values.tolist()
    [[0, 1, 0, 255]]
    """
    values = _one_channel(np.asarray(raw))
    if decoding.mask_mode == "soft":
        return _soft(values, decoding)
    found = _READERS[decoding.mask_mode](values, decoding, label)
    if decoding.mask_polarity == "object-dark" and decoding.mask_mode != "class-ids":
        found = np.where(found == IGNORE, IGNORE, np.where(found == OBJECT, GROUND, OBJECT)).astype(np.uint8)
    return Mask(found)


def fitting(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at the picture's size, (width, height).

    One of the same shape but another scale is brought to it by nearest neighbour; another shape is somebody else's.

    Raises
    ------
    RowFault
        ``size_mismatch``
    """
    height, width = mask.values.shape
    if (width, height) == size:
        return mask
    if not _same_shape((width, height), size):
        turned = " (transposed? EXIF?)" if (height, width) == size else ""
        detail = f"mask {width}x{height}, image {size[0]}x{size[1]}{turned}; expected the image's own size"
        raise RowFault("size_mismatch", f"{detail}, or its shape within a pixel")
    soft = None if mask.soft is None else _resized(mask.soft, size)
    return Mask(_resized(mask.values, size), soft, (*mask.notes, "mask_resized"))


def border_share(mask: ThreeValued) -> float:
    """Share of the outermost pixels that are object, in [0, 1]; NaN where all of them are ignored."""
    edge = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    valid = edge != IGNORE
    return float((edge[valid] == OBJECT).mean()) if valid.any() else float("nan")


def _one_channel(values: Values) -> Values:
    if values.ndim == 3 and values.shape[2] >= 3 and (values[..., :1] == values).all():
        return values[..., 0]  # a grey mask that was saved with equal channels
    if values.ndim == 2:
        return values
    if values.ndim != 3 or values.shape[2] not in (2, 3, 4):
        raise MaskQuestion("mask_values", f"an array of shape {values.shape}; expected one channel [H, W]")
    colours = np.unique(values.reshape(-1, values.shape[2]), axis=0)
    listed = _listed([tuple(colour.tolist()) for colour in colours])
    raise MaskQuestion("mask_values", f"{values.shape[2]} channels with the colours {listed}")


def _conventional(values: Values, decoding: Decoding, _label: str) -> ThreeValued:
    ignored = _ignored(values, decoding.mask_ignore)
    found = set(np.unique(values[~ignored]).tolist())
    if found <= {0, 1, IGNORE} and not found <= {0, IGNORE} and decoding.mask_ignore is None:
        return values.astype(np.uint8)
    if found <= {0, 1} or found <= {0, 255} or found <= {0, _FULL_16}:
        return _three_valued(values > 0, ignored)
    kind = RowFault if decoding.mask_mode == "binary" else MaskQuestion
    listed = ", ".join(map(str, sorted(found)[:_TOLD])) + (
        f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    )
    raise kind("mask_values", f"the values {listed}; expected 0 and 1, or 0 and 255 (255 beside 1 is ignored)")


def _thresholded(values: Values, decoding: Decoding, _label: str) -> ThreeValued:
    limit = (_full(values) + 1) // 2 if values.dtype.kind in "iu" else _full(values) / 2
    limit = limit if decoding.mask_threshold is None else decoding.mask_threshold
    return _three_valued(values >= limit, _ignored(values, decoding.mask_ignore))


def _classes(values: Values, decoding: Decoding, label: str) -> ThreeValued:
    ignored = _ignored(values, IGNORE if decoding.mask_ignore is None else decoding.mask_ignore)
    if decoding.mask_object == "any":
        wanted = (values != 0) & ~ignored
    else:
        wanted = np.isin(values, _numbers(decoding, label))
        if not wanted.any():
            there = sorted(set(np.unique(values[~ignored]).tolist()) - {0})
            raise RowFault("object_absent", f"none of {_numbers(decoding, label)} in it; it holds {there[:_TOLD]}")
    return _three_valued(wanted, ignored)


def _numbers(decoding: Decoding, label: str) -> list[int]:
    ids = decoding.mask_ids
    if not isinstance(ids, Mapping):
        return list(ids)
    if label not in ids:
        raise MaskQuestion("mask_values", f"the label {label!r}, for which mask_ids has no number")
    return [ids[label]]


def _soft(values: Values, decoding: Decoding) -> Mask:
    """Shares of pixels from values on the full range of their type: 255, 65535, or 1 for fractions."""
    ignored = _ignored(values, decoding.mask_ignore)
    share = values.astype(np.float32) / np.float32(_full(values))
    if not ((share >= 0) & (share <= 1) | ignored).all():  # also false for NaN
        raise RowFault("mask_values", "shares outside [0, 1]")
    share = np.where(ignored, np.float32(0), 1 - share if decoding.mask_polarity == "object-dark" else share)
    return Mask(_three_valued(share >= 0.5, ignored), share.astype(np.float32))


def _full(values: Values) -> float:
    """White in the type of the values."""
    if values.dtype == bool or values.dtype.kind == "f":
        return 1
    # Tools write 16-bit masks in wider types too.
    return 255 if values.max(initial=0) <= 255 and values.dtype.itemsize != 2 else _FULL_16


def _ignored(values: Values, value: int | None) -> npt.NDArray[np.bool_]:
    return np.zeros(values.shape, dtype=bool) if value is None else np.asarray(values == value)


def _three_valued(figure: Values, ignored: Values) -> ThreeValued:
    return np.where(ignored, IGNORE, np.where(figure, OBJECT, GROUND)).astype(np.uint8)


def _listed(found: Sequence[object]) -> str:
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return ", ".join(map(str, found[:_TOLD])) + more


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size is the other at another scale, to within a pixel of the larger."""
    (w, h), (width, height) = sorted((one, other), key=lambda size: size[0] * size[1])
    return w > 0 and abs(h * width / w - height) <= 1


def _resized(values: Values, size: tuple[int, int]) -> Any:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))


_READERS: Mapping[str | None, Callable[[Values, Decoding, str], ThreeValued]] = {
    None: _conventional,
    "binary": _conventional,
    "threshold": _thresholded,
    "alpha": _thresholded,
    "class-ids": _classes,
}
