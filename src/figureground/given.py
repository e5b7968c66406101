"""What every verb can be told of a model's file, and of files of pictures: declared once, as options of a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ForwardRef, ParamSpec, TypedDict, TypeVar, cast

from figureground.datasets.decoding import Decoding, DecodingOptions

_P = ParamSpec("_P")
_R = TypeVar("_R")


class OriginOptions(TypedDict, total=False):
    """What is said of a file of weights, and what may be executed to read it; see :func:`figureground.run_audit`."""

    model_class: str | None
    model_args: Mapping[str, Any] | None
    weights: str | Path | None
    expect_sha256: str | None
    trust_model: str | None
    allow_globals: Sequence[str]
    allow_nonfinite: bool
    python_path: Sequence[str | Path]


class GivenOptions(OriginOptions, DecodingOptions, total=False):
    """The two together, as a function takes them: ``**options: Unpack[GivenOptions]``."""


#: What holds where nothing is said.
UNSAID: OriginOptions = {
    "model_class": None,
    "model_args": None,
    "weights": None,
    "expect_sha256": None,
    "trust_model": None,
    "allow_globals": (),
    "allow_nonfinite": False,
    "python_path": (),
}


def parted(given: GivenOptions) -> tuple[OriginOptions, Decoding]:
    """What is said of the model's file, whole; and how pictures and masks are read.

    Raises
    ------
    TypeError
        An option is neither.
    figureground.errors.UsageError
        How pictures are read contradicts itself.
    """
    files = {name: value for name, value in given.items() if name not in UNSAID}
    origin = UNSAID | {name: value for name, value in given.items() if name in UNSAID}
    return cast(OriginOptions, origin), Decoding(**cast(DecodingOptions, files))


def spelled_out(verb: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function itself, whose signature names what ``**options`` may hold, for ``help`` and notebooks."""
    own = inspect.signature(verb)
    named = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    verb.__signature__ = own.replace(parameters=[*named, *map(_parameter, GivenOptions.__annotations__)])  # type: ignore[attr-defined]
    return verb


def _parameter(name: str) -> inspect.Parameter:
    default = cast(dict[str, Any], UNSAID).get(name) if name in UNSAID else getattr(Decoding(), name)
    hint = GivenOptions.__annotations__[name]
    told = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=told)
