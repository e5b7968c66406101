"""Code that a caller names, ``package.module:name`` or ``path/to/file.py:name``: it is imported, and so executed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from figureground.errors import UsageError

_FORMS = "package.module:name, or path/to/file.py:name"


def load_named(spec: str) -> Callable[..., Any]:
    """What has that name; raises :class:`UsageError` where there is nothing, or nothing that can be called.

    The working directory is looked in last, unless Python was told not to (``-P``, ``PYTHONSAFEPATH``). What the
    code prints while it is imported goes to stderr: stdout is the command's own.
    """
    place, _, name = spec.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise _refused(spec, "a name of another form", _FORMS)
    module = _module(spec, place)
    try:
        found = attrgetter(name)(module)
    except AttributeError as error:
        known = ", ".join(public for public in vars(module) if not public.startswith("_"))
        raise _refused(spec, f"no {name!r} in {place}", f"one of {known[:200]}") from error
    if not callable(found):
        raise _refused(spec, f"a {type(found).__name__}", "something that can be called")
    return found  # type: ignore[no-any-return]  # callable() narrows Any to a callable that returns Any


def name_of(function: Callable[..., Any]) -> str:
    """``package.module:function``, by which :func:`load_named` finds it where it has a name at all."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', type(function).__module__)}:{name}"


def _module(spec: str, place: str) -> ModuleType:
    file = Path(place)
    if file.suffix != ".py" and not all(part.isidentifier() for part in place.split(".")):
        raise _refused(spec, "a name of another form", _FORMS)
    if file.suffix == ".py" and not file.is_file():
        raise _refused(spec, f"no file {place}", "a file of Python code")
    try:
        with redirect_stdout(sys.stderr), _working_directory():
            return _from_file(file) if file.suffix == ".py" else importlib.import_module(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is imported may raise anything, and may try to leave
        raise _refused(spec, _told(error), "code that can be imported") from error


def _from_file(file: Path) -> ModuleType:
    """The module of a file, under a name that no other module has."""
    name = f"_figureground_named_{file.stem}"
    made = importlib.util.spec_from_file_location(name, file.resolve())
    assert made is not None and made.loader is not None  # noqa: S101, PT018  (a path that ends in .py has a loader)
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    made.loader.exec_module(module)
    return module


def _told(error: BaseException) -> str:
    """The error with the last line of code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"


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


def _refused(spec: str, found: str, expected: str) -> UsageError:
    fix = f"give {_FORMS}; the package's folder must be on PYTHONPATH or be the working directory"
    return UsageError("CODE_SPEC", spec, found=found, expected=expected, fix=fix)
