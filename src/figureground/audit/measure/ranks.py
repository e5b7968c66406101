"""Several processes on one run: the first decides, all compute.

Lightning's Trainer starts the ranks or finds those that torchrun or SLURM started. The first rank runs the audit as a
process that is alone would: it reads the rows, draws donors, judges, writes documents and seals. The others wait for
streams, of which each rank does every so-manieth shard that is left. So no decision is taken twice, on machines that
might not agree in the last digit, and the tables are those of one process. All ranks write into the same folder.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed
from torch.utils.data import DataLoader, Dataset

from figureground.audit.classify.quiet import interruptible, quiet_lightning
from figureground.audit.keeping.hands import Folder
from figureground.audit.keeping.hands import Job as AnyJob
from figureground.audit.keeping.journal import Journal, shard_name
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.handing import bare, packed, told, unpacked
from figureground.audit.measure.lost_ranks import Address, Lookout, accepted, connected, listening
from figureground.audit.measure.stream import StreamJob, quiet_trainer
from figureground.audit.progress import Advance
from figureground.datasets.columns import SHARD_ROWS
from figureground.datasets.reading import Found, Reads, Task
from figureground.errors import UsageError

#: Ranks wait for each other as long as a stage takes; that one is gone is told otherwise.
_FOREVER = timedelta(days=365)
#: The ranks of this process; a process belongs to one group.
_current: list[Ranks] = []


@dataclass(frozen=True)
class Asked:
    """Which processes are asked for, in the words of Lightning's Trainer.

    Attributes
    ----------
    devices, num_nodes : int
        Ranks on each machine, and machines.
    strategy : {"ddp"}
        How they find each other.
    accelerator : str
    """

    devices: int = 1
    num_nodes: int = 1
    strategy: str = "ddp"
    accelerator: str = "auto"

    def check(self) -> None:
        """Raise :class:`UsageError` where they cannot be had."""
        if self.devices < 1 or self.num_nodes < 1:
            raise _cannot(f"devices={self.devices}, num_nodes={self.num_nodes}", "at least 1 of each")
        if self.strategy != "ddp":
            raise _cannot(
                f"strategy={self.strategy}", "ddp: every rank holds the whole model and runs the same command"
            )

    def options(self) -> dict[str, Any]:
        """Arguments of a Trainer."""
        return {
            "devices": self.devices,
            "num_nodes": self.num_nodes,
            "accelerator": self.accelerator,
            "strategy": DDPStrategy(timeout=_FOREVER),
            "use_distributed_sampler": False,
        }


@dataclass(frozen=True)
class Ranks:
    """The hands of one rank.

    Attributes
    ----------
    asked : Asked
    rank, size : int
    group : ProcessGroup
        For what is told, beside the one that Lightning uses.
    lookout : Lookout
    """

    asked: Asked
    rank: int
    size: int
    group: Any = field(repr=False)
    lookout: Lookout = field(repr=False)

    def stream(self, folder: Folder, job: AnyJob, advance: Advance) -> None:
        """Compute a stream together; called on the first rank."""
        left = job.left(advance)
        if not left.items:
            return
        assert isinstance(left, StreamJob)  # noqa: S101  (the only kind that there is)
        folder.enter(name for shard in dict.fromkeys(left.shards) for name in left.files(shard))
        self._tell(("stream", folder.path, packed(bare(left), left.name)))
        errors = self._share(left, advance)
        self._learn(folder, left, advance)
        failed = next((error for error in errors if error is not None), None)
        if failed is not None:
            raise failed

    def gather(self, folder: Folder, *, last: bool = False) -> None:
        """All shards of a stream are there when it ends."""

    def read(self, folder: Folder, reading: Reads, task: Task, positions: Sequence[int]) -> Iterator[tuple[int, Found]]:
        """Read rows together; called on the first rank."""
        self._tell(("read", folder.path, packed((reading, task, tuple(positions)), "data")))
        for found in self._read(reading, task, positions):
            if isinstance(found, Exception):
                raise found
            yield from found

    def serve(self) -> Path:
        """Compute what the first rank asks for until it ends; returns the run folder. On all other ranks."""
        while True:
            kind, path, given = self._tell(None)
            if kind == "end":
                return Path(path)
            if kind == "stop":  # the first rank says why, and answers for it
                raise SystemExit(0)
            job = unpacked(given, self.rank)
            if kind == "read" and not isinstance(job, Exception):
                self._read(*job)
            elif kind == "read":
                self._gathered(job)
            else:
                self._share(job if isinstance(job, Exception) else self._ours(Path(path), job), lambda _: None)

    def ended(self, path: Path | None) -> None:
        """Let the other ranks go: with the folder of the run, or without one where it failed."""
        if self.rank == 0:
            self._tell(("stop" if path is None else "end", path, None))
        self.lookout.end()

    def _read(self, reading: Reads, task: Task, positions: Sequence[int]) -> list[Any]:
        """Read every so-manieth block of rows; what all have read, or what went wrong, on the first rank."""
        blocks = [positions[at : at + SHARD_ROWS] for at in range(0, len(positions), SHARD_ROWS)]
        mine = [position for block in blocks[self.rank :: self.size] for position in block]
        try:
            found: Any = list(reading(task, mine))
        except Exception as error:
            found = told(error, self.rank)
        return self._gathered(found)

    def _gathered(self, found: Any) -> list[Any]:
        all_: list[Any] | None = [None] * self.size if self.rank == 0 else None
        distributed.gather_object(found, all_, dst=0, group=self.group)
        return all_ or []

    def _share(self, job: StreamJob | Exception, advance: Advance) -> list[Exception | None]:
        """Compute the shards that fall to this rank; what went wrong on each."""
        failed = job if isinstance(job, Exception) else self._computed(job, advance)
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, failed, group=self.group)
        return found

    def _computed(self, job: StreamJob, advance: Advance) -> Exception | None:
        mine = self._dealt(job, self.rank)
        try:
            mine.compute(advance, **self.asked.options(), callbacks=[_OwnSignals()])
        except Exception as error:  # told to all, so that the first rank raises it
            return told(error, self.rank)
        return None

    def _dealt(self, job: StreamJob, rank: int) -> StreamJob:
        order = {shard: place for place, shard in enumerate(dict.fromkeys(job.shards))}
        return job.only(lambda shard: order[shard] % self.size == rank)

    def _learn(self, folder: Folder, job: StreamJob, advance: Advance) -> None:
        """Enter what the others did."""
        if folder.journal is None:
            return
        folder.journal.learn()
        for rank in range(1, self.size):
            theirs = self._dealt(job, rank)
            done = [folder.journal.told(shard_name(job.name, shard)) for shard in dict.fromkeys(theirs.shards)]
            job.stream.spent.extend(found.spent for found in done if found is not None)
            advance(theirs.items)

    def _ours(self, path: Path, job: StreamJob) -> StreamJob:
        """The stream, writing into the folder under this rank's name."""
        folder = RunFolder(path, Journal(path, rank=self.rank))
        return replace(job, stream=replace(job.stream, folder=folder))

    def _tell(self, what: Any) -> Any:
        """What the first rank tells, on all ranks."""
        told = [what]
        distributed.broadcast_object_list(told, src=0, group=self.group)
        return told[0]


@contextmanager
def assembled(asked: Asked) -> Iterator[Ranks]:
    """All ranks that are asked for, on each of them; the others are let go when the block ends on the first."""
    asked.check()
    ranks = _assemble(asked)
    _current.append(ranks)
    try:
        yield ranks
    except Exception:
        if ranks.rank == 0:
            ranks.ended(None)
        raise
    finally:
        _current.remove(ranks)


def current() -> Ranks | None:
    """The ranks of which this process is the first; None where it is alone."""
    return _current[-1] if _current else None


def _assemble(asked: Asked) -> Ranks:
    try:
        with quiet_lightning(), interruptible():
            quiet_trainer(**asked.options()).predict(_Nothing(), DataLoader(_OneItem()), return_predictions=False)
    except Exception as error:  # Lightning has classes of its own for environments that do not fit
        raise _cannot(str(error).split("\n")[0], "ranks that Lightning can start or find") from error
    rank, size = distributed.get_rank(), distributed.get_world_size()
    group = distributed.new_group(backend="gloo", timeout=_FOREVER)
    return Ranks(asked, rank, size, group, _lookout(asked, rank, size, group).start())


def _lookout(asked: Asked, rank: int, size: int, group: Any) -> Lookout:
    told: list[Address | None] = [None]
    if rank == 0:
        server, told[0] = listening(os.environ.get("MASTER_ADDR", "127.0.0.1"), alone=asked.num_nodes == 1)
    distributed.broadcast_object_list(told, src=0, group=group)
    assert told[0] is not None  # noqa: S101  (the first rank told it)
    return accepted(server, told[0], size - 1) if rank == 0 else connected(told[0], rank)


class _OneItem(Dataset[int]):
    """Lightning wants something to do."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        return index


class _Nothing(pl.LightningModule):
    """For a Trainer that only finds its ranks."""

    def predict_step(self, batch: Any, batch_idx: int) -> None:
        """Do nothing."""


class _OwnSignals(pl.Callback):
    """Leave SIGTERM to whoever had it before.

    Lightning answers it on one rank by an operation of all ranks, which hangs where only one of them was stopped.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After Lightning has set its own; it puts the former back in the end."""
        signal.signal(signal.SIGTERM, self._handler)


def _cannot(found: str, expected: str) -> UsageError:
    return UsageError(
        "RANKS",
        "devices",
        found=found,
        expected=expected,
        fix="--devices N on one machine; with --num-nodes M, under torchrun or SLURM with as many processes",
    )


__all__ = ["Asked", "Ranks", "assembled", "current"]
