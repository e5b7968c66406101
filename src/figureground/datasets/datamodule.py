"""Feed rows to a model: one item a row, image and mask through the same geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from figureground.datasets.columns import MASK_STATUSES, OBJECT, SHARD_ROWS
from figureground.datasets.keeping import KeptItems
from figureground.datasets.pixels import Pixels, moved_status
from figureground.datasets.row_faults import RowFault
from figureground.datasets.schema import Batch
from figureground.datasets.sources import Source
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError

#: Decoded rows are kept up to this many bytes: the swap reads every row several times, in random order.
CACHE_BYTES = 500_000_000


@dataclass(frozen=True)
class Row:
    """Where a usable row is found: its identity, its place in the source, its label.

    ``present`` has an entry for each finding of multi-label data: 1, 0, or NaN where it is unknown.
    """

    row_id: int
    position: int
    label: str
    present: tuple[float, ...] = ()


def rows_of(frame: pd.DataFrame) -> tuple[Row, ...]:
    """Rows of a frame with ``row_id``, ``position`` and ``label``, in its order."""
    present = frame["present"].tolist() if "present" in frame else [()] * len(frame)
    columns = (frame["row_id"].tolist(), frame["position"].tolist(), frame["label"].tolist(), present)
    return tuple(
        Row(int(row_id), int(position), str(label), tuple(found))
        for row_id, position, label, found in zip(*columns, strict=True)
    )


@dataclass(frozen=True)
class RowReader:
    """Reads one usable row at the model's input geometry; the most recent ones stay in memory.

    Attributes
    ----------
    source : Source
    preprocess : Preprocess
    classes : sequence of str
    regions : tuple of str
        Names of the region masks that every item carries; all zero where a row has none.
    soft : bool
        Whether every item carries the shares of its soft mask; those of a mask that is none are 0 and 1.
    """

    source: Source
    preprocess: Preprocess
    classes: Sequence[str]
    regions: tuple[str, ...] = ()
    soft: bool = False
    _kept: KeptItems = field(default_factory=lambda: KeptItems(CACHE_BYTES), repr=False, compare=False)

    def __call__(self, row: Row) -> dict[str, Any]:
        """Item with the fields of :class:`~figureground.datasets.schema.Batch`, without the batch dimension."""
        item = self._kept.get(row.position)
        if item is None:
            item = self._read(row)
            self._kept.put(row.position, item)
        return item

    def _read(self, row: Row) -> dict[str, Any]:
        try:
            pixels = self.source.pixels(row.position)
            image, mask, regions = self._moved(pixels)
        except RowFault as fault:
            raise RowLost.of(self.source.where, row.position, fault) from fault
        empty = torch.zeros(image.shape[-2:], dtype=torch.uint8)
        mask = empty if mask is None else mask
        return {
            "row_id": torch.tensor(row.row_id),
            "image": image,
            "label": torch.tensor(row.present if row.present else self.classes.index(row.label)),
            "mask": mask,
            "has_mask": torch.tensor(pixels.mask is not None),
            "mask_status": torch.tensor(MASK_STATUSES.index(moved_status(pixels, mask))),
            **self._soft(pixels, mask),
            "regions": {name: regions[name] == OBJECT if name in regions else empty.bool() for name in self.regions},
        }

    def _moved(self, pixels: Pixels) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """The picture, its mask, and the regions that are asked for, at the model's input."""
        names = [name for name in self.regions if name in pixels.regions]
        own = [] if pixels.mask is None else [pixels.mask]
        image, moved = self.preprocess.together(pixels.image, [*own, *(pixels.regions[name] for name in names)])
        return image, moved[0] if own else None, dict(zip(names, moved[len(own) :], strict=True))

    def _soft(self, pixels: Pixels, mask: Tensor) -> dict[str, Tensor]:
        """Shares of pixels, for all rows where masks are soft, so that they make batches."""
        if not self.soft:
            return {}
        return {"soft": mask.float() if pixels.soft is None else self.preprocess.soft(pixels.image, pixels.soft)}


class RowLost(DataError):
    """A row that was read before cannot be read any more: its file changed or vanished while the audit ran."""

    @classmethod
    def of(cls, where: str, position: int, fault: RowFault) -> RowLost:
        """The error of one row."""
        return cls(
            "ROW_LOST",
            f"{where}:{position + 2}",
            found=f"{fault.reason}: {fault.detail}",
            expected="the file as it was when the audit began",
            fix="run again, so that the row is set aside; keep the data as it is meanwhile",
        )


@dataclass(frozen=True)
class ExampleDataset(Dataset[dict[str, Any]]):
    """Usable rows in sorted ``row_id``."""

    rows: tuple[Row, ...] = field(repr=False)
    reader: RowReader

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.reader(self.rows[index])


@dataclass(frozen=True)
class LabelledImages(Dataset[tuple[Tensor, Tensor]]):
    """(image, label) pairs for training: float32 ``[C, H, W]`` in [0, 1] and int64, or float32 ``[K]`` for findings."""

    rows: tuple[Row, ...] = field(repr=False)
    reader: RowReader

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        item = self.reader(self.rows[index])
        return item["image"], item["label"]


def as_batch(items: dict[str, Any]) -> Batch:
    """A :class:`Batch` from collated items."""
    return Batch(**items)


def shard_batches(n_rows: int, batch_size: int) -> list[list[int]]:
    """Index batches that never cross a shard of :data:`SHARD_ROWS` rows.

    Examples
    --------
    >>> [len(batch) for batch in shard_batches(600, 256)]
    [256, 256, 88]
    """
    shards = [range(start, min(start + SHARD_ROWS, n_rows)) for start in range(0, n_rows, SHARD_ROWS)]
    return [list(shard[at : at + batch_size]) for shard in shards for at in range(0, len(shard), batch_size)]
