"""What a caller says of the maps: methods by name or of their own, their settings, and where Grad-CAM looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from figureground.audit.declared.config import looking
from figureground.audit.methods.options import MethodOptions
from figureground.errors import UsageError

if TYPE_CHECKING:
    from figureground.audit.explain.own import OwnMethod


@dataclass(frozen=True)
class MethodChoice:
    """Fields of the settings, and the caller's own methods, which they name.

    Attributes
    ----------
    settings : mapping of str to Any
        Of :class:`~figureground.audit.declared.config.AuditConfig`.
    own : tuple of OwnMethod
    """

    settings: Mapping[str, Any]
    own: tuple[OwnMethod, ...] = field(default=(), repr=False)


def method_choice(
    methods: Sequence[Any] | None,
    layer: str | None,
    layout: str | None,
    options: Mapping[str, Any] | None = None,
    python_path: Sequence[str | Path] = (),
) -> MethodChoice:
    """The choice as it is said in Python or on the command line.

    Parameters
    ----------
    methods : sequence, optional
        Names, ``package.module:Class`` or ``file.py:Class`` (imported, and so executed), and objects or classes like
        :class:`~figureground.audit.explain.own.OwnMethod`.
    layer, layout : str, optional
    options : mapping, optional
        Settings of the methods by name; see :class:`~figureground.audit.methods.options.MethodOptions`.
    python_path : sequence of paths
        Folders in which code that is named is looked for, after all others.

    Raises
    ------
    UsageError
        A name or a setting is unknown, a value is out of its range, or a method of the caller's lacks something.
    """
    names = None if methods is None else [each for each in methods if isinstance(each, str) and ":" not in each]
    given = [each for each in methods or () if not isinstance(each, str) or ":" in each]
    settings = {**looking(names, layer, layout), "method_options": method_options(options or {})}
    if not given:
        return MethodChoice(settings)
    own = _own(given, python_path)
    from figureground.audit.explain.own import identity_of  # other choices are made without torch

    return MethodChoice({**settings, "own_methods": {each.name: identity_of(each) for each in own}}, own)


def method_options(given: Mapping[str, Any] | MethodOptions) -> MethodOptions:
    """The settings of the methods; one that is unknown or out of range is refused by name."""
    if isinstance(given, MethodOptions):
        return given
    try:
        return MethodOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        unknown = first["type"] == "extra_forbidden"
        raise UsageError(
            "METHOD_OPTION",
            f"method option {name}",
            found="no such setting" if unknown else repr(first["input"]),
            expected=f"one of {', '.join(MethodOptions.model_fields)}" if unknown else str(first["msg"]),
            fix="--method-option NAME=VALUE; docs/methods.md lists them",
        ) from error


def _own(given: Sequence[Any], python_path: Sequence[str | Path]) -> tuple[OwnMethod, ...]:
    from figureground.audit.classify.named_code import importable, load_named
    from figureground.audit.explain.own import as_own

    with importable([Path(folder) for folder in python_path]):
        made = tuple(as_own(load_named(each) if isinstance(each, str) else each) for each in given)
    names = [each.name for each in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        expected = "a name of its own for each"
        raise UsageError("METHOD_OWN", f"method {twice}", found="two of that name", expected=expected, fix="rename one")
    return made
