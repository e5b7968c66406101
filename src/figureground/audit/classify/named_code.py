"""Code that a caller names as ``package.module:name``: it is imported, and so executed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

from figureground.errors import SubjectError


def load_named(spec: str) -> Callable[..., Any]:
    """The function of that name; raises :class:`SubjectError` where there is none.

    The working directory is looked in last, as by ``python -m``, unless Python was told not to (``-P``,
    ``PYTHONSAFEPATH``).
    """
    module_name, _, name = spec.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise _refused(spec, "a name of another form", "package.module:function")
    with _working_directory():
        try:
            found = attrgetter(name)(importlib.import_module(module_name))
        except Exception as error:  # what is imported may raise anything
            raise _refused(spec, f"{type(error).__name__}: {error}", "a function that can be imported") from error
    if not callable(found):
        raise _refused(spec, f"a {type(found).__name__}", "something that can be called")
    return found  # type: ignore[no-any-return]  # callable() narrows Any to a callable that returns Any


def name_of(function: Callable[..., Any]) -> str:
    """``package.module:function``, by which :func:`load_named` finds it where it has a name at all."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', type(function).__module__)}:{name}"


@contextmanager
def _working_directory() -> Iterator[None]:
    here = str(Path.cwd())
    added = not sys.flags.safe_path and here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _refused(spec: str, found: str, expected: str) -> SubjectError:
    fix = "give package.module:function; its folder must be on PYTHONPATH or be the working directory"
    return SubjectError("CODE_SPEC", spec, found=found, expected=expected, fix=fix)
