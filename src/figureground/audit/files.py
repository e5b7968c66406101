"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What a file is called until it is whole.
UNFINISHED = ".part"


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """A path to write to; what was written stands under its own name only once the block has ended well.

    Flushed to disk before it is renamed, so that a power cut leaves the old file or the new one.
    """
    draft = target.with_name(target.name + UNFINISHED)
    try:
        yield draft
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
