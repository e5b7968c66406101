"""How a long stage tells how far it is, without knowing who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Opens a task of known length; the value given is called with the number of steps just done.

    A task of length 0 is something to be told and nothing to be done.
    """

    def __call__(self, description: str, total: int, /) -> AbstractContextManager[Advance]:
        """Context of one task."""


@contextmanager
def silent(_description: str, _total: int, /) -> Iterator[Advance]:
    """Tells nobody."""
    yield lambda _: None
