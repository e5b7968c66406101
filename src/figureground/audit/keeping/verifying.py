"""Is a folder what it says it is? Every file is sealed, listed or noted when it was rendered, and as it was then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.run_folder import (
    LEDGER,
    RENDERED,
    SEAL,
    check_seal,
    check_strangers,
    check_sums,
    read_ledger,
    read_seal,
)
from figureground.errors import IntegrityError

#: What lists the files of a bundle.
SUMS, BUNDLE = "SHA256SUMS", "bundle.json"


@dataclass(frozen=True)
class Verified:
    """A folder that was found as it was left.

    Attributes
    ----------
    seal : str
        SHA-256 of ``COMPLETE.json``: who wrote it down elsewhere knows that this is the same run.
    sealed : int
        Files of evidence.
    listed : int
        Files of a bundle's list; 0 for a run.
    rendered : tuple of str
        Pages and other formats outside the seal that are as they were written.
    unknown : tuple of str
        Those of which no hash was noted: nothing can be said of them.
    gone : tuple of str
        Those that the ledger lists and that are not there, which anybody may have deleted.
    """

    seal: str
    sealed: int
    listed: int
    rendered: tuple[str, ...]
    unknown: tuple[str, ...]
    gone: tuple[str, ...]


def verify(path: Path) -> Verified:
    """Check a run or a bundle whole.

    Raises
    ------
    UsageError
        The run did not finish.
    IntegrityError
        A file is missing, was added, was changed, or is a link.
    """
    try:
        return _verified(path)
    except UnicodeDecodeError as error:
        raise _altered(path, f"a list that is no text: {error}", "UTF-8") from error


def _verified(path: Path) -> Verified:
    _check_plain(path)
    seal, sealed = check_seal(path), read_seal(path)
    _check_ledger(path, sealed)
    check_strangers(path)
    listed = _check_bundle(path)
    return Verified(seal, len(sealed), listed, *_outside(path, sealed))


def _check_plain(path: Path) -> None:
    """Files and folders alone: a link leads elsewhere, and a pipe is never read to its end."""
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise _altered(entry, "a link, or what is no file", "files and folders alone")


def _check_ledger(path: Path, sealed: Mapping[str, str]) -> None:
    """The ledger names everything that is sealed, each name once, and nothing outside the folder."""
    names = read_ledger(path)
    odd = [name for name in names if names.count(name) > 1 or not _is_inside(name)]
    odd += sorted({*sealed, SEAL} - set(names))
    if odd:
        raise _altered(path / LEDGER, f"a ledger that is off at {odd[0]!r}", "every file of the run, once")


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    absolute = PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).drive)
    return bool(parts) and not absolute and ".." not in parts


def _check_bundle(path: Path) -> int:
    """Files on the list of a bundle, every one of them as listed; 0 for a run, which has no list."""
    if not any((path / name).exists() or name in read_ledger(path) for name in (SUMS, BUNDLE)):
        return 0
    for name in (SUMS, BUNDLE):
        if not (path / name).is_file():
            raise _altered(path / name, "nothing", "the list of a bundle")
    listed, sums = check_sums(path), _pairs(path / SUMS)
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} - {SUMS}
    if there != set(sums):
        raise _altered(path / SUMS, f"no line for {min(there - set(sums))}", "a line for every file")
    stated = json.loads((path / BUNDLE).read_text(encoding="utf-8"))["files"]
    if stated != {name: digest for name, digest in sums.items() if name != BUNDLE}:
        raise _altered(path / BUNDLE, f"another list than {SUMS}", "the same files and hashes")
    return listed


def _pairs(file: Path) -> dict[str, str]:
    """SHA-256 by name, from a list in exactly the form in which we write one."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}
    if text != "".join(f"{digest}  {name}\n" for name, digest in sorted(found.items())):
        raise _altered(file, "a list that was written by another hand", "lines of a hash and a name, in their order")
    return found


def _outside(path: Path, sealed: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Rendered files: as they were written, of unknown state, and gone; raises where one was changed."""
    own = {*sealed, SEAL, RENDERED, SUMS, BUNDLE}
    rendered, names = _pairs(path / RENDERED), [name for name in read_ledger(path) if name not in own]
    there = [name for name in names if (path / name).is_file()]
    if set(rendered) - set(names):
        raise _altered(path / RENDERED, f"{min(set(rendered) - set(names))}", "files that the ledger lists")
    for name in there:
        if name in rendered and file_sha256(path / name) != rendered[name]:
            raise _altered(path / name, "a page that is not as it was rendered", f"SHA-256 {rendered[name][:12]}…")
    yield tuple(name for name in there if name in rendered)
    yield tuple(name for name in there if name not in rendered)
    yield tuple(name for name in names if name not in there)


def _altered(file: Path, found: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "RUN_ALTERED",
        str(file),
        found=found,
        expected=expected,
        fix="take the folder from its source again; a page can be rendered again: figureground report",
    )
