"""Names of the corpus on the page of a comparison, on sheets of single decisions, and inside of a network."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest
from PIL import Image

import figureground
from figureground.audit.compare.document import ComparisonDocument
from figureground.audit.document.sheets import (
    Agreement,
    Answer,
    Covering,
    FeatureMaps,
    Filters,
    Inside,
    MapShown,
    ModelFacts,
    Patch,
    Sheet,
    Strongest,
)
from figureground.audit.keeping.result import AuditResult
from figureground.reports.comparison.html import render_html
from figureground.reports.comparison.lines import comparison_lines
from figureground.reports.decision.figure import inside_png, sheet_png
from figureground.reports.decision.html import inside_html, sheet_html
from figureground.visible import one_line

PICTURE = np.zeros((12, 16, 3), np.uint8)
HEAT = np.linspace(0, 1, 192, dtype=np.float32).reshape(12, 16)


def valid(page: str) -> str:
    html5lib.HTMLParser(strict=True).parse(page)
    return page


@pytest.fixture(scope="module")
def compared(corpus: Any, bare_run: Path, renamed_run: Any) -> list[ComparisonDocument]:
    """A run compared with itself: with all names at once, and with harmless ones."""
    found = []
    for source in (corpus.all_at_once, corpus.harmless):
        run: AuditResult = renamed_run(bare_run, corpus.named(source))
        found.append(figureground.compare_runs(run.path, run.path).document)
    return found


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_comparison_has_the_elements_of_harmless_names(
    lang: str, compared: list[ComparisonDocument], corpus: Any
) -> None:
    evil, plain = (corpus.skeleton(valid(render_html(document, lang))) for document in compared)
    assert evil == plain
    for line in comparison_lines(compared[0], lang):
        assert line == one_line(line)


def sheet(name: str) -> Sheet:
    maps = (MapShown("saliency", HEAT, HEAT, name), MapShown(name, HEAT, HEAT, name, True))
    answers = (Answer(name, 0.75), Answer("a", 0.25))
    covering = Covering("mean", np.zeros((8, 8), np.float32), 0, 99, None)
    return Sheet(
        name=name,
        sha256="ab" * 32,
        picture=PICTURE,
        several=False,
        answer=answers[0],
        answers=answers,
        explained=name,
        maps=maps,
        agreements=(Agreement("saliency", name, None, None, 64),),
        coverings=(covering,),
        notes=(name,),
    )


def inside(name: str) -> Inside:
    weights = np.ones((5, 3, 3, 3), np.float32)
    return Inside(
        layer=name,
        channel=1,
        filters=Filters(name, weights, (2, 2), np.full(5, 0.6), np.full(5, 0.3)),
        features=(FeatureMaps(name, (1,), weights[:1, 0], 5),),
        strongest=Strongest(7, 2, 5, (0, 3), (Patch(name, 1.5, (0, 0, 12, 16), PICTURE, weights[0]),), 2, 0),
    )


def model(name: str) -> ModelFacts:
    return ModelFacts(name, None, (name, "a"), "answers", "assumed")


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_sheets_have_the_elements_of_harmless_names(lang: str, corpus: Any) -> None:
    for made, page in ((sheet, sheet_html), (inside, inside_html)):
        plain = corpus.skeleton(page(made("name"), model("name"), lang))
        for name in (corpus.all_at_once(0), *list(corpus.names.values())[::7]):
            assert corpus.skeleton(valid(page(made(name), model(name), lang))) == plain


def test_sheets_as_pictures_are_drawn_with_any_name(corpus: Any) -> None:
    # Each drawing takes a while: what trips fonts and lays out text stands in one name.
    name = " ".join(corpus.names[kind] for kind in ("null", "latex", "escape", "noncharacter", "unclosed", "astral"))
    for made in (sheet_png(sheet(name), model(name)), inside_png(inside(name), model(name))):
        assert Image.open(io.BytesIO(made)).format == "PNG"
