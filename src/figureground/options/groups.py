"""Groups of options: declared once, taken whole by a command, and handed to Python as keyword arguments.

Typer reads the options of a command from its signature, and knows no groups. So a group is a frozen dataclass whose
fields are options, and :func:`takes_groups` writes these fields into the signature where a command names the group.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, Any, get_origin, get_type_hints

#: What a command gets of a group: keyword arguments of a function in Python.
Given = dict[str, Any]


@dataclass(frozen=True)
class To:
    """What an option becomes in Python, where that is not the value itself under the same name.

    Attributes
    ----------
    name : str
        Of the keyword argument.
    convert : callable, optional
        From what Typer parsed to the argument; raises ``typer.BadParameter``.
    """

    name: str
    convert: Callable[[Any], Any] | None = None

    def __call__(self, value: Any) -> Any:
        """The argument."""
        return value if self.convert is None else self.convert(value)


@dataclass(frozen=True)
class OptionGroup:
    """Base of the groups: each field is an option with its type, help and default."""

    def arguments(self, names: Collection[str]) -> Given:
        """Keyword arguments for the options of these names: those that the command takes."""
        turned = {name: _turned(name, hint) for name, hint in _hints(type(self)).items() if name in names}
        return {to.name: to(getattr(self, name)) for name, to in turned.items()}


@dataclass(frozen=True)
class Some:
    """A group in the signature of a command: ``table: Annotated[Given, Some(Table)]``.

    Attributes
    ----------
    group : type of OptionGroup
    without : tuple of str
        Fields that this command does not take; they keep their defaults.
    """

    group: type[OptionGroup]
    without: tuple[str, ...] = ()

    @property
    def parameters(self) -> Iterator[inspect.Parameter]:
        """The options as parameters of a command, in the order of their declaration."""
        hints = _hints(self.group)
        for one in fields(self.group):
            if one.name not in self.without:
                kind = inspect.Parameter.KEYWORD_ONLY
                yield inspect.Parameter(one.name, kind, default=one.default, annotation=hints[one.name])

    def gathered(self, values: Given) -> Given:
        """Takes the options of the group out of ``values``; what they are in Python."""
        own = {one.name: values.pop(one.name) for one in self.parameters}
        return self.group(**own).arguments(own)


def takes_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of its groups in their place, as Typer reads it."""
    given = inspect.signature(command, eval_str=True)
    groups = {name: some for name, one in given.parameters.items() if (some := _group(one.annotation)) is not None}
    taken: list[inspect.Parameter] = []
    for name, one in given.parameters.items():
        taken += groups[name].parameters if name in groups else [one.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    @wraps(command)
    def wrapper(**values: Any) -> Any:
        gathered = {name: some.gathered(values) for name, some in groups.items()}
        return command(**values, **gathered)

    wrapper.__signature__ = given.replace(parameters=taken)  # type: ignore[attr-defined]
    return wrapper


def _group(annotation: Any) -> Some | None:
    return next((part for part in _parts(annotation) if isinstance(part, Some)), None)


def _turned(name: str, hint: Any) -> To:
    return next((part for part in _parts(hint) if isinstance(part, To)), To(name))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return annotation.__metadata__ if get_origin(annotation) is Annotated else ()


def _hints(group: type[OptionGroup]) -> dict[str, Any]:
    return get_type_hints(group, include_extras=True)
