"""``figureground bundle`` and ``figureground purge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from figureground.options.common import FinishedRun


def bundle(
    run: FinishedRun,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, new or empty.")],
    edition: Annotated[
        str,
        typer.Option(
            "--edition",
            help="regulator: no pictures, small cells hidden; public: no line of any image either; internal: all.",
        ),
    ] = "regulator",
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            help="Your key for pseudonyms and hashes, made where there is none; never handed over. "
            "Bundles under one key can be compared row by row.",
        ),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="Language of the report.")] = "en",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier bundle in the same folder.")
    ] = False,
) -> None:
    """Write a folder to hand over, which `sha256sum -c SHA256SUMS` checks; needs no model."""
    from figureground.handing import bundle_run

    found = bundle_run(run, out=out, edition=edition, key_file=key_file, lang=lang, overwrite=overwrite)  # type: ignore[arg-type]  # refused by name
    typer.echo(f"bundle: {found}; check it with: cd {found} && sha256sum -c SHA256SUMS")


def purge(
    run: Annotated[Path, typer.Argument(help="Finished run folder; it is changed.")],
    rows: Annotated[
        str | None, typer.Option("--rows", help="Ids or paths of rows, separated by commas, or a file with one a line.")
    ] = None,
    clusters: Annotated[
        str | None, typer.Option("--clusters", help="Independent units, such as patients, with all of their rows.")
    ] = None,
) -> None:
    """Take people out of a run: rows, pictures, composites, hashes; judge what is left again and seal it anew."""
    from figureground.handing import purge_rows

    gone = purge_rows(run, rows=rows, clusters=clusters)
    some = "1 row" if gone == 1 else f"{gone} rows"
    typer.echo(f"{run}: {some} taken out, the others judged again and sealed; copies elsewhere are not touched")
