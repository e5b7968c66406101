"""Options about what the model is given, where it does not say so itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from figureground.options.groups import Given, OptionGroup, Some

if TYPE_CHECKING:
    from figureground.datasets.transforms import Preprocess

_option = partial(typer.Option, rich_help_panel="Of its input, where the model does not say")


@dataclass(frozen=True)
class Input(OptionGroup):
    """Size, normalisation and channels; in Python one argument, ``transform``."""

    resize: Annotated[
        str | None,
        _option("--resize", help="Pixels of the shorter side, or HEIGHTxWIDTH."),
    ] = None
    crop: Annotated[
        str | None,
        _option("--crop", help="Centre crop after that: pixels, or HEIGHTxWIDTH."),
    ] = None
    mean: Annotated[
        str | None,
        _option("--mean", help="Per channel, in units of [0, 1]: 0.485,0.456,0.406."),
    ] = None
    std: Annotated[str | None, _option("--std", help="Per channel, in the same units.")] = None
    bicubic: Annotated[bool, _option("--bicubic", help="Resize bicubically.")] = False
    transform: Annotated[
        str | None,
        _option(
            "--transform",
            help="package.module:fn or file.py:fn in place of geometry: fn(image, mask) gives (tensor, mask); or a "
            "transform of torchvision v2, albumentations or MONAI. With --mean and --std where it normalises.",
        ),
    ] = None
    channels: Annotated[
        str | None,
        _option("--channels", help="rgb or gray: what pictures are turned into."),
    ] = None

    def arguments(self, names: Collection[str]) -> Given:
        """``transform``: the preprocessing that the options describe; None where none was given."""
        size = (self.resize, self.crop, self.mean, self.std, self.bicubic)
        return {"transform": as_preprocess(*size, self.channels, self.transform)}


OfInput = Annotated[Given, Some(Input)]


def as_preprocess(
    resize: str | None,
    crop: str | None,
    mean: str | None,
    std: str | None,
    bicubic: bool,
    channels: str | None = None,
    transform: str | None = None,
) -> Preprocess | None:
    """The preprocessing that options describe; None where none was given.

    Without ``--mean`` and ``--std`` the model is given pixels in [0, 1].
    """
    if not (resize or crop or mean or std or bicubic or channels or transform):
        return None
    from figureground.datasets.transforms import Preprocess

    given = {"mean": _numbers(mean, "--mean"), "std": _numbers(std, "--std")}
    plain = {"mean": (0.0,) * _planes(channels), "std": (1.0,) * _planes(channels)} if channels else {}
    known: dict[str, Any] = plain | {name: values for name, values in given.items() if values is not None}
    if channels and any(len(values) != _planes(channels) for values in known.values()):
        raise typer.BadParameter(f"{channels!r} beside another number of values", param_hint="--mean/--std")
    if transform is not None:
        return _own(transform, bool(resize or crop or bicubic), known)
    return Preprocess(
        resize=_size(resize, "--resize"),
        crop=_size(crop, "--crop"),
        interpolation="bicubic" if bicubic else "bilinear",
        **known,
    )


def _own(transform: str, sized: bool, known: dict[str, Any]) -> Preprocess:
    from figureground.datasets.own_transform import OwnTransform

    if sized:
        hint = "--transform"
        raise typer.BadParameter("beside --resize, --crop or --bicubic: it does all of the geometry", param_hint=hint)
    return OwnTransform(spec=transform, **known)


def _planes(channels: str) -> int:
    try:
        return {"rgb": 3, "gray": 1}[channels]
    except KeyError:
        raise typer.BadParameter(f"{channels!r}: expected rgb or gray", param_hint="--channels") from None


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected numbers, separated by commas", param_hint=option) from None


def _size(text: str | None, option: str) -> int | tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 2:
        raise typer.BadParameter(f"{text!r}: expected pixels, as 224 or 224x320", param_hint=option)
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
