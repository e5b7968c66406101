"""Work beside the network: the next batch is read, and the last one measured, while this one is in it.

One thread each, one batch at a time: order and borders are those of doing one after the other, and memory holds two
batches more. Decoders, sorts and sums let other threads run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

from torch.utils.data import Dataset

T = TypeVar("T")
#: A thread that reads from a disk that no longer answers is not waited for longer than this.
PATIENCE_SECONDS = 5.0


class Pending(Generic[T]):
    """What is being computed in a thread of its own.

    Parameters
    ----------
    work : callable
        Begun at once.
    instead : callable, optional
        What to do where ``work`` raises, with what it raised; by default that is raised where the result is asked for.
    """

    def __init__(self, work: Callable[[], T], instead: Callable[[BaseException], T] | None = None) -> None:
        self._work, self.instead = work, instead
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What was computed, once it is."""
        self._thread.join()
        if self._error is None:
            return self._found[0]
        error, self._error = self._error, None
        if self.instead is None:
            raise error
        return self.instead(error)

    def wait(self, seconds: float) -> None:
        """Until it has ended, or so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:
            self._error = error
        # What it worked on is given back even where the result is kept.
        del self._work


def settled(found: T | Pending[T]) -> T:
    """The result of what may still be computed."""
    return found.result() if isinstance(found, Pending) else found


class Ahead(Dataset[Any]):
    """A dataset whose next item is read while the last one is used; asked for in another order, it reads what is asked.

    Parameters
    ----------
    dataset : Dataset
        With a length. Items are read by one thread at a time.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._next: tuple[int, Pending[Any]] | None = None

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        found = self._taken(index)
        if index + 1 < len(self):
            self._next = index + 1, Pending(lambda: self._dataset[index + 1])
        return found

    def close(self) -> None:
        """Let the item that is being read come to its end."""
        if self._next is not None:
            self._next[1].wait(PATIENCE_SECONDS)
        self._next = None

    def _taken(self, index: int) -> Any:
        coming, self._next = self._next, None
        if coming is None:
            return self._dataset[index]
        at, pending = coming
        found = pending.result()  # of another index too: two threads would read at once
        return found if at == index else self._dataset[index]
