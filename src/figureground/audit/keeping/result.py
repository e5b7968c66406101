"""A finished run, read from its folder: tables as DataFrames, the document, the verdict. No torch, no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from figureground.audit.document.audit_json import SCHEMA_VERSION, AuditDocument, Finding, Verdict
from figureground.audit.keeping import run_folder
from figureground.audit.keeping.files import file_sha256
from figureground.errors import UsageError


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes
    ----------
    path : Path
        The run folder. Everything else is read from it when asked for.
    """

    path: Path

    @cached_property
    def document(self) -> AuditDocument:
        """The whole of ``audit.json``; raises :class:`UsageError` where another version wrote it otherwise."""
        file = self.path / "audit.json"
        stored = json.loads(file.read_text(encoding="utf-8"))
        try:
            return AuditDocument.model_validate(stored)
        except ValidationError as error:
            raise _of_another_version(file, stored, error) from error

    @property
    def verdict(self) -> Verdict:
        """State, counts and effect per cue."""
        return self.document.verdict

    @property
    def findings(self) -> list[Finding]:
        """What people read, worst first."""
        return self.document.findings

    @property
    def seal(self) -> str:
        """SHA-256 of ``COMPLETE.json``; raises if the run did not finish."""
        run_folder.read_seal(self.path)
        return file_sha256(self.path / run_folder.SEAL)

    @cached_property
    def examples(self) -> pd.DataFrame:
        """One row per row given, with status and attributes."""
        return run_folder.read_table(self.path, "examples")

    @cached_property
    def attributions(self) -> pd.DataFrame:
        """One row per image, method and sign."""
        return run_folder.read_table(self.path, "attributions")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per forward pass: unchanged images and every intervention."""
        return run_folder.read_table(self.path, "predictions")

    @cached_property
    def subgroups(self) -> pd.DataFrame:
        """Performance, attribution and contrast per attribute level and label crossing."""
        return run_folder.read_table(self.path, "subgroups")

    @cached_property
    def tests(self) -> pd.DataFrame:
        """Every statistical test behind the verdict."""
        return run_folder.read_table(self.path, "tests")

    @cached_property
    def gallery(self) -> pd.DataFrame:
        """Rows chosen by pre-declared rules, with the hash of each picture."""
        return run_folder.read_table(self.path, "gallery")

    @cached_property
    def mean_maps(self) -> pd.DataFrame:
        """Mean attribution by label and subgroup."""
        return run_folder.read_table(self.path, "mean_maps")

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """All tables by name."""
        return {
            name: getattr(self, name)
            for name in ("examples", "attributions", "predictions", "subgroups", "tests", "gallery")
        }

    def asset(self, sha256: str) -> bytes:
        """WebP bytes of one picture of the gallery."""
        return (self.path / "assets" / f"{sha256}.webp").read_bytes()


def _of_another_version(file: Path, stored: Any, error: ValidationError) -> UsageError:
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return UsageError(
        "DOCUMENT_SCHEMA",
        f"{file}:{where}",
        found=f"schema {version!r}, {first['msg']}",
        expected=f"schema {SCHEMA_VERSION!r} as this version writes it",
        fix="read it with the version of figureground that wrote it: audit.tool.version",
    )
