"""A finished run as people read it: its report, and the same findings in other formats. Needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from figureground.audit.keeping import result as results
from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError


def load_run(run: str | Path) -> AuditResult:
    """A finished run, after every file was found as it was sealed; raises ``IntegrityError`` otherwise."""
    from figureground.audit.keeping.run_folder import check_seal

    check_seal(Path(run))
    return AuditResult(Path(run))


def render_report(
    run: str | Path | results.AuditResult,
    *,
    out: str | Path | None = None,
    lang: str | Sequence[str] = "en",
    layout: Literal["single", "folder"] = "single",
    system: str | Path | None = None,
) -> Path:
    """Write the HTML report of a finished run again; measures nothing and needs no model.

    Parameters
    ----------
    run : path or AuditResult
        A finished run, or a bundle.
    out : path, optional
        For one language the file, or the folder of the layout ``folder``. Default: in the run folder, where the report
        changes nothing of what is sealed.
    lang : str or sequence of str
        ``"en"``, ``"fr"``, or both as ``"en,fr"``.
    layout : {"single", "folder"}
        One file with everything inside, or style and pictures beside the page, for servers whose content policy
        allows nothing inside it.
    system : path, optional
        A file of what only people can say: see ``figureground system init``.

    Returns
    -------
    Path
        The report in the first of the languages; the others lie beside it.

    Raises
    ------
    UsageError
        The run did not finish, a language or layout is unknown, one file is named for several languages, or the
        report would be larger than 25 MB in the layout ``single``.
    """
    from figureground.reports import catalogue, html, spread

    langs = catalogue.asked_languages(lang)
    found = run if isinstance(run, results.AuditResult) else load_run(run)
    if system is not None:
        found = _with_people(found, Path(system))
    target = None if out is None else Path(out)
    if layout not in spread.LAYOUTS:
        raise UsageError(
            "LAYOUT",
            "layout",
            found=repr(layout),
            expected=f"one of {', '.join(spread.LAYOUTS)}",
            fix="--layout folder",
        )
    html.check_out(langs, target)
    if layout == "folder":
        return [spread.render_spread(found, out=target, lang=one) for one in langs][0]  # noqa: RUF015  (all are written)
    return html.render_reports(found, langs, target)[0]


def own_report(found: results.AuditResult, lang: str | Sequence[str] = "en") -> Path:
    """The report that a command leaves beside what it made: one file, or a folder where that would be too large."""
    from figureground.reports.size import TOO_LARGE

    try:
        return render_report(found, lang=lang)
    except UsageError as error:
        if error.code != TOO_LARGE:
            raise
    return render_report(found, lang=lang, layout="folder")


def _with_people(found: results.AuditResult, system: Path) -> results.AuditResult:
    from figureground.reports import catalogue
    from figureground.reports.human_inputs import completed

    return completed(found, system, map(catalogue.load, catalogue.languages()))


def render_formats(
    run: str | Path | results.AuditResult,
    formats: Sequence[str],
    *,
    out: str | Path | None = None,
    lang: str = "en",
    system: str | Path | None = None,
) -> list[Path]:
    """Write a finished run in other formats; every one shows the same findings with the same states.

    Parameters
    ----------
    run : path or AuditResult
    formats : sequence of str
        Some of ``html``, ``json``, ``junit``, ``csv``, ``card`` (Hugging Face), ``docx`` (extra ``docx``) and ``pdf``
        (printed by an installed Chromium).
    out : path, optional
        A folder. Default: ``renders`` in the run folder.
    lang : str
    system : path, optional
        As for :func:`render_report`.
    """
    from figureground.reports.twins import writing

    found = run if isinstance(run, results.AuditResult) else load_run(run)
    if system is not None:
        found = _with_people(found, Path(system))
    return writing.render_formats(found, formats, out=None if out is None else Path(out), lang=lang)
