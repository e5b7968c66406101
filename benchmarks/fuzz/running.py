"""What the fuzzing harnesses share: seeds, the errors that are allowed, and the run itself.

A harness gives bytes to one door of figureground. Whatever comes in, only the errors of ``figureground.errors`` and the
faults of a row may come out; every other exception is a finding.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType

from figureground.datasets.images import RowFault
from figureground.errors import FiguregroundError

#: What a door may let out.
ALLOWED = (FiguregroundError, RowFault)
#: Packages whose branches count as coverage: ours, and the readers of text, archives and pictures that are Python.
_SEEN = ("figureground", "tomllib", "zipfile", "json", "PIL")
Target = Callable[[bytes, Path], None]


def run(target: Target, seeds: Mapping[str, bytes], arguments: Sequence[str]) -> None:
    """Fuzz until libFuzzer's own options say so (``-max_total_time=600``, ``-runs=1000``, files to run once).

    ``--collect FOLDER`` writes each distinct finding there and goes on; without it the first one ends the run.
    """
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs atheris: pip install 'figureground[fuzz]' (Linux and macOS)")
    arguments, collect = _collecting(list(arguments))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        corpus, work = Path(name) / "corpus", Path(name) / "work"
        for folder in (corpus, work):
            folder.mkdir()
        for seed, content in seeds.items():
            (corpus / seed).write_bytes(content)
        given = [item for item in arguments[1:] if not item.startswith("-")]
        for function in _functions():
            atheris.instrument_func(function)
        atheris.Setup([*arguments, *([] if given else [str(corpus)])], _guarded(target, work, collect))
        atheris.Fuzz()


def _functions() -> Iterator[FunctionType]:
    """Functions and methods of the loaded modules whose branches the fuzzer is to see."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in _SEEN:
            kinds = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == name]
            for item in (*vars(module).values(), *(one for kind in kinds for one in vars(kind).values())):
                function = getattr(item, "__wrapped__", item)
                if isinstance(function, FunctionType) and function.__module__ == name:
                    yield function


def once(target: Target, data: bytes, folder: Path) -> str | None:
    """Give ``data`` to a target; the type of the exception that should not have come out, or None."""
    try:
        with contextlib.suppress(*ALLOWED):
            target(data, folder)
    except Exception as error:
        return type(error).__name__
    return None


def _guarded(target: Target, folder: Path, collect: Path | None) -> Callable[[bytes], None]:
    seen: set[str] = set()

    def guarded(data: bytes) -> None:
        try:
            with contextlib.suppress(*ALLOWED):
                target(data, folder)
        except Exception as error:
            if collect is None:
                raise
            _collected(error, data, collect, seen)

    return guarded


def _collected(error: Exception, data: bytes, folder: Path, seen: set[str]) -> None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "figureground" in frame.filename]
    where = f"{Path(frames[-1].filename).name}-{frames[-1].lineno}" if frames else "outside"
    name = f"{type(error).__name__}-{where}"
    if name not in seen:
        seen.add(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        sys.stderr.write(f"finding {name}: {error}\n")


def _collecting(arguments: list[str]) -> tuple[list[str], Path | None]:
    if "--collect" not in arguments:
        return arguments, None
    at = arguments.index("--collect")
    return arguments[:at] + arguments[at + 2 :], Path(arguments[at + 1])
