"""Is it the same run? What was declared when it was begun, against what is asked for now. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figureground.audit.keeping.journal import Journal
from figureground.errors import UsageError

EXAMPLES, DECLARED = "examples.parquet", "declared.json"


def check_same(path: Path, what: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` where what was begun in a folder is not what is asked for, and tell what differs."""
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


def check_one_run(parts: Sequence[Journal]) -> None:
    """Raise :class:`UsageError` where parts are not of one run: of other models, data, settings or software."""
    first, *others = parts
    for part in parts:
        if not (part.folder / DECLARED).is_file():
            raise no_part(part.folder, DECLARED)
    declared = json.loads((first.folder / DECLARED).read_text(encoding="utf-8"))
    for other in others:
        check_same(other.folder, declared)
        _check_rows(first, other)


def _check_rows(first: Journal, other: Journal) -> None:
    """Parts that read other pictures, as where one of them lost a file, do not have the same shards."""
    known = [done.files[EXAMPLES] for part in (first, other) if (done := part.told(EXAMPLES)) is not None]
    if len(set(known)) > 1:
        raise UsageError(
            "PART_DATA",
            str(other.folder),
            found=f"images, masks or labels that are not those of {first.folder}",
            expected="the same data in every part",
            fix="restore them, and begin this part anew with --overwrite",
        )


def no_part(folder: Path, lacking: str) -> UsageError:
    """That a folder is no part of a run."""
    return UsageError(
        "PART",
        str(folder),
        found=f"no {lacking}",
        expected="a folder of audit --shard",
        fix="give the folders of the parts, or the one that holds them",
    )
