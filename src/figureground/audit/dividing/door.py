"""What a part found when it read its rows at the door, kept for the other parts: no part reads all pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from figureground.audit.keeping.files import file_sha256, published
from figureground.audit.keeping.hands import Folder
from figureground.audit.keeping.journal import Journal, shard_name
from figureground.datasets.reading import Found
from figureground.datasets.readings import READ

#: Name of the stream; no model is in it.
DOOR = "door"
_TYPES = {"object_area": pa.float64(), "border": pa.float64(), "width": pa.int64(), "height": pa.int64()}
READINGS = pa.schema([("position", pa.int64()), *((name, _TYPES.get(name, pa.string())) for name in READ)])
Row = tuple[int, Found]


def file_of(block: int) -> str:
    """Name of the file of a block of rows."""
    return f"readings/part-{shard_name(DOOR, block)}.parquet"


def in_blocks(read: Iterable[Row], blocks: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, list[Row]]]:
    """Rows that come in no order, as blocks: each is given once it is whole, its rows by position."""
    block_of = {position: block for block, positions in blocks.items() for position in positions}
    found: dict[int, list[Row]] = {block: [] for block in blocks}
    for position, row in read:
        block = block_of[position]
        found[block].append((position, row))
        if len(found[block]) == len(blocks[block]):
            yield block, sorted(found.pop(block), key=lambda one: one[0])


def write_readings(folder: Folder, journal: Journal, block: int, rows: Sequence[Row]) -> None:
    """One block, and that it is done."""
    name = file_of(block)
    folder.enter([name])
    lines = [{"position": position, **{one: found.get(one) for one in READ}} for position, found in rows]
    with published(folder.path / name) as draft:
        pq.write_table(pa.Table.from_pylist(lines, READINGS), draft, compression="zstd")
    journal.finished(shard_name(DOOR, block), {name: file_sha256(folder.path / name)})


def read_readings(folder: Folder, block: int) -> Iterator[Row]:
    """The rows of a block."""
    for line in pq.read_table(folder.path / file_of(block)).to_pylist():
        yield line.pop("position"), line
