"""One of two audits that are compared: a sealed run, or a bundle that was handed over without pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from figureground.audit.declared.config import Policy, load_policy
from figureground.audit.declared.task import Task
from figureground.audit.document.audit_json import AuditDocument
from figureground.audit.keeping import run_folder
from figureground.audit.keeping.files import file_sha256
from figureground.errors import IntegrityError, UsageError

BUNDLE = "bundle.json"
#: Fields of a policy that are written beside what was declared.
_NOT_DECLARED = ("sha256", "decision")


@dataclass(frozen=True)
class Side:
    """A finished audit as it can be compared.

    Attributes
    ----------
    path : Path
    kind : {"run", "bundle"}
    seal : str
        SHA-256 of the run's seal or of the bundle's list, after every file was found as listed.
    edition : str or None
        Of a bundle: for whom it was made.
    key_id : str or None
        Under which key the hashes are: those of a bundle, or of a run that is read beside one.
    """

    path: Path
    kind: Literal["run", "bundle"]
    seal: str
    edition: str | None = None
    key_id: str | None = None
    files: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, path: Path) -> Side:
        """The run or bundle, whole; raises where a file is missing or not as it was listed."""
        if (path / BUNDLE).is_file():
            return _bundle(path)
        seal = run_folder.check_seal(path)
        return cls(path, "run", seal, files=tuple(run_folder.read_seal(path)))

    @cached_property
    def document(self) -> AuditDocument:
        """Its ``audit.json``."""
        file = self.path / "audit.json"
        try:
            return AuditDocument.model_validate(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise UsageError(
                "RUN_FORMAT",
                str(file),
                found=str(error).splitlines()[0],
                expected="the audit.json of a run or bundle of this version",
                fix="audit again, or bundle the run again, with this version",
            ) from error

    @cached_property
    def policy(self) -> Policy:
        """The policy that it was judged under."""
        return load_policy({name: value for name, value in self.document.policy.items() if name not in _NOT_DECLARED})

    @cached_property
    def task(self) -> Task:
        """What the model's outputs mean."""
        subject, policy = self.document.subject, self.policy
        return Task(
            subject.kind,
            tuple(subject.classes),
            {**subject.thresholds, **policy.thresholds},
            policy.uncertain,
            policy.background_findings,
        )

    @property
    def space(self) -> str | None:
        """Hashes can be compared where these are equal: plain ones (None), or those under one key."""
        return self.key_id

    def has(self, name: str) -> bool:
        """Whether a table was sealed or handed over."""
        return any(file == f"{name}.parquet" or file.startswith(f"{name}/part-") for file in self.files)

    def table(self, name: str) -> pd.DataFrame:
        """One table; raises :class:`UsageError` where a bundle leaves out a table that is asked for."""
        if not self.has(name):
            raise UsageError(
                "BUNDLE_TABLE",
                str(self.path / name),
                found="no such table",
                expected=f"the table {name}",
                fix="bundle the run again with this version",
            )
        return run_folder.read_table(self.path, name)


def _bundle(path: Path) -> Side:
    try:
        found: dict[str, Any] = json.loads((path / BUNDLE).read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in found["files"].items()}
        edition, key_id = str(found["edition"]), found.get("key_id")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _altered(path / BUNDLE, "a list that cannot be read", "JSON with edition, key_id and files") from error
    for name, digest in sorted(files.items()):
        _check_file(path, name, digest)
    for file in sorted(path.rglob("*.parquet")):  # a part that was put beside the others would be read with them
        if file.relative_to(path).as_posix() not in files:
            raise _altered(file, "a table that the bundle does not list", "only listed tables")
    return Side(path, "bundle", file_sha256(path / BUNDLE), edition, key_id, tuple(files))


def _check_file(path: Path, name: str, digest: str) -> None:
    file = path / name
    inside = file.resolve().is_relative_to(path.resolve())
    if not inside or not file.is_file() or file_sha256(file) != digest:
        raise _altered(file, "a file that is missing or not as it was listed", f"SHA-256 {digest[:12]}…")


def _altered(file: Path, found: str, expected: str) -> IntegrityError:
    return IntegrityError(
        "RUN_ALTERED", str(file), found=found, expected=expected, fix="take the folder from its source again"
    )
