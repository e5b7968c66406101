"""Where a rendered file goes: into a run, where it is noted, or anywhere else."""

from __future__ import annotations

from pathlib import Path

from figureground.audit.keeping.files import published
from figureground.audit.keeping.run_folder import RunFolder


def put(run: Path, target: Path, content: bytes) -> Path:
    """Write a file; inside the run folder it enters the ledger, with its SHA-256, outside the seal."""
    folder, place = run.resolve(), target.parent.resolve() / target.name
    if place.is_relative_to(folder):
        RunFolder(run).write_render(place.relative_to(folder).as_posix(), content)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with published(target) as draft:
        draft.write_bytes(content)
    return target
