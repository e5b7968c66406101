"""``report.<lang>.html``: one file that opens offline and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from figureground.audit.files import published
from figureground.audit.result import AuditResult
from figureground.audit.run_folder import RunFolder
from figureground.errors import UsageError
from figureground.reports import catalogue, numbers, page
from figureground.reports.size import fitting


def render_report(run: Path | AuditResult, *, out: Path | None = None, lang: str = "en") -> Path:
    """Write the report of a finished run.

    Rendering is pure: the same run and the same version give the same bytes. The evidence and its seal are
    not touched; a report inside the run folder is entered in the run's ledger.

    Parameters
    ----------
    run : Path or AuditResult
        The run folder, or the result read from it.
    out : Path, optional
        The file to write; ``report.<lang>.html`` in the run folder by default.
    lang : str
        Language of the report.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    UsageError
        If the run did not finish, the language is unknown, or one file would be larger than 25 MB.
    """
    result = run if isinstance(run, AuditResult) else AuditResult(Path(run))
    name = f"report.{lang}.html"
    content = fitting(render_html(result, lang).encode(), name)
    target = Path(out) if out is not None else result.path / name
    if target.resolve().parent == result.path.resolve():
        target = RunFolder(result.path).new_file(target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with published(target) as draft:
        draft.write_bytes(content)
    return target


def render_reports(run: Path | AuditResult, langs: Sequence[str], out: Path | None = None) -> tuple[Path, ...]:
    """The report in each language, ``report.<lang>.html`` in the run folder; ``out`` is for one language only.

    Raises
    ------
    UsageError
        As :func:`render_report`; also if one file is named for several languages.
    """
    check_out(langs, out)
    return tuple(render_report(run, out=out, lang=lang) for lang in langs)


def check_out(langs: Sequence[str], out: Path | None) -> None:
    """Raises :class:`UsageError` where one file, or folder, is named for several languages."""
    if out is not None and len(langs) > 1:
        raise UsageError(
            "REPORT_OUT",
            "out",
            found=f"one file for the languages {', '.join(langs)}",
            expected="one language, or no file",
            fix="leave it out: each report is written into the run folder under a name of its own",
        )


def render_html(result: AuditResult, lang: str = "en") -> str:
    """The report as text."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        return _rendered(page.build(result, words), words)


def _rendered(view: page.Page, words: catalogue.Catalogue) -> str:
    css = stylesheet(view.audit_id, view.seal)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    template = environment().get_template("report.html.j2")
    return template.render(
        page=view,
        css=Markup(css),  # noqa: S704 - our own file, and two names cut to letters and digits
        css_sha256=digest,
        t=words.say,
        plural=words.plural,
    )


def stylesheet(audit_id: str, seal: str) -> str:
    """The style of the page, and what stands at the foot of each printed sheet."""
    css = (resources.files("figureground.reports") / "templates" / "report.css").read_text(encoding="utf-8")
    foot = f"figureground audit {_plain(audit_id)} \\00b7  seal {_plain(seal)}"
    return f'{css}@page {{ @bottom-left {{ content: "{foot}"; }} }}\n'


@cache
def environment() -> jinja2.Environment:
    """Templates with escaping on, in which an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("figureground.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _plain(text: str) -> str:
    # Inside <style> nothing is escaped by the template: only what cannot end a string or a tag may pass.
    return re.sub(r"[^A-Za-z0-9-]", "", text)


def render_fragment(template: str, **values: Any) -> str:
    """One template on its own, escaped: for notebooks."""
    return environment().get_template(template).render(**values)
