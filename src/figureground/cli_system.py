"""``figureground system``: what only people can say of a system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

system = typer.Typer(help="What only people can say of a system.", no_args_is_help=True)

SystemFile = Annotated[
    Path | None,
    typer.Option("--system", help="What only people can say: system.toml, or the sheet of `system init --xlsx`."),
]


@system.command()
def init(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write. Default: system.toml, or system.xlsx.")
    ] = None,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="A sheet; needs figureground[xlsx].")] = False,
    lang: Annotated[str, typer.Option("--lang", help="Language of the template.")] = "en",
) -> None:
    """Write a template to be filled in and given to `report --system`; an existing file is never replaced."""
    from figureground.errors import UsageError
    from figureground.reports import catalogue, human_inputs

    file = Path("system.xlsx" if xlsx else "system.toml") if out is None else out
    if file.exists():
        fix = "name another with --out"
        raise UsageError("SYSTEM_FILE", str(file), found="a file", expected="none, which is written", fix=fix)
    words = catalogue.load(lang)
    if xlsx or file.suffix.lower() == ".xlsx":
        human_inputs.write_sheet(file, words)
    else:
        file.write_text(human_inputs.template(words), encoding="utf-8")
    typer.echo(f"{file}: {len(human_inputs.FIELDS)} fields for people to fill in")
