"""Lines that commands end with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from figureground.audit.keeping.result import AuditResult


def tell_run(result: AuditResult, folder: Path, lang: str) -> None:
    """What was found, and where its reports lie."""
    from figureground.reports.closing import closing_lines

    for line in closing_lines(result):
        typer.echo(line)
    tell_reports(folder, lang)


def tell_reports(folder: Path, lang: str, *, written: Path | None = None) -> None:
    """Where the report lies in each language; ``written`` is the first of them."""
    from figureground.reports.catalogue import asked_languages
    from figureground.reports.size import large

    first, *others = asked_languages(lang)
    # Too large for one file, it lies in a folder of its own.
    own = next((at for at in (folder, folder / "renders") if (at / f"report.{first}.html").is_file()), folder)
    found = written or own / f"report.{first}.html"
    for path in [found, *(found.parent / f"report.{name}.html" for name in others)]:
        typer.echo(f"report: {path}")
        if path.is_file() and (told := large(path)):
            typer.echo(told, err=True)
