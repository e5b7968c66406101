"""Go on with a run that was stopped, and only with the same one.

A resumed run is the same run: every stage computes the same from the same rows, and shards that are whole are taken as
they are. Images are read and hashed again, which shows that the data are still those of the first start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.audit.classify.readout import output_of
from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.dividing.same_run import DECLARED, EXAMPLES, check_same
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import SEAL, RunFolder, check_seal
from figureground.errors import UsageError


def declared_of(
    subject: Subject,
    config: AuditConfig,
    policy: Policy,
    data: Mapping[str, Any],
    table: pd.DataFrame,
    software: Mapping[str, str],
) -> dict[str, Any]:
    """What must be the same for a run to go on, each part under the name by which a difference is told.

    Of the data the table alone: its pictures are hashed when they are read.
    """
    rows = pd.util.hash_pandas_object(table.astype(str), index=False).to_numpy()
    return {
        "model sha256": subject.sha256,
        "output": output_of(subject.module),
        "classes": list(subject.classes),
        "kind": subject.kind,
        "preprocessing": subject.preprocess.to_dict(),
        "settings": config.model_dump(mode="json"),
        "policy sha256": policy.sha256,
        "decision": canonical_sha256(policy.model_dump(mode="json", include={"decision"})),
        "data": dict(data),
        "table sha256": hashlib.sha256("\0".join(table.columns).encode() + rows.tobytes()).hexdigest(),
        "software": dict(software),
    }


def declare(folder: RunFolder, what: Mapping[str, Any]) -> None:
    """Write down what is audited; raises :class:`UsageError` where an earlier start wrote something else."""
    if (folder.path / DECLARED).is_file():
        check_same(folder.path, what)
    else:
        folder.write_json(DECLARED, dict(what))


def finished(path: Path, what: Mapping[str, Any]) -> AuditResult | None:
    """The result in a folder whose run has finished and is the one that is asked for; None where none has finished.

    Raises
    ------
    UsageError
        ``RESUME_DIFFERS``: another run has finished there.
    """
    if not (path / SEAL).is_file():
        return None
    check_seal(path)
    check_same(path, what)
    return AuditResult(path)


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
