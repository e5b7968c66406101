"""Go on with a run that was stopped, and only with the same one.

A resumed run is the same run: every stage computes the same from the same rows, and shards that are whole are taken as
they are. Images are read and hashed again, which shows that the data are still those of the first start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.audit.classify.readout import output_of
from figureground.audit.classify.subject import Subject
from figureground.audit.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.files import file_sha256
from figureground.audit.result import AuditResult
from figureground.audit.run_folder import SEAL, RunFolder, check_seal
from figureground.errors import UsageError

EXAMPLES, DECLARED = "examples.parquet", "declared.json"


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
        _check_same(folder.path, what)
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
    _check_same(path, what)
    return AuditResult(path)


def _check_same(path: Path, what: Mapping[str, Any]) -> None:
    file = path / DECLARED
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    now = json.loads(json.dumps(dict(what)))  # as a file gives it back: tuples are lists
    was, is_ = _flat(before), _flat(now)
    differs = sorted(name for name in {*was, *is_} if was.get(name) != is_.get(name))
    if differs:
        raise _differs(path, differs, was, is_)
    if now["model sha256"] is None:
        raise UsageError(
            "RESUME_UNKNOWN",
            str(path),
            found="a function, which has no weights to compare",
            expected="a model of which it can be shown that it is the one that the run was begun with",
            fix="begin anew with --overwrite, or audit the module itself",
        )


def _flat(what: Mapping[str, Any]) -> dict[str, Any]:
    """With the parts of settings and the like by a name of their own, so that only what differs is told."""
    found: dict[str, Any] = {}
    for name, value in what.items():
        found |= {f"{name} {part}": one for part, one in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _differs(path: Path, names: list[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> UsageError:
    said, was = ("; ".join(f"{name} {_short(of.get(name))}" for name in names[:3]) for of in (now, before))
    return UsageError(
        "RESUME_DIFFERS",
        str(path),
        found=said,
        expected=f"what the run was begun with: {was}",
        fix="give the same model, data and settings, or begin anew with --overwrite",
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else f"{text[:77]}..."


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
