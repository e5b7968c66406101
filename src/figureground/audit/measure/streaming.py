"""What every stage that streams interventions into ``predictions/`` has, and how it runs one over its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import Dataset

from figureground.audit.classify.subject import Subject
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.backing_off import Step
from figureground.audit.measure.stream import ShardStream
from figureground.audit.progress import Progress
from figureground.datasets.columns import SHARD_ROWS
from figureground.datasets.datamodule import Row, RowReader


@dataclass(frozen=True)
class Streaming:
    """A stage that answers changed pictures of rows.

    Attributes
    ----------
    subject : Subject
    rows : tuple of Row
        All usable rows in sorted ``row_id``.
    reader : RowReader
    folder : RunFolder
    batch_size, seed : int
    progress : Progress
    """

    subject: Subject = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    reader: RowReader = field(repr=False)
    folder: RunFolder = field(repr=False)
    batch_size: int
    seed: int
    progress: Progress

    @property
    def by_id(self) -> dict[int, Row]:
        """Rows by ``row_id``."""
        return {row.row_id: row for row in self.rows}

    def run(
        self, step: Step, dataset: Dataset[Any], ids: Iterable[int], name: str, spent: list[int], title: str
    ) -> None:
        """Stream a step over a dataset whose items are of rows ``ids``, shard by shard, under the bar ``title``."""
        shard_of = {row.row_id: index // SHARD_ROWS for index, row in enumerate(self.rows)}
        batches, shards = shard_ranges([shard_of[int(row)] for row in ids], self.batch_size)
        stream = ShardStream(self.folder, {"predictions": tables.PREDICTIONS}, name, spent)
        with self.progress(title, len(dataset)) as advance:  # type: ignore[arg-type]
            stream(self.subject.module, step, dataset, batches, shards, advance)


def shard_ranges(shard_of: Sequence[int], batch_size: int) -> tuple[list[list[int]], list[int]]:
    """Batches of consecutive indices that stay within one shard, and the shard of each.

    Examples
    --------
    >>> shard_ranges([0, 0, 0, 1], 2)
    ([[0, 1], [2], [3]], [0, 0, 1])
    """
    batches: list[list[int]] = []
    shards: list[int] = []
    for index, shard in enumerate(shard_of):
        if not batches or shards[-1] != shard or len(batches[-1]) == batch_size:
            batches.append([])
            shards.append(shard)
        batches[-1].append(index)
    return batches, shards
