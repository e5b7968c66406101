"""What of an unfinished run is done, so that a run that was stopped goes on where it was.

``JOURNAL`` holds one JSON object a line, appended and flushed to disk after the files that it tells of were published:

========  ==============================================================================
noted     a number that another day would give otherwise, such as what fits into a time
files     a shard or a table: the SHA-256 of each file, and the forward passes spent on it
planned   every shard of a stream, as ranges: written by a part, which does only some of them
========  ==============================================================================

Where several ranks write into one folder, each but the first has a journal of its own, ``JOURNAL-<rank>``: appending to
one file is not safe on a network's disk. All are removed once the run is sealed, since the seal then says all of it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figureground.audit.keeping.files import file_sha256, told_when_full

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
    rank : int
        Of the process that writes; 0 where it is alone.
    """

    folder: Path
    lines: list[dict[str, Any]] = field(default_factory=list, repr=False)
    rank: int = 0
    _last: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for line in self.lines:
            self._know(line)

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """The journal of a folder, those of further ranks included; empty where there is none."""
        return cls(folder, [line for file in journals(folder) for line in _read(file)])

    def learn(self) -> None:
        """Read what other ranks have noted meanwhile."""
        for file in journals(self.folder)[1:]:
            for line in _read(file):
                self.lines.append(line)
                self._know(line)

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
        line = self._last.get(name)
        if line is None:
            return None
        damaged = [file for file, digest in line["files"].items() if not self._is(file, digest)]
        if damaged:
            _log.warning("RESUME %s: not as it was written; it is done again", self.folder / damaged[0])
            return None
        return Done(line["files"], int(line["spent"]))

    def told(self, name: str) -> Done | None:
        """What was noted as whole, its files not read again."""
        line = self._last.get(name)
        return None if line is None else Done(line["files"], int(line["spent"]))

    def plan(self, stream: str, shards: Iterable[int]) -> None:
        """Note which shards a stream has, those of others included."""
        planned = {stream: as_ranges(shards)}
        if planned not in (line.get("planned") for line in self.lines):
            self._add({"planned": planned})

    def planned(self) -> Iterator[tuple[str, int]]:
        """Stream and number of every shard that was planned."""
        found = {name: ranges for line in self.lines for name, ranges in line.get("planned", {}).items()}
        for name, ranges in found.items():
            yield from ((name, shard) for first, last in ranges for shard in range(first, last + 1))

    def close(self) -> None:
        """Remove the files: the run is sealed."""
        for file in journals(self.folder):
            file.unlink(missing_ok=True)

    def _know(self, line: dict[str, Any]) -> None:
        if "name" in line:
            self._last[line["name"]] = line

    def _is(self, name: str, digest: str) -> bool:
        file = self.folder / name
        return file.is_file() and file_sha256(file) == digest

    def _add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self._know(line)
        file = self.folder / (JOURNAL if self.rank == 0 else f"{JOURNAL}-{self.rank}")
        with told_when_full(file), file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, sort_keys=True) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def journals(folder: Path) -> list[Path]:
    """The journal of the first rank, there or not, and those of the others."""
    return [folder / JOURNAL, *sorted(folder.glob(f"{JOURNAL}-*"))]


def shard_name(stream: str, shard: int) -> str:
    """By what a shard of a stream is known."""
    return f"{stream}-{shard:05d}"


def as_ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as first and last of each run of consecutive ones.

    Examples
    --------
    >>> as_ranges([3, 0, 1, 2, 7])
    [[0, 3], [7, 7]]
    """
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


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
