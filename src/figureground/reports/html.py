"""``report.<lang>.html``: one file that opens offline and needs no script.

Where there are cases to filter and sort, a little script of our own does that; its hash is in the page's policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError
from figureground.reports import catalogue, numbers, page
from figureground.reports.putting import put
from figureground.reports.size import fitting
from figureground.visible import visible


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
    return put(result.path, target, content)


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


def render_html(result: AuditResult, lang: str = "en", *, script: bool = True) -> str:
    """The report as text; without ``script``, there is none in it, whatever there is to sort."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        return _rendered(page.build(result, words), words, script)


def _rendered(view: page.Page, words: catalogue.Catalogue, scripted: bool) -> str:
    css = stylesheet(words.say("page.print_foot", audit_id=view.audit_id, seal=view.seal))
    script = _template("report.js") if scripted and view.tools is not None else ""
    template = environment().get_template("report.html.j2")
    return template.render(
        page=view,
        css=Markup(css),  # noqa: S704 - our own file, and a line in which all but letters and digits is escaped
        css_sha256=_digest(css),
        script=Markup(script),  # noqa: S704 - our own file as it is
        script_sha256=_digest(script),
        t=words.say,
        plural=words.plural,
    )


def stylesheet(foot: str) -> str:
    """The style of the page, and what stands at the foot of each printed sheet."""
    css = _template("report.css")
    return f'{css}@page {{ @bottom-left {{ content: "{_quoted(foot)}"; }} }}\n'


def _template(name: str) -> str:
    return (resources.files("figureground.reports") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """SHA-256 as a content policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def environment() -> jinja2.Environment:
    """Templates with escaping on, in which an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("figureground.reports", "templates"),
        autoescape=True,
        finalize=_seen,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _seen(value: Any) -> Any:
    """What a template writes, without characters that turn or hide what stands beside them; our own markup as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _quoted(text: str) -> str:
    # Inside <style> nothing is escaped by the template: only letters and digits pass as they are.
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text)


def render_fragment(template: str, **values: Any) -> str:
    """One template on its own, escaped: for notebooks."""
    return environment().get_template(template).render(**values)
