"""Read the files that a table names: nothing outside the data root, no devices and pipes, patience with slow disks."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from time import sleep

from figureground.datasets.row_faults import RowFault

#: Seconds before a file is tried again: disks on a network fail for moments.
PAUSES = (0.05, 0.5)
#: Seconds after which a file counts as unreadable, whatever the disk is waiting for.
PATIENCE = 60.0
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
#: Kinds of file systems that lie on this machine, and those that hold no data.
_LOCAL = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "ramfs", "overlay"),
        *("squashfs", "iso9660", "udf", "vfat", "exfat", "ntfs", "ntfs3"),
    )
)
_NO_DISKS = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "securityfs", "debugfs", "tracefs"),
        *("pstore", "bpf", "configfs", "hugetlbfs", "fusectl", "binfmt_misc", "autofs", "rpc_pipefs", "nsfs"),
    )
)
#: A name that holds a NUL, and a ring of links before Python 3.13, are no OSError.
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RuntimeError)
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


class PathEscape(RowFault):
    """A cell that names something outside the data root, or something that is no file at all."""


@dataclass(frozen=True)
class Files:
    """Reads files below one folder.

    Attributes
    ----------
    base : Path
        The data root, resolved.
    pauses : tuple of float
        Seconds before each further attempt.
    patience : float
        Seconds that one attempt may take.
    """

    base: Path
    pauses: tuple[float, ...] = PAUSES
    patience: float = PATIENCE

    def read(self, cell: str, kind: str) -> bytes:
        """Bytes of the file that a cell names; ``kind`` is ``image`` or ``mask``.

        Raises
        ------
        PathEscape
            ``path_escape``: it lies outside the root, is an address, a device or a pipe. It was not opened.
        RowFault
            ``missing_file``, or ``io_error`` after several attempts; of a mask ``mask_missing``, ``mask_unreadable``.
        """
        if cell == "":
            raise _missing(kind, "an empty cell; expected a path")
        for pause in (*self.pauses, None):
            try:
                return self._attempt(cell)
            except _NO_FILE as error:
                raise _missing(kind, f"{shown(cell)} is not a file") from error
            except OSError as error:
                if pause is None or isinstance(error, TimeoutError):
                    raise _failing(kind, cell, error) from error
                sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @cached_property
    def _waits(self) -> bool:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            mounts = ""
        return may_stall(self.base, mounts)

    def _attempt(self, cell: str) -> bytes:
        # A thread for every file takes longer than reading a small one: only where the disk may be far away.
        if not self._waits:
            return _bytes_of(self._inside(cell))
        return _within(self.patience, lambda: _bytes_of(self._inside(cell)))

    def _inside(self, cell: str) -> Path:
        """The real path of a cell below the root."""
        if _URL.match(cell):
            raise PathEscape("path_escape", f"{shown(cell)} is an address; only files below the data root are opened")
        try:
            file = (self.base / cell).resolve()
            if not file.is_relative_to(self.base):
                raise PathEscape("path_escape", f"{shown(cell)} lies outside the data root; give --root")
            mode = file.stat().st_mode
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                raise FileNotFoundError(cell) from error
            raise
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise PathEscape("path_escape", f"{shown(cell)} is a device, a pipe or a socket; only files are opened")
        return file


def may_stall(base: Path, mounts: str) -> bool:
    """Whether files below a folder may lie on something else than a disk of this machine.

    ``mounts`` are the lines of ``/proc/self/mounts``; without them, nobody knows, and they may.

    Examples
    --------
    >>> table = "/dev/sda1 / ext4 rw 0 0\\nserver:/x /data nfs4 rw 0 0"
    >>> may_stall(Path("/home/a"), table), may_stall(Path("/data/a"), table), may_stall(Path("/"), table)
    (False, True, True)
    """
    known = [line.split(" ")[1:3] for line in mounts.splitlines() if line.count(" ") >= 2]
    kinds = {Path(place.replace("\\040", " ")): kind for place, kind in known}
    above = max(
        (place for place in kinds if base.is_relative_to(place)), key=lambda place: len(place.parts), default=None
    )
    below = [kind for place, kind in kinds.items() if place.is_relative_to(base) and kind not in _NO_DISKS]
    return above is None or not {kinds[above], *below} <= _LOCAL


def shown(name: str) -> str:
    """A name as it can be stored and printed: bytes that are no UTF-8 are written as escapes.

    Examples
    --------
    >>> shown("caf\\udce9.png")
    'caf\\\\udce9.png'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _missing(kind: str, detail: str) -> RowFault:
    return RowFault("missing_file" if kind == "image" else f"{kind}_missing", detail)


def _failing(kind: str, cell: str, error: OSError) -> RowFault:
    reason = "io_error" if kind == "image" else f"{kind}_unreadable"
    return RowFault(reason, f"{shown(cell)}: {error.strerror or error}, also when tried again")


def _bytes_of(path: Path) -> bytes:
    # Without blocking, so that a pipe that took the file's place in the meantime does not hold us.
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(str(path))
        return stream.read()


def _within(seconds: float, call: Callable[[], bytes]) -> bytes:
    """What a call gives, in a thread of its own: a disk that never answers is left behind, with its thread."""
    found: list[bytes | Exception] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:  # raised again below, in the thread that asked
            found.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise TimeoutError(f"no answer from the disk within {seconds:g} seconds")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]
