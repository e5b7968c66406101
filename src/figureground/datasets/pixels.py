"""What was read for one row: its picture, its masks as one, its regions, and what was the matter with any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from figureground.datasets.columns import CROPPED_OUT, GROUND, IGNORE, MASK_ABSENT, NO_OBJECT, OBJECT
from figureground.datasets.images import Picture
from figureground.datasets.masks import Mask, fitting
from figureground.datasets.row_faults import MaskQuestion, RowFault
from figureground.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from figureground.datasets.transforms import Preprocess

ThreeValued = npt.NDArray[np.uint8]
#: Masks, or regions, by column, each read when it is asked for.
Reads = Mapping[str, Callable[[], Mask]]


@dataclass(frozen=True)
class Pixels:
    """What was read for one row, before any transform.

    Attributes
    ----------
    image : PIL.Image.Image
        Upright, 8 bits, mode ``L`` or ``RGB``.
    mask : ndarray or None
        uint8 ``[H, W]`` of the image's size: 0 ground, 1 object, 255 ignored. Where findings have masks of their own,
        whatever any mask of the row calls an object: what lies outside it is background to all of them.
    regions : dict
        Named masks, as ``mask``.
    sha256 : str
        Of the bytes that were read.
    soft : ndarray or None
        Of a soft mask: float32 ``[H, W]``, the share of each pixel that is object.
    trouble : (str, str) or None
        Why there is no mask although one was named: a stable word, and a sentence for people.
    notes : tuple of str
        What was done to picture and mask beyond decoding, as stable words.
    """

    image: Image.Image
    mask: ThreeValued | None
    regions: dict[str, ThreeValued]
    sha256: str
    soft: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    trouble: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def mask_status(self) -> str:
        """``ok``, or why measures that need the object have nothing to measure."""
        if self.mask is None:
            return MASK_ABSENT if self.trouble is None else self.trouble[0]
        return "ok" if (self.mask == OBJECT).any() else NO_OBJECT

    @property
    def mask_sha256(self) -> str | None:
        """Of the mask's size and pixels as they were understood, however they were stored; None without a mask."""
        if self.mask is None:
            return None
        found = hashlib.sha256(f"{self.mask.shape}".encode() + self.mask.tobytes())
        if self.soft is not None:
            found.update(self.soft.tobytes())
        return found.hexdigest()


def row_pixels(picture: Picture, sha256: str, masks: Reads, regions: Reads, where: str) -> Pixels:
    """Everything of one row. A mask's trouble leaves the row without a mask, and never without its picture.

    Raises
    ------
    UsageError
        ``MASK_VALUES``: a mask could be read in several ways.
    """
    size = picture.image.size
    found = [_read(name, read, size, where) for name, read in masks.items()]
    given = [mask for mask in found if isinstance(mask, Mask)]
    troubles = [mask for mask in found if isinstance(mask, RowFault)]
    named = {name: _read(name, read, size, where) for name, read in regions.items()}
    notes = [note for mask in given for note in mask.notes]
    notes += [f"{name}:{region.reason}" for name, region in named.items() if isinstance(region, RowFault)]
    # Without one of several masks, its object would pass for background.
    whole = not troubles
    return Pixels(
        picture.image,
        union([mask.values for mask in given]) if whole else None,
        {name.partition(":")[2]: region.values for name, region in named.items() if isinstance(region, Mask)},
        sha256,
        soft=_together([mask.soft for mask in given if mask.soft is not None]) if whole else None,
        trouble=None if whole else (troubles[0].reason, troubles[0].detail),
        notes=tuple(dict.fromkeys((*picture.notes, *notes))),
    )


def union(masks: Sequence[ThreeValued | None]) -> ThreeValued | None:
    """Object where any mask has one, else ignored where any ignores, else ground; None without any mask.

    Examples
    --------
    >>> union([np.array([[1, 0, 0]], np.uint8), None, np.array([[0, 255, 0]], np.uint8)]).tolist()
    [[1, 255, 0]]
    """
    given = [mask for mask in masks if mask is not None]
    if len(given) < 2:
        return given[0] if given else None
    stacked = np.stack(given)
    found = np.full(stacked.shape[1:], GROUND, dtype=np.uint8)
    found[(stacked == IGNORE).any(axis=0)] = IGNORE
    found[(stacked == OBJECT).any(axis=0)] = OBJECT
    return found


def _together(shares: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32] | None:
    return np.max(np.stack(shares), axis=0) if shares else None


def _read(name: str, read: Callable[[], Mask], size: tuple[int, int], where: str) -> Mask | RowFault:
    try:
        return fitting(read(), size)
    except MaskQuestion as question:
        raise UsageError(
            "MASK_VALUES",
            f"{where}:{name}",
            found=question.detail,
            expected="0 and 1, or 0 and 255 (255 beside 1 is ignored), or a word on what the values mean",
            fix="declare --mask-mode threshold, soft, class-ids or alpha; colours: convert them to numbers first",
        ) from question
    except RowFault as fault:
        return fault


def mask_status(pixels: Pixels, preprocess: Preprocess | None) -> str:
    """``ok``, or why measures that need the object have nothing to measure at the model's input."""
    status = pixels.mask_status
    if status != "ok" or pixels.mask is None or preprocess is None:
        return status
    return moved_status(pixels, preprocess.moved(pixels.image, pixels.mask))


def moved_status(pixels: Pixels, mask: Tensor) -> str:
    """The same, where ``mask`` is the row's mask at the model's input."""
    status = pixels.mask_status
    return CROPPED_OUT if status == "ok" and not (mask == OBJECT).any() else status
