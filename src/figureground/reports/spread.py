"""The report as a folder: style and pictures as files, for servers whose policy allows nothing inside a page.

There is no script in it, because such a policy refuses it; nothing of the report is lost.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from figureground.audit.keeping.result import AuditResult
from figureground.reports.html import render_html
from figureground.reports.putting import put

LAYOUTS = ("single", "folder")
#: Where the report lies inside a run.
RENDERS = "renders"
#: Strict enough for Jenkins, whose own policy it is but for the sandbox.
POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'"
_SUFFIX = {"image/svg+xml": "svg", "image/webp": "webp", "image/png": "png"}
# Quotes are escaped in whatever the user wrote, so that only our own attributes can read like this.
_PICTURE = re.compile(r'(?P<name>src|srcset)="data:(?P<media>image/[a-z+]+);base64,(?P<content>[A-Za-z0-9+/=]+)"')
_STYLE = re.compile(r"<style>(?P<css>.*?)</style>", re.DOTALL)
_META = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")[^"]*(")')


@dataclass(frozen=True)
class Spread:
    """A page and the files that it needs, by name."""

    page: str
    files: dict[str, bytes]

    @classmethod
    def of(cls, page: str, css_name: str) -> Spread:
        """The page of one file, taken apart; the words in it are the same."""
        files: dict[str, bytes] = {}

        def out(found: re.Match[str]) -> str:
            content = base64.b64decode(found["content"])
            name = f"{hashlib.sha256(content).hexdigest()}.{_SUFFIX[found['media']]}"
            files[name] = content
            return f'{found["name"]}="{name}"'

        def link(found: re.Match[str]) -> str:
            files[css_name] = found["css"].encode()
            return f'<link rel="stylesheet" href="{css_name}">'

        page = _STYLE.sub(link, page, count=1)
        page = _META.sub(lambda found: f"{found[1]}{POLICY}{found[2]}", page, count=1)
        return cls(_PICTURE.sub(out, page), files)


def render_spread(run: AuditResult, *, out: Path | None = None, lang: str = "en") -> Path:
    """Write the report as files side by side.

    Parameters
    ----------
    run : AuditResult
    out : Path, optional
        The folder; ``renders`` in the run folder by default, where the files enter the run's ledger.
    lang : str

    Returns
    -------
    Path
        The page.
    """
    name, folder = f"report.{lang}.html", run.path / RENDERS if out is None else out
    spread = Spread.of(render_html(run, lang, script=False), f"report.{lang}.css")
    for file, content in (*spread.files.items(), (name, spread.page.encode())):
        put(run.path, folder / file, content)
    return folder / name
