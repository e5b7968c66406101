"""``figureground merge``: the parts of a run in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.options.common import Overwrite, RunToWrite


def merge(
    parts: Annotated[
        list[Path], typer.Argument(help="Folders of `audit --shard`, or the one that holds them (RUN.parts).")
    ],
    out: RunToWrite,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Merge what there is; `audit --resume` then computes what is missing itself."),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Collect what the parts of a run have measured; `audit --resume` then judges and seals it."""
    from figureground.audit.dividing.merging import merge_parts
    from figureground.progress_bars import bars

    found = merge_parts(parts, out=out, partial=partial, overwrite=overwrite, progress=bars)
    rows = ", ".join(f"{n} rows of {table}" for table, n in sorted(found.rows.items()))
    missing = f", {found.missing} shards missing" if found.missing else ""
    typer.echo(f"{found.path}: {sum(found.shards.values())} shards of {found.parts} parts{missing}; {rows}")
    typer.echo(f"next: the same audit with -o {found.path} --resume, without --shard")
