"""Who computes the shards of a run: this process alone, one part of several, or ranks that work together.

A stream is cut into shards of 512 rows, and a shard is the same whoever computes it. So hands are told which shards
there are, and see to it that each is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from figureground.audit.keeping.journal import Journal
from figureground.audit.progress import Advance
from figureground.datasets.reading import Found, Reading, Reads, Task


class Folder(Protocol):
    """What hands need of a :class:`~figureground.audit.keeping.run_folder.RunFolder`."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def journal(self) -> Journal | None:
        """What is done."""

    @property
    def hands(self) -> Hands | None:
        """Who computes."""

    def enter(self, names: Iterable[str]) -> None:
        """Enter files in the ledger that are about to be written."""


class Job(Protocol):
    """A stream over all of its shards, of which any may be run alone."""

    @property
    def name(self) -> str:
        """By which the stream is told from others."""

    @property
    def shards(self) -> Sequence[int]:
        """The shard of each batch, ascending."""

    def files(self, shard: int) -> Iterable[str]:
        """Names of the files of a shard."""

    def only(self, keep: Callable[[int], bool]) -> Job:
        """The same stream over those shards."""

    def left(self, advance: Advance) -> Job:
        """The same stream over those that no earlier start finished."""

    @property
    def items(self) -> int:
        """Number of items in its batches."""

    def compute(self, advance: Advance, **trainer: Any) -> None:
        """Compute them under a Trainer with these options."""


class Hands(Protocol):
    """Who computes shards."""

    def stream(self, folder: Folder, job: Job, advance: Advance) -> None:
        """Compute the shards of a stream that fall to this process, and have the others computed."""

    def read(self, folder: Folder, reading: Reads, task: Task, positions: Sequence[int]) -> Iterator[tuple[int, Found]]:
        """Every position with what reading its files gave, whoever read them."""

    def gather(self, folder: Folder, *, last: bool = False) -> None:
        """Return once every shard of all streams so far is in the folder; ``last``: nothing is streamed after it."""


def gather(folder: Folder, *, last: bool = False) -> None:
    """Called before tables are read that streams wrote; a process that is alone has all of them."""
    if folder.hands is not None:
        folder.hands.gather(folder, last=last)


def shared_reading(folder: Folder, workers: int) -> Reads:
    """How rows are read at the door: each row once, by whoever works on the run."""
    own = Reading(workers)
    return own if folder.hands is None else partial(folder.hands.read, folder, own)
