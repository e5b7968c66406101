"""People taken out of a sealed run: their rows, what was measured of them or with them, their pictures; sealed anew.

What is left is judged again, so that no number is of those who are gone. The run says how many rows were taken out and
when, and not whose.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from figureground.audit.document.audit_json import Purged
from figureground.audit.keeping import clock
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import LEDGER, SEAL, RunFolder, check_strangers, read_ledger, read_seal
from figureground.audit.keeping.run_lock import locked
from figureground.audit.rejudge import MEASURED, ORIGIN, Rejudge, Stored
from figureground.errors import UsageError

_IDS = ("row_id", "donor_row_id")
#: Columns by which panels of one case belong together.
_CASE = ("cue", "finding", "rule", "rank", "row_id")


@dataclass(frozen=True)
class Asked:
    """Who is to be taken out: rows by their id or path, and whole clusters by their name."""

    rows: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()

    def __call__(self, stored: Stored) -> frozenset[int]:
        """Ids of the rows; raises :class:`UsageError` where a name is not in the run."""
        examples = AuditResult(stored.path).examples
        by_row = {str(row_id): int(row_id) for row_id in examples["row_id"]}
        paths = examples[["path", "row_id"]].dropna()
        by_row |= {str(path): int(row_id) for path, row_id in zip(paths["path"], paths["row_id"], strict=True)}
        known = set(examples["cluster"].dropna().astype(str))
        unknown = [
            *(one for one in self.rows if one not in by_row),
            *(one for one in self.clusters if one not in known),
        ]
        if unknown or not (self.rows or self.clusters):
            raise UsageError(
                "PURGE_ROWS",
                str(stored.path),
                found=f"no row {unknown[0]!r}" if unknown else "nobody named",
                expected="ids or paths of rows, or clusters, as in examples.parquet",
                fix="correct the names; nothing was taken out",
            )
        own = examples["cluster"].astype(str).isin(self.clusters)
        return frozenset(by_row[one] for one in self.rows) | frozenset(map(int, examples.loc[own, "row_id"]))


@dataclass(frozen=True)
class Purge:
    """Takes rows out of a sealed run.

    Attributes
    ----------
    stored : Stored
        The run, found as it was sealed.
    rows : frozenset of int
        Ids of the rows that go.
    """

    stored: Stored
    rows: frozenset[int]

    def __call__(self) -> int:
        """Write what is left in place of the run; returns how many rows went.

        The new run is whole, and judged, before the first file of the old one is removed.
        """
        path = self.stored.path
        check_strangers(path)
        with (
            locked(path),
            tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.purging-") as folder,
        ):
            kept, judged = Path(folder) / "kept", Path(folder) / "judged"
            self.write(RunFolder.create(kept))
            Rejudge()(kept, judged)
            _put(judged, path)
        return len(self.rows)

    def write(self, folder: RunFolder) -> None:
        """The evidence of the rows that stay, sealed; judged as it was before."""
        for name in read_seal(self.stored.path):
            self._copy(folder, name)
        folder.write_json(ORIGIN, self.stored.origin)
        folder.seal()

    def _copy(self, folder: RunFolder, name: str) -> None:
        file = self.stored.path / name
        if name == "audit.json":
            folder.write_json(name, self._document(json.loads(file.read_text(encoding="utf-8"))))
        elif name == MEASURED:
            folder.write_json(name, self._measured(json.loads(file.read_text(encoding="utf-8"))))
        elif name.endswith(".parquet"):
            with folder.publishing(name) as draft:
                pq.write_table(self._left(name, pq.read_table(file)), draft, compression="zstd")
        elif name != ORIGIN and not (name.startswith("assets/") and Path(name).stem not in self._pictures):
            with folder.publishing(name) as draft:
                shutil.copyfile(file, draft)

    @cached_property
    def _pictures(self) -> frozenset[str]:
        """Pictures of cases in which nobody is left out."""
        file = self.stored.path / "gallery.parquet"
        if not file.is_file():
            return frozenset()
        return frozenset(self._left("gallery.parquet", pq.read_table(file))["asset"].drop_null().to_pylist())

    def _left(self, name: str, table: pa.Table) -> pa.Table:
        """The rows of a table that nobody who goes has a part in."""
        if name == "gallery.parquet":
            return _without_cases(table, self.rows)
        if "row_ids" in table.column_names:
            keep = [ids is None or self.rows.isdisjoint(ids) for ids in table["row_ids"].to_pylist()]
            return table.filter(pa.array(keep, type=pa.bool_()))
        for column in (one for one in _IDS if one in table.column_names):
            table = table.filter(pc.invert(pc.is_in(table[column], _values(self.rows))))
        return table

    def _document(self, document: dict[str, Any]) -> dict[str, Any]:
        record = Purged(at=clock.stamp(), rows=len(self.rows), seal=self.stored.seal).model_dump(mode="json")
        audit = {**document["audit"], "purged": [*document["audit"].get("purged", []), record]}
        data = {**document["data"], "overlap": self._overlap(document["data"]["overlap"])}
        assets = [asset for asset in document["assets"] if asset["sha256"] in self._pictures]
        return {**document, "audit": audit, "data": data, "assets": assets}

    def _measured(self, values: dict[str, Any]) -> dict[str, Any]:
        source = values["source"]
        return {**values, "source": {**source, "overlap": self._overlap(source.get("overlap"))}}

    def _overlap(self, overlap: dict[str, Any] | None) -> dict[str, Any] | None:
        if overlap is None:
            return None
        gone = {str(row_id) for row_id in self.rows}
        return {
            **overlap,
            "row_ids": {kind: [i for i in ids if i not in gone] for kind, ids in overlap["row_ids"].items()},
        }


def _values(rows: Collection[int]) -> pa.Array:
    return pa.array(sorted(rows), type=pa.int64())


def _without_cases(gallery: pa.Table, rows: Collection[int]) -> pa.Table:
    """Cases whole: a swap without one of its panels would show half of a comparison."""
    lines = gallery.to_pylist()
    touched = (line for line in lines if line["row_id"] in rows or line["donor_row_id"] in rows)
    gone = {tuple(line.get(name) for name in _CASE) for line in touched}
    keep = [tuple(line.get(name) for name in _CASE) not in gone for line in lines]
    return gallery.filter(pa.array(keep, type=pa.bool_()))


def _put(new: Path, path: Path) -> None:
    """The files of one folder in place of those of another; without a seal from the first to the last."""
    (path / SEAL).unlink()
    for name in _files(path):
        (path / name).unlink(missing_ok=True)
    for name in (LEDGER, *(one for one in read_ledger(new) if one != SEAL), SEAL):
        (path / name).parent.mkdir(mode=0o700, exist_ok=True)
        (new / name).replace(path / name)


def _files(path: Path) -> Iterator[str]:
    inside = path.resolve()
    for name in read_ledger(path):
        if name != SEAL and (path / name).parent.resolve().is_relative_to(inside):
            yield name


def named_in(given: str | Path | Sequence[str | int] | None) -> tuple[str, ...]:
    """Names as a caller gave them: separated by commas, or one a line in a file."""
    if given is None:
        return ()
    if isinstance(given, str | Path):
        file = Path(given)
        text = file.read_text(encoding="utf-8").splitlines() if _is_file(file) else str(given).split(",")
        return tuple(one.strip() for one in text if one.strip())
    return tuple(str(one) for one in given)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # many names with commas are longer than a path can be
        return False
