"""A run folder on disk: created privately, every file in its ledger, sealed last.

``LEDGER`` names every file before it is written; a file stands under its name only once it is whole; ``COMPLETE.json``
holds the SHA-256 of all evidence and is written last, so that a half-written folder is never taken for a result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from figureground.audit.keeping import tables
from figureground.audit.keeping.files import FULL, UNFINISHED, file_sha256, published, told_when_full
from figureground.audit.keeping.hands import Hands
from figureground.audit.keeping.journal import JOURNAL, Journal, journals
from figureground.audit.keeping.run_lock import HOLDER, LOCK, locked
from figureground.errors import IntegrityError, UsageError

LEDGER, SEAL = "LEDGER", "COMPLETE.json"
#: SHA-256 of what was rendered into the folder, outside the seal, as `sha256sum` writes it.
RENDERED = "RENDERED"
_FOLDERS = ("attributions", "predictions", "assets", "renders", "readings")
#: What says who works in a folder and how far the work is; none of it is left in a finished one.
_WORKING = (JOURNAL, LOCK, HOLDER)


@dataclass(frozen=True)
class RunFolder:
    """Writes the evidence of one run; nothing else writes into the folder.

    Attributes
    ----------
    path : Path
    journal : Journal or None
        Where it is kept what is done; None for a folder that is written at one go.
    hands : Hands or None
        Who else computes shards of the run; None: this process is alone.
    """

    path: Path
    journal: Journal | None = field(default=None, repr=False)
    hands: Hands | None = field(default=None, repr=False)
    # What is known to stand in the ledger, so that it is not read again for each of a hundred thousand files.
    _entered: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def create(
        cls, path: Path, *, overwrite: bool = False, resume: bool = False, keep: tuple[Path, ...] = ()
    ) -> RunFolder:
        """An empty folder with mode 0700, or an error; ``overwrite`` removes what an older ledger lists.

        Parameters
        ----------
        resume : bool
            A run that was begun in the folder is gone on with; without one, it is begun.
        keep : tuple of Path
            Inputs (model, data) that must not lie inside the folder.
        """
        check_place(path, keep)
        if is_used(path):
            if resume and (path / LEDGER).is_file():
                _refuse_strangers(path, {*_listed(path), *_FOLDERS})
                return cls(path, Journal.read(path))
            if not overwrite:
                raise _exists(path)
            _remove_listed(path)
        _make(path)
        path.chmod(0o700)
        (path / LEDGER).touch()  # from here on the folder is known as ours, whatever stops the run
        return cls(path, Journal(path))

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, *, overwrite: bool = False, resume: bool = False, keep: tuple[Path, ...] = ()
    ) -> Iterator[RunFolder]:
        """The folder of :meth:`create`, locked inside the block; ``RUN_LOCKED`` where another process writes there."""
        check_place(path, keep)
        if is_used(path) and not (path / LEDGER).is_file():  # somebody's folder: nothing is put into it
            yield cls.create(path, overwrite=overwrite, resume=resume, keep=keep)
            return
        _make(path)
        with locked(path):
            yield cls.create(path, overwrite=overwrite, resume=resume, keep=keep)

    def new_file(self, name: str) -> Path:
        """Path of a file that is about to be written, entered in the ledger first."""
        self.enter([name])
        return self.path / name

    @contextmanager
    def publishing(self, name: str) -> Iterator[Path]:
        """A path to write to; the file stands under ``name`` once the block has ended well."""
        with published(self.new_file(name)) as draft:
            yield draft

    def enter(self, names: Iterable[str]) -> None:
        """Enter files in the ledger that are about to be written, by whichever process."""
        wanted = [name for name in names if name not in self._entered]
        if not wanted:
            return
        self._entered.update(read_ledger(self.path))
        new = [name for name in wanted if name not in self._entered]
        for parent in {(self.path / name).parent for name in wanted}:
            parent.mkdir(mode=0o700, exist_ok=True)
        with told_when_full(self.path / LEDGER), (self.path / LEDGER).open("a", encoding="utf-8") as ledger:
            ledger.write("".join(f"{name}\n" for name in new))
        self._entered.update(new)

    def write_bytes(self, name: str, data: bytes) -> None:
        """A file of these bytes."""
        with self.publishing(name) as draft:
            draft.write_bytes(data)

    def write_render(self, name: str, data: bytes) -> None:
        """A page, or another form of the evidence, outside the seal; its hash is noted, so that a change is seen."""
        self.write_bytes(name, data)
        noted = {**read_rendered(self.path), name: hashlib.sha256(data).hexdigest()}
        lines = (f"{digest}  {one}\n" for one, digest in sorted(noted.items()))
        self.write_bytes(RENDERED, "".join(lines).encode())

    def write_json(self, name: str, value: Any) -> None:
        """Readable JSON with sorted keys and no NaN."""
        self.write_bytes(name, _readable(value))

    def write_table(self, name: str, frame: pd.DataFrame, schema: pa.Schema) -> None:
        """Parquet file of ``frame`` in exactly this schema."""
        with self.publishing(name) as draft:
            pq.write_table(tables.conform(frame, schema), draft, compression="zstd")

    def seal(self) -> str:
        """Write ``COMPLETE.json`` over everything in the ledger; returns its SHA-256."""
        for draft in self.path.rglob(f"*{UNFINISHED}"):  # of a start that was killed while it wrote
            draft.unlink()
        names = sorted({*read_ledger(self.path)} - {SEAL, RENDERED, *read_rendered(self.path)})
        hashes = {name: file_sha256(self.path / name) for name in names}
        self.write_json(SEAL, {"files": hashes, "algorithm": "sha256"})
        if self.journal is not None:
            self.journal.close()
        return file_sha256(self.path / SEAL)


def _readable(value: Any) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _make(path: Path) -> None:
    """The folder, there and ours to write into; raises :class:`UsageError` where it cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise _unwritable(path, error.strerror or str(error)) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "a folder that may not be written to")


def _unwritable(path: Path, found: str) -> UsageError:
    return UsageError(
        "RUN_UNWRITABLE",
        str(path),
        found=found,
        expected="a folder that can be made and written to",
        fix="give another -o",
    )


def check_place(path: Path, keep: tuple[Path, ...] = ()) -> None:
    """Raise :class:`IntegrityError` where no run may be written: a link, a file, a folder that holds inputs."""
    if path.is_symlink():
        raise _refuse(path, "a link", "a folder of its own")
    for other in (Path.cwd(), *keep):
        if path.exists() and other.exists() and other.resolve().is_relative_to(path.resolve()):
            raise _refuse(
                path, f"that it holds {other}", "a folder that holds neither the inputs nor the working directory"
            )
    if path.exists() and not path.is_dir():
        raise _refuse(path, "a file", "a folder")


def check_sums(path: Path, sums: str = "SHA256SUMS") -> int:
    """Files of a bundle that are as its list says, as ``sha256sum -c`` finds; 0 for a folder without a list.

    Raises
    ------
    IntegrityError
        A file is missing, is not as it was listed, or lies outside the folder.
    """
    listed = path / sums
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    for line in lines:
        digest, _, name = line.partition("  ")
        file = path / name
        if not _is_own(path, file) or file_sha256(file) != digest:
            raise _altered(file, "a file that is missing or not as it was listed", f"SHA-256 {digest[:12]}…")
    return len(lines)


def check_strangers(path: Path) -> None:
    """Raise :class:`IntegrityError` where a run folder holds files that its ledger does not list."""
    _refuse_strangers(path, {*_listed(path), *_FOLDERS})


def is_used(path: Path) -> bool:
    """Whether there is anything in the folder, locks and a ledger that lists nothing not counted."""
    nothing = (LOCK, HOLDER) if read_ledger(path) else (LOCK, HOLDER, LEDGER)
    return path.is_dir() and any(entry.name not in nothing for entry in path.iterdir())


def read_ledger(path: Path) -> list[str]:
    """Names of the files that a run wrote, in order; empty where there is no ledger."""
    ledger = path / LEDGER
    return ledger.read_text(encoding="utf-8").split("\n")[:-1] if ledger.is_file() else []


def read_rendered(path: Path) -> dict[str, str]:
    """SHA-256 by name of the files that were rendered into the folder; empty where none was noted."""
    noted = path / RENDERED
    lines = noted.read_text(encoding="utf-8").splitlines() if noted.is_file() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def read_table(path: Path, name: str) -> pd.DataFrame:
    """One table of a run: a single Parquet file, or the parts of a folder in the order of their names."""
    single = path / f"{name}.parquet"
    files = [single] if single.is_file() else sorted((path / name).glob("part-*.parquet"))
    if not files:
        return _to_pandas(tables.SCHEMAS[name].empty_table())
    return _to_pandas(pa.concat_tables([pq.read_table(file) for file in files]))


def read_seal(path: Path) -> Mapping[str, str]:
    """SHA-256 by file name; raises if the run did not finish."""
    seal = path / SEAL
    if not seal.is_file():
        raise UsageError(
            "RUN_INCOMPLETE",
            str(path),
            found=f"no {SEAL}",
            expected="a finished run folder",
            fix="run the same audit with --resume, or anew with --overwrite; what is there is not a result",
        )
    try:
        files = json.loads(seal.read_text(encoding="utf-8"))["files"]
        return {name: str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _altered(seal, "a seal that cannot be read", "JSON with files and their SHA-256") from error


def check_seal(path: Path) -> str:
    """SHA-256 of the seal after every file was found as sealed; raises :class:`IntegrityError` otherwise."""
    sealed = read_seal(path)
    if (path / SEAL).read_bytes() != _readable({"files": sealed, "algorithm": "sha256"}):
        raise _altered(path / SEAL, "a seal that was written by another hand", "the bytes that sealing writes")
    for name, expected in sealed.items():
        file = path / name
        if not _is_own(path, file) or file_sha256(file) != expected:
            raise _altered(file, "a file that is missing or not as it was sealed", f"SHA-256 {expected[:12]}…")
    # A part that was put beside the others would be read with them.
    for file in sorted(path.rglob("*.parquet")):
        if file.relative_to(path).as_posix() not in sealed:
            raise _altered(file, "a table that the seal does not list", "only sealed tables")
    return file_sha256(path / SEAL)


def _is_own(path: Path, file: Path) -> bool:
    """Whether a file stands in the folder itself: neither it nor a folder on the way to it is a link."""
    return file.is_file() and file.resolve() == path.resolve() / file.relative_to(path)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    # pandas' default turns an integer column with nulls into floats, which rounds 63-bit row ids.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    full = {name: "int64" for name in frame.select_dtypes(["Int64", "Int32"]) if not frame[name].hasnans}
    return frame.astype(full)


def _listed(path: Path) -> list[str]:
    """Everything that a run may have left in its folder, the drafts of its files included."""
    names = [*read_ledger(path), SEAL]
    of_ranks = [file.name for file in journals(path)[1:]]
    return [*names, *(name + UNFINISHED for name in names), *_WORKING, *of_ranks, LEDGER]


def _remove_listed(path: Path) -> None:
    listed = _listed(path)
    if not (path / LEDGER).is_file():
        raise _refuse(path, "files but no ledger of a run", "an earlier run of figureground")
    _refuse_strangers(path, {*listed, *_FOLDERS})
    # The seal goes first: from here on the folder is not a result.
    for name in dict.fromkeys([SEAL, *(name for name in listed if name not in (LOCK, HOLDER))]):
        file = path / name
        inside = file.parent.resolve().is_relative_to(path.resolve())
        if inside and (file.is_symlink() or file.is_file()):
            file.unlink()
    for folder in _FOLDERS:
        if (path / folder).is_dir() and not any((path / folder).iterdir()):
            (path / folder).rmdir()


def _refuse_strangers(path: Path, known: set[str]) -> None:
    """Before anything is removed: a refusal must leave the earlier run whole."""
    found = sorted(entry.relative_to(path).as_posix() for entry in path.rglob("*"))
    links = [name for name in _FOLDERS if (path / name).is_symlink()]
    left = links + [name for name in found if name not in known]
    if left:
        raise _refuse(
            path, f"files that the run's ledger does not list: {', '.join(left[:5])}", "only files of the earlier run"
        )


def _exists(path: Path) -> UsageError:
    begun = (path / LEDGER).is_file() and not (path / SEAL).is_file()
    more = "--resume to go on with the run that was begun, " if begun else ""
    return UsageError(
        "RUN_EXISTS",
        str(path),
        found="a run that did not finish" if begun else "a folder that is not empty",
        expected="a new or empty folder",
        fix=f"give another -o, {more}or --overwrite to replace an earlier run",
    )


def _altered(file: Path, found: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "RUN_ALTERED",
        str(file),
        found=found,
        expected=expected,
        fix="take the folder from its source again, or repeat the audit",
    )


def _refuse(path: Path, found: str, expected: str) -> IntegrityError:
    return IntegrityError("RUN_FOLDER", str(path), found=found, expected=expected, fix="give another -o")
