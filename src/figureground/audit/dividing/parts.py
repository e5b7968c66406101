"""One part of a run, and what the parts have done taken together.

Part ``i`` of ``n`` does the shards whose number leaves the remainder ``i - 1`` when divided by ``n``, in a folder of
its own beside those of the others: ``RUN.parts/part-03-of-64``. A later stage needs what all parts did in an earlier
one; a part that comes there takes over what the others finished, or ends and says whose work is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from figureground.audit.dividing.door import DOOR, in_blocks, read_readings, write_readings
from figureground.audit.dividing.same_run import check_one_run
from figureground.audit.dividing.taking_over import begun_parts, take_over
from figureground.audit.keeping.hands import Folder, Job
from figureground.audit.keeping.journal import Journal, shard_name
from figureground.audit.progress import Advance
from figureground.datasets.columns import SHARD_ROWS
from figureground.datasets.reading import Found, Reads, Task
from figureground.errors import FiguregroundError, UsageError

#: Noted by a part that has come to the end of what is streamed.
STREAMED = "streamed"
#: So many missing shards, or parts, are named.
NAMED = 5


class PartDone(FiguregroundError):
    """A part has done what it can for now; no error, but nothing that a result could be read from either."""

    exit_code = 0


@dataclass(frozen=True)
class Part:
    """The hands of one part.

    Attributes
    ----------
    number, total : int
        From 1.
    beside : Path
        Folder that holds the folders of all parts.
    """

    number: int
    total: int
    beside: Path
    _streams: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, run: Path, shard: tuple[int, int]) -> Part:
        """Part ``(i, n)`` of a run; raises :class:`UsageError` where there is no such part."""
        number, total = shard
        if not 1 <= number <= total:
            raise UsageError(
                "SHARD",
                "shard",
                found=f"{number}/{total}",
                expected="i/n with i from 1 to n",
                fix="for three parts: --shard 1/3, --shard 2/3 and --shard 3/3",
            )
        return cls(number, total, run.with_name(f"{run.name}.parts"))

    @property
    def path(self) -> Path:
        """Folder of this part."""
        width = len(str(self.total))
        return self.beside / f"part-{self.number:0{width}d}-of-{self.total}"

    def owner(self, shard: int) -> int:
        """The part to which a shard falls."""
        return shard % self.total + 1

    def stream(self, folder: Folder, job: Job, advance: Advance) -> None:
        """Compute the shards that fall to this part."""
        own = job.only(lambda shard: self.owner(shard) == self.number)
        if folder.journal is not None:
            folder.journal.plan(job.name, job.shards)
        self._streams[job.name] = tuple(dict.fromkeys(job.shards))
        if job.items > own.items:
            advance(job.items - own.items)
        left = own.left(advance)
        if left.items:
            left.compute(advance)

    def read(self, folder: Folder, reading: Reads, task: Task, positions: Sequence[int]) -> Iterator[tuple[int, Found]]:
        """Read the blocks of rows that fall to this part, and take over what the others found."""
        blocks = [tuple(positions[at : at + SHARD_ROWS]) for at in range(0, len(positions), SHARD_ROWS)]
        journal = folder.journal or Journal(folder.path)
        journal.plan(DOOR, range(len(blocks)))
        own = [at for at in range(len(blocks)) if self.owner(at) == self.number]
        left = {at: blocks[at] for at in own if journal.done(shard_name(DOOR, at)) is None}
        for at, rows in in_blocks(reading(task, [one for block in left.values() for one in block]), left):
            write_readings(folder, journal, at, rows)
        self._streams[DOOR] = tuple(range(len(blocks)))
        self.gather(folder)
        for at in range(len(blocks)):
            yield from read_readings(folder, at)

    def gather(self, folder: Folder, *, last: bool = False) -> None:
        """Take over what other parts did; raises :class:`PartDone` where something is missing, or all is done."""
        wanted = [(name, shard) for name, shards in self._streams.items() for shard in shards]
        missing = self._taken_over(folder, wanted)
        if missing:
            raise self._waiting(missing)
        if last:
            if folder.journal is not None:
                folder.journal.recall(STREAMED, lambda: 1)
            raise self._whole()

    def _taken_over(self, folder: Folder, wanted: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """What is missing after everything that other parts finished was put into the folder."""
        journal = folder.journal or Journal(folder.path)
        left = [one for one in wanted if journal.told(shard_name(*one)) is None]
        others = begun_parts(self.beside, self.path) if left else []
        check_one_run([journal, *others])
        return [one for one in left if not take_over(shard_name(*one), others, folder, journal)]

    def _waiting(self, missing: Sequence[tuple[str, int]]) -> PartDone:
        parts = sorted({self.owner(shard) for _, shard in missing})
        named = ", ".join(map(str, parts[:NAMED])) + (" ..." if len(parts) > NAMED else "")
        return PartDone(
            "PART_DONE",
            str(self.path),
            found=f"part {self.number} of {self.total} done as far as it can be: {len(missing)} shards of "
            f"{', '.join(dict.fromkeys(name for name, _ in missing))} fall to the parts {named}",
            expected="these, before the next stage",
            fix="when they have ended, start all parts again by the same commands",
        )

    def _whole(self) -> PartDone:
        return PartDone(
            "PART_DONE",
            str(self.path),
            found=f"part {self.number} of {self.total} done, and with the others all that is measured",
            expected="no more",
            fix=f"figureground merge {self.beside} -o RUN, then the same audit with -o RUN --resume, without --shard",
        )
