"""Merge the parts of a run into one folder, which ``audit --resume`` then judges and seals.

Nothing is read as a whole: files are linked or copied block by block, and rows are scanned batch by batch, so that
memory does not grow with the run. Needs neither the model nor torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from figureground.audit.dividing.door import DOOR
from figureground.audit.dividing.parts import NAMED, STREAMED
from figureground.audit.dividing.same_run import DECLARED, EXAMPLES, check_one_run, check_same, no_part
from figureground.audit.dividing.taking_over import begun_parts, check_name, take_over
from figureground.audit.keeping import tables
from figureground.audit.keeping.journal import JOURNAL, Journal, shard_name
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.progress import Advance, Progress, silent
from figureground.errors import IntegrityError, UsageError

#: Rows that are held at once.
BATCH_ROWS = 1 << 16
Shard = tuple[str, int]


@dataclass(frozen=True)
class Merged:
    """What was merged.

    Attributes
    ----------
    path : Path
        The folder. It is no result yet: ``audit --resume`` computes what is missing, judges and seals.
    parts : int
    shards : mapping of str to int
        Shards by stream.
    rows : mapping of str to int
        Rows by table.
    missing : int
        Shards that the parts had planned and none has finished.
    """

    path: Path
    parts: int
    shards: Mapping[str, int]
    rows: Mapping[str, int]
    missing: int


def merge_parts(
    parts: Sequence[str | Path],
    *,
    out: str | Path,
    partial: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Merged:
    """Collect what the parts of a run have finished.

    Parameters
    ----------
    parts : sequence of paths
        Folders of ``audit --shard``, or folders that hold such.
    out : path
        The run folder, new or empty, or that of a merge that was stopped.
    partial : bool
        Whether parts that have not finished are merged too; what is missing is then computed by the run that goes on.
    overwrite : bool
        Whether an earlier run in ``out`` is replaced.
    progress : Progress
        Told how far the work is.

    Raises
    ------
    UsageError
        The parts are not of one run, or some have not finished (``PARTS_MISSING``, by number).
    IntegrityError
        A part's files are not as its journal says, or a row stands in two shards.
    """
    journals = opened(parts)
    check_one_run(journals)
    planned = list(dict.fromkeys(shard for journal in journals for shard in journal.planned() if shard[0] != DOOR))
    missing = [shard for shard in planned if not any(journal.told(shard_name(*shard)) for journal in journals)]
    if not partial:
        _check_whole(journals, missing)
    with RunFolder.opened(Path(out), overwrite=overwrite, resume=not overwrite) as folder:
        _begin(folder, journals)
        with progress("Merging shards", len(planned)) as advance:
            merged, damaged = _Merge(folder, tuple(journals))(planned, advance)
    if damaged and not partial:
        _check_whole(journals, damaged)
    return merged


def opened(parts: Sequence[str | Path]) -> list[Journal]:
    """Journals of the parts, in the order given; those in a folder that holds parts in the order of their names."""
    found: list[Journal] = []
    for path in map(Path, parts):
        inside = [Journal.read(path)] if (path / JOURNAL).is_file() else begun_parts(path)
        if not inside:
            raise no_part(path, JOURNAL)
        found += inside
    return found


def _check_whole(journals: Sequence[Journal], missing: Sequence[Shard]) -> None:
    ended = any(STREAMED in line.get("noted", {}) for journal in journals for line in journal.lines)
    if ended and not missing:
        return
    streams = Counter(stream for stream, _ in missing)
    shards = [shard_name(*one) for one in missing[:NAMED]]
    named = ", ".join(shards) + (" ..." if len(missing) > len(shards) else "")
    raise UsageError(
        "PARTS_MISSING",
        ", ".join(journal.folder.name for journal in journals[:NAMED]) + (" ..." if len(journals) > NAMED else ""),
        found=f"{len(missing)} shards missing ({', '.join(f'{name}: {n}' for name, n in streams.items())}): {named}"
        if missing
        else "parts that stopped before the last stage",
        expected="all shards of all stages",
        fix="start the parts again by the same commands, give the folders of all, or --partial: what is missing is "
        "then computed by audit --resume",
    )


def _begin(folder: RunFolder, journals: Sequence[Journal]) -> None:
    """What says of which run the folder is, and of which data."""
    declared = json.loads((journals[0].folder / DECLARED).read_text(encoding="utf-8"))
    if (folder.path / DECLARED).is_file():
        check_same(folder.path, declared)
    folder.write_json(DECLARED, declared)
    if folder.journal is None or folder.journal.told(EXAMPLES) is not None:
        return
    read = next((done for journal in journals if (done := journal.told(EXAMPLES)) is not None), None)
    if read is not None:
        folder.journal.finished(EXAMPLES, read.files)


@dataclass(frozen=True)
class _Merge:
    """Takes shards over one after the other."""

    folder: RunFolder
    journals: tuple[Journal, ...] = field(repr=False)

    def __call__(self, planned: Sequence[Shard], advance: Advance) -> tuple[Merged, list[Shard]]:
        """What was merged, and the shards that nobody has whole."""
        journal = self.folder.journal or Journal(self.folder.path)
        files = {shard: self._files(shard_name(*shard)) for shard in planned}
        self.folder.enter(name for names in files.values() for name in names)
        shards: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        ends: dict[tuple[str, str], int] = {}
        lacking: list[Shard] = []
        for shard in sorted(planned):
            if self._taken(shard, journal):
                shards[shard[0]] += 1
                for table, n in self._rows(shard, files[shard], ends):
                    rows[table] += n
            else:
                lacking.append(shard)
            advance(1)
        return Merged(self.folder.path, len(self.journals), shards, rows, len(lacking)), lacking

    def _taken(self, shard: Shard, journal: Journal) -> bool:
        name = shard_name(*shard)
        return journal.done(name) is not None or take_over(name, self.journals, self.folder, journal)

    def _files(self, name: str) -> list[str]:
        for journal in self.journals:
            done = journal.told(name)
            if done is not None:
                for file in done.files:
                    check_name(journal.folder, file)
                return list(done.files)
        return []

    def _rows(self, shard: Shard, files: Sequence[str], ends: dict[tuple[str, str], int]) -> Iterator[tuple[str, int]]:
        """Rows by table; ``ends`` holds the last row of each stream and table, after which a shard must begin."""
        for name in files:
            table = name.partition("/")[0]
            found = scanned(self.folder.path / name, tables.SCHEMAS[table])
            before = ends.get((shard[0], table), -1)
            if found.n and found.first <= before:
                raise _twice(self.folder.path / name, found.first)
            ends[shard[0], table] = max(before, found.last)
            yield table, found.n


@dataclass(frozen=True)
class Span:
    """Number of rows of a file, and its least and greatest ``row_id``; -1 where it has none."""

    n: int
    first: int
    last: int


def scanned(file: Path, schema: pa.Schema) -> Span:
    """The rows of a shard, batch by batch; raises where its columns are not those of the table."""
    found = ds.dataset(file, format="parquet")
    if found.schema.names != schema.names:
        raise _columns(file)
    n, first, last = 0, -1, -1
    for batch in found.to_batches(columns=["row_id"], batch_size=BATCH_ROWS):
        if batch.num_rows:
            ends = pc.min_max(batch["row_id"]).as_py()
            first = ends["min"] if n == 0 else min(first, ends["min"])
            n, last = n + batch.num_rows, max(last, ends["max"])
    return Span(n, first, last)


def _twice(file: Path, row: int) -> IntegrityError:
    return IntegrityError(
        "PART_ROWS",
        str(file),
        found=f"row {row}, which an earlier shard has or goes beyond",
        expected="every row in one shard",
        fix="take the parts from their source again",
    )


def _columns(file: Path) -> IntegrityError:
    return IntegrityError(
        "PART_ROWS",
        str(file),
        found="columns that are not those of the table",
        expected="a shard of this version",
        fix="begin the part anew with --overwrite",
    )
