"""Pages of sheets: one file each, that opens offline and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from markupsafe import Markup

from figureground.audit.document.sheets import Inside, ModelFacts, Sheet
from figureground.reports import catalogue, numbers
from figureground.reports.decision import inside_page, page
from figureground.reports.decision.pictures import as_picture
from figureground.reports.html import environment


def sheet_html(sheet: Sheet, model: ModelFacts, lang: str = "en") -> str:
    """The sheet of one decision as a page."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        return _rendered("sheet.html.j2", page.build(sheet, model, words), words)


def inside_html(inside: Inside, model: ModelFacts, lang: str = "en") -> str:
    """The inside of a network as a page."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        return _rendered("inside.html.j2", inside_page.build(inside, model, words), words)


def _rendered(template: str, view: Any, words: catalogue.Catalogue) -> str:
    folder = resources.files("figureground.reports") / "templates"
    css = "".join((folder / name).read_text(encoding="utf-8") for name in ("report.css", "sheet.css"))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        environment()
        .get_template(template)
        .render(
            page=view,
            css=Markup(css),  # noqa: S704 - our own files
            css_sha256=digest,
            t=words.say,
            picture=as_picture,
        )
    )
