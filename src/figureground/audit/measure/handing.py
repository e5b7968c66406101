"""Jobs and errors on their way between the processes of one run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cloudpickle

from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.stream import StreamJob
from figureground.errors import FiguregroundError, ResourceError, UsageError


def bare(job: StreamJob) -> StreamJob:
    """Without what belongs to this process."""
    return replace(job, stream=replace(job.stream, folder=RunFolder(job.stream.folder.path)))


def unpacked(given: bytes, rank: int) -> Any:
    """What the first rank packed; where it cannot be read here, the error that says so."""
    try:
        # Bytes that the first rank of this run packed a moment ago, over the process group that this run opened between
        # processes of one user: never a file, and never anything of a model or data set as somebody stored it.
        return cloudpickle.loads(given)
    except Exception as error:
        return told(error, rank)


def packed(what: Any, name: str) -> bytes:
    """Bytes for other processes; raises :class:`UsageError` where something cannot be handed over."""
    try:
        given: bytes = cloudpickle.dumps(what)
    except Exception as error:
        raise UsageError(
            "RANKS_HANDED",
            name,
            found=f"a model or data that cannot be handed to other processes ({type(error).__name__}: {error})",
            expected="modules and data that can be pickled",
            fix="audit without --devices, or part by part with --shard",
        ) from error
    return given


def told(error: Exception, rank: int) -> Exception:
    """An error as other processes can read it."""
    if isinstance(error, FiguregroundError):
        return error
    if isinstance(error, MemoryError):
        return ResourceError(
            "OUT_OF_MEMORY",
            f"rank {rank}",
            found="too little memory",
            expected="room for the model and a batch",
            fix="a smaller --batch-size or fewer ranks on a machine, and --resume",
        )
    return RuntimeError(f"rank {rank}: {type(error).__name__}: {error}")
