"""Read rows in this process or in others; a file that ends the process that reads it is found and named."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

#: What reading a row gives: columns of ``examples``.
Found = Mapping[str, object]
Task = Callable[[int], Found]
#: Reads rows; gives every position with what reading it gave, in no order.
Reads = Callable[[Task, Sequence[int]], Iterator[tuple[int, Found]]]
#: Rows that a worker is handed at once.
CHUNK = 64
CRASHED: Found = {
    "status": "quarantined",
    "reason": "worker_crash",
    "detail": "reading its files ended the process that did it",
}
_log = logging.getLogger("figureground")


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Attributes
    ----------
    workers : int
        Processes beside this one; 0: rows are read in this one, and a file that crashes the decoder ends it.
    method : {"spawn", "fork", "forkserver"}
        How they are started. Only the first is there on every system.
    """

    workers: int = 0
    method: str = "spawn"

    def __call__(self, task: Task, positions: Sequence[int]) -> Iterator[tuple[int, Found]]:
        """Every position with what reading it gave, in no order; where workers cannot be had, that is told."""
        if not self.workers or not positions:
            yield from ((position, task(position)) for position in positions)
            return
        try:
            given = pickle.dumps(task)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            _log.warning("WORKERS the data cannot be handed to other processes (%s): rows are read in this one", error)
            yield from Reading()(task, positions)
            return
        yield from self._pooled(task, given, positions)

    def _pooled(self, task: Task, given: bytes, positions: Sequence[int]) -> Iterator[tuple[int, Found]]:
        open_ = [positions[start : start + CHUNK] for start in range(0, len(positions), CHUNK)]
        try:
            suspects = yield from self._round(given, open_, self.workers)
        except OSError as error:  # no room for semaphores, no process to be had
            _log.warning("WORKERS cannot be started (%s): rows are read in this one", error)
            yield from Reading()(task, positions)
            return
        while suspects:
            first, *suspects = suspects
            yield from self._alone(given, first)

    def _round(
        self, given: bytes, chunks: Sequence[Sequence[int]], workers: int
    ) -> Generator[tuple[int, Found], None, list[Sequence[int]]]:
        """Read chunks; those that were lost with a worker are returned."""
        lost: list[Sequence[int]] = []
        with self._pool(given, workers) as pool:
            futures = [(chunk, _submitted(pool, chunk)) for chunk in chunks]
            for chunk, future in futures:
                try:
                    if future is None:
                        raise BrokenProcessPool
                    yield from zip(chunk, future.result(), strict=True)
                except BrokenProcessPool:
                    lost.append(chunk)
        return lost

    def _alone(self, given: bytes, chunk: Sequence[int]) -> Iterator[tuple[int, Found]]:
        """Rows of which one may end the process: halved until it is found."""
        lost = yield from self._round(given, [chunk], 1)
        if not lost:
            return
        if len(chunk) == 1:
            yield chunk[0], CRASHED
            return
        half = len(chunk) // 2
        for part in (chunk[:half], chunk[half:]):
            yield from self._alone(given, part)

    def _pool(self, given: bytes, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context(self.method)
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(given,))


#: The task of a worker process.
_tasks: list[Task] = []


def _begin(given: bytes) -> None:
    _tasks[:] = [pickle.loads(given)]  # noqa: S301  (what the parent process has just written)


def _work(positions: Sequence[int]) -> list[Found]:
    return [_tasks[0](position) for position in positions]


def _submitted(pool: ProcessPoolExecutor, chunk: Sequence[int]) -> Future[list[Found]] | None:
    """The chunk on its way; None where the pool is broken already."""
    try:
        return pool.submit(_work, chunk)
    except BrokenProcessPool:
        return None
