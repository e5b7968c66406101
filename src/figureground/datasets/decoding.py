"""What is declared about files of pictures and masks: how they are to be read where they can be read in several ways.

Nothing here is guessed. Without a declaration the common conventions hold, and what they do not cover is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypedDict, get_args

from figureground.errors import UsageError

Exif = Literal["apply", "ignore"]
MaskMode = Literal["binary", "threshold", "soft", "class-ids", "alpha"]
MaskObject = Literal["label", "any", "ids"]
Polarity = Literal["object-light", "object-dark"]
Colour = tuple[int, int, int]
_WORDS: Mapping[str, tuple[str | None, ...]] = {
    "exif": get_args(Exif),
    "mask_mode": (None, *get_args(MaskMode)),
    "mask_object": (None, *get_args(MaskObject)),
    "mask_polarity": get_args(Polarity),
}


class DecodingOptions(TypedDict, total=False):
    """The fields of :class:`Decoding` as options of a call."""

    exif: Exif
    alpha_bg: Colour
    frame: int | None
    range: tuple[float, float] | None
    mask_mode: MaskMode | None
    mask_threshold: float | None
    mask_object: MaskObject | None
    mask_ids: Mapping[str, int] | tuple[int, ...]
    mask_ignore: int | None
    mask_polarity: Polarity
    keep_going: bool


@dataclass(frozen=True)
class Decoding:
    """How pictures and masks are read.

    Attributes
    ----------
    exif : {"apply", "ignore"}
        Whether a picture, and a mask, is turned as its own EXIF orientation says.
    alpha_bg : (int, int, int)
        Red, green and blue, 0 to 255, that show through transparent pixels.
    frame : int or None
        Which frame of a file with several, from 0; None: such a file is set aside.
    range : (float, float) or None
        Stored values that become black and white, linearly, in pictures with more than 8 bits; None: those are set
        aside.
    mask_mode : {"binary", "threshold", "soft", "class-ids", "alpha"} or None
        What the values of a mask mean: two values; object from ``mask_threshold`` on; the share of each pixel that is
        object; numbers of classes; or the alpha channel of the mask's file, and of the picture where no mask is named.
        None: two values, or 0 and 1 with 255 ignored, and anything else is asked about.
    mask_threshold : float or None
        In units of the stored values; None: half of the full range (128, 32768 or 0.5).
    mask_object : {"label", "any", "ids"} or None
        Of class numbers: the object is that of the row's label, of any class but 0, or those of ``mask_ids``.
    mask_ids : tuple of int, or mapping of str to int
        The numbers that are the object, or the number of each label.
    mask_ignore : int or None
        Stored value of pixels that belong to neither. None: 255 in class numbers and beside 1.
    mask_polarity : {"object-light", "object-dark"}
        Which end of the values is the object.
    keep_going : bool
        Whether a file outside the data root sets its row aside; otherwise it ends the run.
    """

    exif: Exif = "apply"
    alpha_bg: Colour = (255, 255, 255)
    frame: int | None = None
    range: tuple[float, float] | None = None
    mask_mode: MaskMode | None = None
    mask_threshold: float | None = None
    mask_object: MaskObject | None = None
    mask_ids: Mapping[str, int] | tuple[int, ...] = field(default=())
    mask_ignore: int | None = None
    mask_polarity: Polarity = "object-light"
    keep_going: bool = False

    def __post_init__(self) -> None:
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise _refused(name, getattr(self, name), "one of " + ", ".join(filter(None, known)))
        _check_pixels(self)
        _check_classes(self)

    @property
    def declared(self) -> dict[str, Any]:
        """What differs from the default, as plain JSON values."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = asdict(self)
        return {name: _plain(plain[name]) for name, value in given.items() if value != getattr(PLAIN, name)}

    @property
    def for_regions(self) -> Decoding:
        """How the masks of named regions are read: a region has no class, and is never soft."""
        mode: MaskMode | None = "threshold" if self.mask_mode in ("threshold", "soft") else None
        return replace(self, mask_mode=mode, mask_object=None, mask_ids=(), mask_polarity="object-light")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_pixels(given: Decoding) -> None:
    if len(given.alpha_bg) != 3 or not all(isinstance(one, int) and 0 <= one <= 255 for one in given.alpha_bg):
        raise _refused("alpha_bg", given.alpha_bg, "red, green and blue from 0 to 255")
    if given.frame is not None and given.frame < 0:
        raise _refused("frame", given.frame, "a number of a frame, from 0")
    if given.range is not None and (len(given.range) != 2 or not given.range[0] < given.range[1]):
        raise _refused("range", given.range, "the values of black and of white, the first one smaller")


def _check_classes(given: Decoding) -> None:
    """Class numbers need to be told which of them are the object; nothing else may be."""
    if (given.mask_mode == "class-ids") != (given.mask_object is not None):
        raise _refused("mask_object", given.mask_object, "label, any or ids, with mask_mode class-ids and only there")
    wanted = {"label": Mapping, "ids": tuple}.get(given.mask_object or "")
    if wanted is None:
        if given.mask_ids:
            raise _refused("mask_ids", given.mask_ids, "numbers only where mask_object is label or ids")
    elif not given.mask_ids or not isinstance(given.mask_ids, wanted):
        what = "a number for each label, such as cat=8" if wanted is Mapping else "numbers, such as 8,12"
        raise _refused("mask_ids", given.mask_ids or None, what)
    if given.mask_threshold is not None and given.mask_mode not in ("threshold", "alpha"):
        raise _refused("mask_threshold", given.mask_threshold, "none, unless mask_mode is threshold or alpha")


def _refused(name: str, found: object, expected: str) -> UsageError:
    option = "--" + name.replace("_", "-")
    return UsageError("DECODING", name, found=repr(found), expected=expected, fix=f"correct {option}")


#: Nothing declared.
PLAIN = Decoding()
