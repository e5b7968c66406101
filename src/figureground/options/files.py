"""Options about files of pictures and masks, the same for every command that reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from figureground.options.groups import Given, OptionGroup, Some

_option = partial(typer.Option, rich_help_panel="Of files: pictures and masks")


@dataclass(frozen=True)
class Files(OptionGroup):
    """How files of pictures and masks are read; see :class:`~figureground.datasets.decoding.Decoding`."""

    exif: Annotated[str, _option("--exif", help="EXIF orientation of pictures and masks: apply or ignore.")] = "apply"
    alpha_bg: Annotated[
        str | None, _option("--alpha-bg", help="Colour beneath transparent pixels: R,G,B. Default: white.")
    ] = None
    frame: Annotated[int | None, _option("--frame", help="Which frame of files with several, from 0.", min=0)] = None
    range: Annotated[
        str | None, _option("--range", help="Values of black and white in more than 8 bits: LOW,HIGH.")
    ] = None
    mask_mode: Annotated[
        str | None,
        _option("--mask-mode", help="What values of masks mean: binary, threshold, soft, class-ids or alpha."),
    ] = None
    mask_threshold: Annotated[
        float | None, _option("--mask-threshold", help="Object from this stored value on. Default: half.")
    ] = None
    mask_object: Annotated[
        str | None, _option("--mask-object", help="Of class-ids, the object: label, any or ids.")
    ] = None
    mask_ids: Annotated[
        list[str] | None,
        _option("--mask-ids", help="Numbers that are the object, as 8,12; or of each label, as cat=8. Repeatable."),
    ] = None
    mask_ignore: Annotated[int | None, _option("--mask-ignore", help="Value of pixels that belong to neither.")] = None
    mask_polarity: Annotated[
        str, _option("--mask-polarity", help="Which end of the values is the object: object-light, object-dark.")
    ] = "object-light"
    keep_going: Annotated[
        bool, _option("--keep-going", help="Set rows aside that name files outside the data root.")
    ] = False

    def arguments(self, names: Collection[str]) -> Given:
        """The options as :class:`~figureground.datasets.decoding.Decoding` takes them."""
        return as_files({name: getattr(self, name) for name in names})


OfFiles = Annotated[Given, Some(Files)]


def as_files(given: dict[str, Any]) -> dict[str, Any]:
    """The options as :class:`~figureground.datasets.decoding.Decoding` takes them; those not given are left out.

    >>> as_files({"range": "0,4095", "mask_ids": ["cat=8", "dog=12"], "frame": None})
    {'range': (0.0, 4095.0), 'mask_ids': {'cat': 8, 'dog': 12}}
    """
    texts = {name: value for name, value in given.items() if value is not None}
    for name, convert in (("range", float), ("alpha_bg", int)):
        if name in texts:
            texts[name] = _numbers(texts[name], convert, name)
    if "mask_ids" in texts:
        texts["mask_ids"] = _ids([part for text in texts["mask_ids"] for part in text.split(",")])
    return texts


def _numbers(text: str, convert: Callable[[str], float], name: str) -> tuple[float, ...]:
    try:
        return tuple(convert(part) for part in text.split(","))
    except ValueError:
        option = "--" + name.replace("_", "-")
        raise typer.BadParameter(f"{text!r}: expected numbers, separated by commas", param_hint=option) from None


def _ids(parts: list[str]) -> dict[str, int] | tuple[int, ...]:
    try:
        if all("=" in part for part in parts):
            pairs = (part.rpartition("=") for part in parts)
            return {label: int(number) for label, _, number in pairs}
        return tuple(int(part) for part in parts)
    except ValueError:
        raise typer.BadParameter(
            f"{','.join(parts)!r}: expected numbers, or LABEL=NUMBER for every label", param_hint="--mask-ids"
        ) from None
