"""Progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figureground.audit.progress import Advance


@contextmanager
def bars(description: str, total: int) -> Iterator[Advance]:
    """A progress bar on stderr, with the time expected once the pace is known."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if total == 0:
        console.print(description, soft_wrap=True, highlight=False, markup=False)
        yield lambda _: None
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(description, total=total)
        yield lambda done: shown.advance(task, done)
