"""Code that a caller names, ``package.module:name`` or ``path/to/file.py:name``: it is imported, and so executed."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from figureground.errors import UsageError

#: Files whose lines in a traceback are not the caller's code.
_MACHINERY = ("named_code.py", "blueprints.py", "pkgutil.py")
#: Functions that pickles of NumPy's numbers and arrays call, and that do nothing else.
_NUMPY = frozenset(
    f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")
)
_Found = TypeVar("_Found")
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


def load_class(name: str) -> type[Any]:
    """The class of a full name such as ``package.module.Cfg``; its module is imported, and so executed.

    Raises
    ------
    UsageError
        There is none, its module fails, or it is no class: a function would be called with what a file holds.
    """
    found = _guarded(name, lambda: pkgutil.resolve_name(name), "a class that can be imported")
    if isinstance(found, type) or name in _NUMPY:
        return found  # type: ignore[no-any-return]  # what NumPy's arrays are made by counts as one
    raise _refused(name, f"a {type(found).__name__}", "a class")


@contextmanager
def importable(folders: Sequence[Path]) -> Iterator[None]:
    """Look for modules in these folders, too, after all others."""
    added = [str(folder.resolve()) for folder in folders if str(folder.resolve()) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for folder in added:
            if folder in sys.path:
                sys.path.remove(folder)


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
    find = partial(_from_file, file) if file.suffix == ".py" else partial(importlib.import_module, place)
    return _guarded(spec, find, "code that can be imported")


def _guarded(spec: str, find: Callable[[], _Found], expected: str) -> _Found:
    try:
        with redirect_stdout(sys.stderr), _working_directory():
            return find()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is imported may raise anything, and may try to leave
        raise _refused(spec, told(error), expected) from error


def _from_file(file: Path) -> ModuleType:
    """The module of a file, under a name that no other module has."""
    name = f"_figureground_named_{file.stem}"
    made = importlib.util.spec_from_file_location(name, file.resolve())
    assert made is not None and made.loader is not None  # noqa: S101, PT018  (a path that ends in .py has a loader)
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    made.loader.exec_module(module)
    return module


def told(error: BaseException) -> str:
    """The error with the last line of code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.endswith(_MACHINERY) and "importlib" not in frame.filename]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {str(error) or 'without a message'}{place}"


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
    fix = f"give {_FORMS}; its folder must be the working directory, on PYTHONPATH, or named by --python-path"
    return UsageError("CODE_SPEC", spec, found=found, expected=expected, fix=fix)
