"""Go on with a run that was stopped, and only with the same one.

A resumed run is the same run: every stage computes the same from the same rows, and shards that are whole are taken as
they are. Images are read and hashed again, which shows that the data are still those of the first start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from figureground.audit.classify.subject import Subject
from figureground.audit.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.files import file_sha256
from figureground.audit.result import AuditResult
from figureground.audit.run_folder import SEAL, RunFolder, check_seal
from figureground.errors import UsageError

EXAMPLES = "examples.parquet"


def declared_of(
    subject: Subject, config: AuditConfig, policy: Policy, origin: Mapping[str, Any], software: Mapping[str, str]
) -> dict[str, Any]:
    """What must be the same for a run to go on, each part under the name by which a difference is told."""
    return {
        "model sha256": subject.sha256,
        "classes": list(subject.classes),
        "preprocessing": subject.preprocess.to_dict(),
        "kind": subject.kind,
        "settings": config.model_dump(mode="json"),
        "policy sha256": policy.sha256,
        "decision": canonical_sha256(policy.model_dump(mode="json", include={"decision"})),
        "data": dict(origin),
        "software": dict(software),
    }


def memory_of(folder: RunFolder) -> Callable[[str, Callable[[], int]], int]:
    """Numbers that a resumed run takes from its first start; a folder without a journal computes them."""
    return (lambda _name, compute: compute()) if folder.journal is None else folder.journal.recall


def check_data(folder: RunFolder) -> None:
    """Raise :class:`UsageError` where the rows or their files are no longer those of the first start."""
    if folder.journal is None:
        return
    digest = file_sha256(folder.path / EXAMPLES)
    noted = next((line["files"] for line in folder.journal.lines if line.get("name") == EXAMPLES), None)
    if noted is None:
        folder.journal.finished(EXAMPLES, {EXAMPLES: digest})
    elif noted[EXAMPLES] != digest:
        raise UsageError(
            "RESUME_DATA",
            str(folder.path),
            found="images, masks or labels that differ from those of the first start",
            expected="the same data",
            fix="restore them, or begin anew with --overwrite",
        )


def finished(path: Path, subject: Subject, config: AuditConfig, policy: Policy) -> AuditResult | None:
    """The result in a folder whose run has finished and is the one that is asked for; None where none has finished.

    Raises
    ------
    UsageError
        ``RESUME_DIFFERS``: another run has finished there.
    """
    if not (path / SEAL).is_file():
        return None
    check_seal(path)
    result = AuditResult(path)
    there = {
        "model sha256": result.document.subject.model_sha256,
        "settings": json.loads((path / "config.json").read_text(encoding="utf-8")),
        "policy sha256": result.document.policy["sha256"],
    }
    here = {
        "model sha256": subject.sha256,
        "settings": config.model_dump(mode="json"),
        "policy sha256": policy.sha256,
    }
    differs = [name for name in here if here[name] != there[name]]
    if differs:
        raise UsageError(
            "RESUME_DIFFERS",
            str(path),
            found=f"a finished run with another {' and '.join(differs)}",
            expected="the run that is asked for",
            fix="give another -o, or --overwrite to replace it",
        )
    return result
