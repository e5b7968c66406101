"""What of an unfinished run is done, so that a run that was stopped goes on where it was.

``JOURNAL`` holds one JSON object a line, appended and flushed to disk after the files that it tells of were published:

========  ==============================================================================
noted     a number that another day would give otherwise, such as what fits into a time
files     a shard or a table: the SHA-256 of each file, and the forward passes spent on it
========  ==============================================================================

It is removed once the run is sealed, since the seal then says all of it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figureground.audit.files import file_sha256, told_when_full

JOURNAL = "JOURNAL"
_log = logging.getLogger("figureground")


@dataclass(frozen=True)
class Done:
    """One shard or table that was finished.

    Attributes
    ----------
    files : mapping of str to str
        SHA-256 by file name.
    spent : int
        Forward passes, one picture each.
    """

    files: Mapping[str, str]
    spent: int


@dataclass(frozen=True)
class Journal:
    """The journal of one run folder.

    Attributes
    ----------
    folder : Path
        The run folder.
    lines : list of dict
        What was read when the folder was opened, and what was added since.
    """

    folder: Path
    lines: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """The journal of a folder; empty where there is none."""
        return cls(folder, list(_read(folder / JOURNAL)))

    def recall(self, name: str, compute: Callable[[], int]) -> int:
        """The number that an earlier start noted under this name, else a new one, noted for later starts."""
        noted = next((line["noted"][name] for line in self.lines if name in line.get("noted", {})), None)
        if noted is not None:
            return int(noted)
        found = compute()
        self._add({"noted": {name: found}})
        return found

    def finished(self, name: str, files: Mapping[str, str], spent: int = 0) -> None:
        """Note that these files are whole; they were published before."""
        self._add({"name": name, "files": dict(files), "spent": spent})

    def done(self, name: str) -> Done | None:
        """What was noted as whole, if its files still are; a damaged one is told, and is to be done again."""
        line = next((line for line in reversed(self.lines) if line.get("name") == name), None)
        if line is None:
            return None
        damaged = [file for file, digest in line["files"].items() if not self._is(file, digest)]
        if damaged:
            _log.warning("RESUME %s: not as it was written; it is done again", self.folder / damaged[0])
            return None
        return Done(line["files"], int(line["spent"]))

    def close(self) -> None:
        """Remove the file: the run is sealed."""
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _is(self, name: str, digest: str) -> bool:
        file = self.folder / name
        return file.is_file() and file_sha256(file) == digest

    def _add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        with told_when_full(self.folder / JOURNAL), (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, sort_keys=True) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _read(file: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; one that was cut off by the stop says nothing."""
    if not file.is_file():
        return
    for line in file.read_bytes().split(b"\n")[:-1]:
        try:
            found = json.loads(line)
        except ValueError:  # begun in one start, and continued by the next
            continue
        if isinstance(found, dict):
            yield found
