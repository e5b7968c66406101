"""A run folder on disk: created privately, every file in its ledger, sealed last.

``LEDGER`` names every file before it is written; ``COMPLETE.json`` holds the SHA-256 of all evidence and is
written last, so that a half-written folder is never taken for a result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from figureground.audit import tables
from figureground.errors import IntegrityError, UsageError

LEDGER, SEAL = "LEDGER", "COMPLETE.json"
_FOLDERS = ("attributions", "predictions", "assets", "renders")


@dataclass(frozen=True)
class RunFolder:
    """Writes the evidence of one run; nothing else writes into the folder."""

    path: Path

    @classmethod
    def create(cls, path: Path, *, overwrite: bool = False, keep: tuple[Path, ...] = ()) -> RunFolder:
        """An empty folder with mode 0700, or an error; ``overwrite`` removes what an older ledger lists.

        Parameters
        ----------
        keep : tuple of Path
            Inputs (model, data) that must not lie inside the folder.
        """
        if path.is_symlink():
            raise _refuse(path, "a link", "a folder of its own")
        for other in (Path.cwd(), *keep):
            if path.exists() and other.exists() and other.resolve().is_relative_to(path.resolve()):
                raise _refuse(
                    path, f"that it holds {other}", "a folder that holds neither the inputs nor the working directory"
                )
        if path.exists() and not path.is_dir():
            raise _refuse(path, "a file", "a folder")
        if path.exists() and any(path.iterdir()):
            if not overwrite:
                raise UsageError(
                    "RUN_EXISTS",
                    str(path),
                    found="a folder that is not empty",
                    expected="a new or empty folder",
                    fix="give another -o, or --overwrite to replace an earlier run",
                )
            _remove_listed(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        return cls(path)

    def new_file(self, name: str) -> Path:
        """Path of a file that is about to be written, entered in the ledger first."""
        with (self.path / LEDGER).open("a", encoding="utf-8") as ledger:
            ledger.write(name + "\n")
        target = self.path / name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        return target

    def write_json(self, name: str, value: Any) -> None:
        """Readable JSON with sorted keys and no NaN."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self.new_file(name).write_text(text + "\n", encoding="utf-8")

    def write_table(self, name: str, frame: pd.DataFrame, schema: pa.Schema) -> None:
        """Parquet file of ``frame`` in exactly this schema."""
        pq.write_table(tables.conform(frame, schema), self.new_file(name), compression="zstd")

    def seal(self) -> str:
        """Write ``COMPLETE.json`` over everything in the ledger; returns its SHA-256."""
        hashes = {name: file_sha256(self.path / name) for name in sorted(set(read_ledger(self.path)))}
        self.write_json(SEAL, {"files": hashes, "algorithm": "sha256"})
        return file_sha256(self.path / SEAL)


def read_ledger(path: Path) -> list[str]:
    """Names of the files that a run wrote, in order; empty where there is no ledger."""
    ledger = path / LEDGER
    return ledger.read_text(encoding="utf-8").split("\n")[:-1] if ledger.is_file() else []


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
            fix="run the audit again with --overwrite; what is there is not a result",
        )
    try:
        return dict(json.loads(seal.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise _altered(seal, "a seal that cannot be read", "JSON with files and their SHA-256") from error


def check_seal(path: Path) -> str:
    """SHA-256 of the seal after every file was found as sealed; raises :class:`IntegrityError` otherwise."""
    sealed = read_seal(path)
    for name, expected in sealed.items():
        file = path / name
        if not file.is_file() or file_sha256(file) != expected:
            raise _altered(file, "a file that is missing or not as it was sealed", f"SHA-256 {expected[:12]}…")
    # A part that was put beside the others would be read with them.
    for file in sorted(path.rglob("*.parquet")):
        if file.relative_to(path).as_posix() not in sealed:
            raise _altered(file, "a table that the seal does not list", "only sealed tables")
    return file_sha256(path / SEAL)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    # pandas' default turns an integer column with nulls into floats, which rounds 63-bit row ids.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    full = {name: "int64" for name in frame.select_dtypes(["Int64", "Int32"]) if not frame[name].hasnans}
    return frame.astype(full)


def _remove_listed(path: Path) -> None:
    listed = [*read_ledger(path), SEAL, LEDGER]
    if not (path / LEDGER).is_file():
        raise _refuse(path, "files but no ledger of a run", "an earlier run of figureground")
    _refuse_strangers(path, {*listed, *_FOLDERS})
    # The seal goes first: from here on the folder is not a result.
    for name in dict.fromkeys([SEAL, *listed]):
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
