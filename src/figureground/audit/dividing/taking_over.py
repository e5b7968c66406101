"""Shards that somebody else finished, put into a folder: as links where the disk allows it, never read as a whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from figureground.audit.keeping.files import file_sha256, published
from figureground.audit.keeping.hands import Folder
from figureground.audit.keeping.journal import JOURNAL, Journal
from figureground.errors import IntegrityError

#: What a shard may be called; a journal that was brought from elsewhere names nothing else.
_SHARD = re.compile(r"(attributions|predictions|readings)/part-[A-Za-z0-9_-]+\.parquet")
_BLOCK = 1 << 20


def begun_parts(beside: Path, own: Path | None = None) -> list[Journal]:
    """Journals of the parts in a folder, that of ``own`` left out."""
    found = sorted(file.parent for file in beside.glob(f"*/{JOURNAL}"))
    return [Journal.read(folder) for folder in found if folder != own]


def take_over(name: str, others: Sequence[Journal], folder: Folder, journal: Journal) -> bool:
    """Whether somebody finished a shard; then it is in the folder and its journal.

    Raises
    ------
    IntegrityError
        ``PART_ALTERED``: a journal names a file that is no shard.
    """
    for other in others:
        done = other.told(name)
        if done is not None and all(_is(other.folder, file, digest) for file, digest in done.files.items()):
            _put(other.folder, done.files, folder)
            journal.finished(name, done.files, done.spent)
            return True
    return False


def check_name(folder: Path, name: str) -> None:
    """Raise :class:`IntegrityError` where a journal names something else than a shard."""
    if not _SHARD.fullmatch(name):
        raise _altered(folder / name)


def _is(folder: Path, name: str, digest: str) -> bool:
    check_name(folder, name)
    file = folder / name
    if file.is_symlink() or file.parent.is_symlink():
        raise _altered(file)
    return file.is_file() and file_sha256(file) == digest


def _put(source: Path, files: Mapping[str, str], folder: Folder) -> None:
    folder.enter(files)
    for name, digest in files.items():
        with published(folder.path / name) as draft:
            draft.unlink(missing_ok=True)  # of a start that was killed here
            try:
                os.link(source / name, draft)
            except OSError:  # another disk, or one without links
                if _copied(source / name, draft) != digest:
                    raise _altered(source / name) from None


def _copied(source: Path, target: Path) -> str:
    """SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while block := read.read(_BLOCK):
            digest.update(block)
            written.write(block)
    return digest.hexdigest()


def _altered(file: Path) -> IntegrityError:
    return IntegrityError(
        "PART_ALTERED",
        str(file),
        found="a link, a file that is no shard, or one that changed while it was copied",
        expected="a shard as its journal tells of it",
        fix="take the part from its source again",
    )
