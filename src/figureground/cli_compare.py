"""``figureground compare``: what changed between two audits, and whether it is more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Earlier audit: a finished run folder, or a bundle.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The audit that is asked about.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write, such as compare.html.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="File for the same as JSON.")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="TOML or JSON file that decides. Default: the policy of B.")
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            help="critical, high, moderate or low: new or worse demonstrated cues from this severity on give exit "
            "code 1. Default: the policy's.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", help="Your key under which a bundle was made: your run and the bundle, compared row by row."
        ),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="Language of the page.")] = "en",
) -> None:
    """Say what changed between two audits, and whether it is more than noise; a gate for CI."""
    from figureground.comparing import compare_runs

    found = compare_runs(
        first,
        second,
        policy=policy,
        fail_on=fail_on,  # type: ignore[arg-type]  # a severity that is none is refused by the policy
        key_file=key_file,
        out=out,
        json=json,
        lang=lang,
    )
    for line in found.lines(lang):
        typer.echo(line)
    for name, path in (("page", out), ("json", json)):
        if path is not None:
            typer.echo(f"{name}: {path}")
    raise typer.Exit(found.exit_code)
