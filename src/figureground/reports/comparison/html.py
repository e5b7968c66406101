"""The page of a comparison: one file that opens offline and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from figureground.audit.compare.document import CHANGE_ORDER, ComparisonDocument
from figureground.audit.keeping.files import published
from figureground.reports import catalogue, numbers
from figureground.reports.comparison import cards, charts, slopes, tables
from figureground.reports.comparison.words import Told
from figureground.reports.html import environment, stylesheet
from figureground.reports.view import Chart, Table


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    lang: str
    comparison_id: str
    cover: cards.Cover
    charts: tuple[Chart, ...]
    rows: Table
    inputs: Table
    not_tested: Table | None
    provenance: Table
    states: tuple[tuple[str, str], ...]


def build(told: Told) -> Page:
    """The page of a comparison in one language."""
    say = told.words.say
    return Page(
        lang=told.words.lang,
        comparison_id=told.document.id,
        cover=cards.build(told),
        charts=_charts(told),
        rows=tables.row_table(told),
        inputs=tables.input_table(told),
        not_tested=tables.untested_table(told),
        provenance=tables.provenance_table(told),
        states=tuple((say(f"compare.state.{state}"), say(f"compare.means.{state}")) for state in CHANGE_ORDER),
    )


def _charts(told: Told) -> tuple[Chart, ...]:
    """Of cues and of measures: from the first audit to the second, then the differences with their tables."""
    cues, measures = slopes.build(told)
    found = (cues, charts.cue_chart(told), measures, charts.measure_chart(told))
    return tuple(one for one in found if one is not None)


def render_html(document: ComparisonDocument, lang: str = "en") -> str:
    """The page as text: the same document and version give the same bytes."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        return _written(document, words)


def _written(document: ComparisonDocument, words: catalogue.Catalogue) -> str:
    page = build(Told(document, words))
    css = stylesheet(words.say("compare.print_foot", id=document.id))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        environment().get_template("compare.html.j2").render(page=page, css=Markup(css), css_sha256=digest, t=words.say)  # noqa: S704 - our own file
    )


def write_html(document: ComparisonDocument, out: Path, lang: str = "en") -> Path:
    """The page as a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with published(out) as draft:
        draft.write_text(render_html(document, lang), encoding="utf-8", newline="\n")
    return out
