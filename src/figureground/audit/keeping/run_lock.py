"""One run folder, one writer: a lock that the operating system takes back when its holder ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from figureground.audit.keeping.files import told_when_full
from figureground.errors import UsageError

LOCK, HOLDER = "LOCK", "HOLDER"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder inside the block; it must exist.

    A lock that a killed process left behind is no obstacle: the file stays, what locks it is gone with the process.

    Raises
    ------
    UsageError
        ``RUN_LOCKED``: another process writes into the folder.
    """
    lock = FileLock(folder / LOCK, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _held(folder) from None
    try:
        with told_when_full(folder / HOLDER):
            (folder / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        # Removed while it is held: whoever opened it before sees that it is gone, and takes a new one.
        for name in (HOLDER, LOCK):
            _remove(folder / name)
        lock.release()


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except PermissionError:  # Windows keeps an open file
        return


def _held(folder: Path) -> UsageError:
    holder = folder / HOLDER
    by = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "another process"
    return UsageError(
        "RUN_LOCKED",
        str(folder),
        found=f"a folder locked by {by}",
        expected="a folder that nobody writes into",
        fix="wait until it has finished, stop it, or give another -o",
    )
