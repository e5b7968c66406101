"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figureground.errors import ResourceError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What a file is called until it is whole.
UNFINISHED = ".part"


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """A path to write to; what was written stands under its own name only once the block has ended well.

    Flushed to disk before it is renamed, so that a power cut leaves the old file or the new one.
    """
    draft = target.with_name(target.name + UNFINISHED)
    try:
        with told_when_full(target):
            yield draft
            with draft.open("rb+") as stream:
                os.fsync(stream.fileno())
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def told_when_full(target: Path) -> Iterator[None]:
    """Turn what a full disk, a quota or a limit of file sizes raises into a :class:`ResourceError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ResourceError(
            "DISK_FULL",
            str(target),
            found=os.strerror(error.errno),
            expected="room for the run",
            fix="make room, and run the same audit again with --resume",
        ) from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
