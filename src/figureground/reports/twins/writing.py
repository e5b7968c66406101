"""All formats of a finished run, as files: by default under ``renders`` in the run folder, outside its seal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError
from figureground.reports import catalogue, numbers
from figureground.reports.html import render_html
from figureground.reports.putting import put
from figureground.reports.sections.context import Context
from figureground.reports.size import fitting
from figureground.reports.spread import RENDERS
from figureground.reports.twins.card import model_card
from figureground.reports.twins.document import word_document
from figureground.reports.twins.junit import junit_xml
from figureground.reports.twins.print import pdf
from figureground.reports.twins.sheets import sheets

Files = Mapping[str, bytes]


def _html(context: Context) -> Files:
    name, text = f"report.{context.words.lang}.html", render_html(context.result, context.words.lang)
    return {name: fitting(text.encode(), name)}


def _json(context: Context) -> Files:
    return {"audit.json": (context.result.path / "audit.json").read_bytes()}


def _junit(context: Context) -> Files:
    return {"junit.xml": junit_xml(context)}


def _card(context: Context) -> Files:
    with numbers.written_in(context.words.style):
        return {"model-card.md": model_card(context).encode("utf-8", errors="replace")}


def _docx(context: Context) -> Files:
    with numbers.written_in(context.words.style):
        return {f"report.{context.words.lang}.docx": word_document(context)}


def _pdf(context: Context) -> Files:
    page, ended = render_html(context.result, context.words.lang, script=False), context.document.audit.ended
    return {f"report.{context.words.lang}.pdf": pdf(page, ended)}


FORMATS: Mapping[str, Callable[[Context], Files]] = {
    "html": _html,
    "json": _json,
    "junit": _junit,
    "csv": sheets,
    "card": _card,
    "docx": _docx,
    "pdf": _pdf,
}


def render_formats(
    run: AuditResult, formats: Sequence[str], *, out: Path | None = None, lang: str = "en"
) -> list[Path]:
    """Write a run in some formats.

    Parameters
    ----------
    run : AuditResult
    formats : sequence of str
        Some of ``html``, ``json``, ``junit``, ``csv``, ``card``, ``docx`` and ``pdf``.
    out : Path, optional
        A folder; ``renders`` in the run folder by default.
    lang : str

    Returns
    -------
    list of Path
        The files written.
    """
    check_formats(formats)
    context = Context.of(run, catalogue.load(lang))
    run.seal  # noqa: B018 - raises where the run did not finish
    return [
        _write(run, out, name, content)
        for one in dict.fromkeys(formats)
        for name, content in FORMATS[one](context).items()
    ]


def check_formats(formats: Sequence[str]) -> None:
    """Refuse formats that are none, by name."""
    for one in formats:
        if one not in FORMATS:
            raise UsageError(
                "FORMAT",
                "format",
                found=repr(one),
                expected=f"some of {', '.join(FORMATS)}",
                fix=f"--format {','.join(list(FORMATS)[:3])}",
            )


def _write(run: AuditResult, out: Path | None, name: str, content: bytes) -> Path:
    return put(run.path, (run.path / RENDERS if out is None else out) / name, content)
