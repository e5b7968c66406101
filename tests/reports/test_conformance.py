"""What a parser does not see and the HTML standard, or WAI-ARIA, asks for, on every kind of page.

No validator of the whole standard can be had for Python alone: those on the package index start the Nu checker, which
needs Java, or Tidy, which does not check it. html5lib raises at errors of parsing; this file looks at the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest

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
from figureground.comparing import compare_runs
from figureground.handing import bundle_run
from figureground.reports.decision.html import inside_html, sheet_html
from figureground.reports.html import render_html
from figureground.reports.spread import Spread

LANGS = ("en", "fr")
VOID = {"br", "hr", "img", "input", "link", "meta", "source", "col", "wbr"}
#: What may stand directly in an element; None: phrasing content.
CHILDREN = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd", "div"},
    "table": {"caption", "thead", "tbody", "tfoot", "colgroup"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tr": {"th", "td"},
    "picture": {"source", "img"},
    "html": {"head", "body"},
    "select": {"option", "optgroup"},
}
PHRASING = {
    *("a", "abbr", "b", "bdi", "br", "button", "code", "data", "em", "i", "img", "input", "kbd", "label", "output"),
    *("picture", "q", "s", "select", "small", "source", "span", "strong", "sub", "sup", "time", "var", "wbr", "svg"),
}
ONLY_PHRASING = {
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "span",
    "strong",
    "em",
    "small",
    "label",
    "code",
    "pre",
    "button",
}
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: Attributes that name other elements by their ids.
REFERENCES = (
    "aria-labelledby",
    "aria-describedby",
    "aria-controls",
    "aria-owns",
    "aria-details",
    "headers",
    "for",
    "list",
)
ROLES = {"region", "img", "list", "listitem", "status", "group", "note", "toolbar", "search"}
ARIA = {
    "aria-label",
    "aria-hidden",
    "aria-live",
    "aria-expanded",
    "aria-pressed",
    "aria-sort",
    "aria-current",
    *REFERENCES,
}


def faults(page: str) -> Iterator[str]:
    """Everything that is wrong with a page, in words."""
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    everything = list(root.iter())
    yield from _ids(everything)
    yield from _names(root)
    yield from _children(everything)
    yield from _headings(everything)
    yield from _tables(root)
    yield from _pictures(root)
    yield from _aria(everything)
    yield from _unclosed(page)


def _ids(everything: list[Any]) -> Iterator[str]:
    ids = [one.get("id") for one in everything if one.get("id") is not None]
    yield from (f"id {name!r} twice" for name in {one for one in ids if ids.count(one) > 1})
    yield from (f"id {name!r} with a space" for name in ids if not name or re.search(r"\s", name))
    for one in everything:
        for name in REFERENCES:
            yield from (f"{name}={to}: no such id" for to in (one.get(name) or "").split() if to not in ids)
        href = one.get("href") or ""
        if href.startswith("#") and href[1:] not in ids:
            yield f"a link to {href}, which is nowhere"


def _names(root: Any) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]{2}", root.get("lang") or ""):
        yield "no language"
    if len([one for one in root.iter("title") if (one.text or "").strip()]) != 1:
        yield "no title, or two"
    if len(list(root.iter("main"))) != 1 or len(list(root.iter("h1"))) != 1:
        yield "not one main part, or not one heading of the first level"
    labelled = {one.get("for") for one in root.iter("label")}
    for one in root.iter():
        if one.tag in ("input", "select", "textarea") and not (one.get("aria-label") or one.get("id") in labelled):
            yield f"<{one.tag}> without a label"
        if one.tag in ("a", "button", "summary") and not ("".join(one.itertext()).strip() or one.get("aria-label")):
            yield f"<{one.tag}> without a name"
        if one.tag in ("nav", "section") and one.get("class") != "gallery":
            named = one.get("aria-label") or one.get("aria-labelledby") or any(child.tag in HEADINGS for child in one)
            if not named:
                yield f"<{one.tag}> without a name or a heading"


def _children(everything: list[Any]) -> Iterator[str]:
    for one in everything:
        for child in one:
            if one.tag in CHILDREN and child.tag not in CHILDREN[one.tag]:
                yield f"<{child.tag}> in <{one.tag}>"
            if one.tag in ONLY_PHRASING and child.tag not in PHRASING:
                yield f"<{child.tag}> in <{one.tag}>"
        if one.tag in ("ul", "ol", "dl", "tbody", "tr", "table") and not len(one):
            yield f"an empty <{one.tag}>"
        if one.tag in CHILDREN and ((one.text or "") + "".join(child.tail or "" for child in one)).strip():
            yield f"text in <{one.tag}>"
        if one.tag == "a" and [inner for inner in one.iter() if inner is not one and inner.tag in ("a", "button")]:
            yield "something to press in a link"
        if one.tag == "figure" and [child.tag for child in one].count("figcaption") > 1:
            yield "two captions of one figure"
        if one.tag == "details" and (not len(one) or one[0].tag != "summary"):
            yield "details without a summary first"


def _headings(everything: list[Any]) -> Iterator[str]:
    found = [one for one in everything if one.tag in HEADINGS]
    levels = [int(one.tag[1]) for one in found]
    if levels[:1] != [1]:
        yield "the first heading is not of the first level"
    for one, level, before in zip(found[1:], levels[1:], levels, strict=False):
        if level > before + 1:
            yield f"h{level} {''.join(one.itertext())[:40]!r} follows h{before}"
    yield from (f"an empty {one.tag}" for one in found if not "".join(one.itertext()).strip())


def _tables(root: Any) -> Iterator[str]:
    for table in root.iter("table"):
        if table.find("caption") is None or not "".join(table.find("caption").itertext()).strip():
            yield "a table without a caption"
        widths = {sum(int(cell.get("colspan", 1)) for cell in row) for row in table.iter("tr")}
        if len(widths) > 1 and not any(cell.get("rowspan") for cell in table.iter()):
            yield f"rows of {sorted(widths)} cells"
        scopes = {cell.get("scope") for cell in table.iter("th")}
        if not scopes or not scopes <= {"row", "col", "rowgroup", "colgroup"}:
            yield f"headers of scope {scopes}"


def _pictures(root: Any) -> Iterator[str]:
    for one in root.iter("img"):
        if one.get("alt") is None:
            yield "a picture without words"
        if not all(re.fullmatch(r"[1-9]\d*", one.get(side) or "") for side in ("width", "height")):
            yield "a picture without its size"
    for one in root.iter("picture"):
        if [child.tag for child in one][-1:] != ["img"]:
            yield "a choice of pictures that does not end with one"


def _aria(everything: list[Any]) -> Iterator[str]:
    for one in everything:
        yield from (f"{name}: unknown" for name in one.keys() if name.startswith("aria-") and name not in ARIA)  # noqa: SIM118
        if one.get("role") is not None and one.get("role") not in ROLES:
            yield f"role {one.get('role')}"
        if one.get("role") == "region" and not (one.get("aria-label") or one.get("aria-labelledby")):
            yield "a region without a name"
        if one.get("aria-hidden") == "true" and [
            inner for inner in one.iter() if inner.get("tabindex") or inner.tag == "a"
        ]:
            yield "something to reach inside of what is hidden"
        if int(one.get("tabindex") or 0) > 0:
            yield "an order of its own for the keyboard"


def _unclosed(page: str) -> Iterator[str]:
    """Tags that a parser would close by itself."""
    body = re.sub(r"<style>.*?</style>|<script\b.*?</script>|<!doctype html>", "", page, flags=re.DOTALL)
    for tag in set(re.findall(r"<([a-z][a-z0-9]*)", body)) - VOID:
        opened, closed = len(re.findall(rf"<{tag}[\s>]", body)), body.count(f"</{tag}>")
        if opened != closed:
            yield f"{opened} <{tag}>, {closed} </{tag}>"


@pytest.fixture(scope="module")
def runs(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, AuditResult]:
    root = tmp_path_factory.mktemp("conformance")
    made = synthetic.without_evidence()
    found = {"bare": made.write(root / "bare"), "unclear": made.write(root / "unclear", **made.unclear())}
    for edition in ("internal", "regulator", "public"):
        found[edition] = AuditResult(bundle_run(found["bare"].path, out=root / edition, edition=edition, report=False))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("kind", ["bare", "unclear", "internal", "regulator", "public"])
def test_every_report_conforms_in_both_layouts(kind: str, lang: str, runs: dict[str, AuditResult]) -> None:
    page = render_html(runs[kind], lang)
    assert sorted(set(faults(page))) == []
    assert sorted(set(faults(Spread.of(page, f"report.{lang}.css").page))) == []


def test_a_report_with_everything_conforms(report: str) -> None:
    assert sorted(set(faults(report))) == []


@pytest.mark.parametrize("lang", LANGS)
def test_a_comparison_conforms(lang: str, runs: dict[str, AuditResult], tmp_path: Path) -> None:
    out = tmp_path / "compare.html"
    compare_runs(runs["bare"].path, runs["unclear"].path, out=out, lang=lang)
    assert sorted(set(faults(out.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("lang", LANGS)
def test_sheets_conform(lang: str) -> None:
    heat, weights = np.ones((8, 8), np.float32), np.ones((5, 3, 3, 3), np.float32)
    picture, facts = np.zeros((8, 8, 3), np.uint8), ModelFacts("net", None, ("a", "b"), "answers", "assumed")
    answers = (Answer("b", 0.75), Answer("a", 0.25))
    covering = Covering("mean", heat, 0, 99, None)
    maps, pairs = (MapShown("saliency", heat, heat, "input"),), (Agreement("saliency", "gradcam", None, None, 64),)
    one = Sheet("a.png", "ab" * 32, picture, False, answers[0], answers, "b", maps, pairs, (covering,))
    assert sorted(set(faults(sheet_html(one, facts, lang)))) == []
    filters = Filters("a", weights, (2, 2), np.full(5, 0.6), np.full(5, 0.3))
    strongest = Strongest(7, 2, 5, (0, 3), (Patch("p.png", 1.5, (0, 0, 8, 8), picture, weights[0]),), 2, 0)
    within = Inside("a.b", 1, filters, (FeatureMaps("p.png", (1,), weights[:1, 0], 5),), strongest)
    assert sorted(set(faults(inside_html(within, facts, lang)))) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("<main", '<div id="findings"></div><main', "id 'findings' twice"),
        ('href="#findings"', 'href="#nowhere"', "a link to #nowhere, which is nowhere"),
        ('aria-labelledby="who-title"', 'aria-labelledby="gone"', "aria-labelledby=gone: no such id"),
        ("<h2", "<h5>x</h5><h2", "h5 'x' follows h1"),
        ('scope="col"', "", "headers of scope"),
        ("<ul>", "<ul><p>x</p>", "<p> in <ul>"),
        (" alt=", " data-alt=", "a picture without words"),
        ("</footer>", "<p>x</footer>", "<p>"),
        ('lang="en"', "", "no language"),
    ],
)
def test_each_fault_is_told(before: str, after: str, told: str, runs: dict[str, AuditResult]) -> None:
    page = render_html(runs["bare"])
    assert before in page
    assert [one for one in faults(page.replace(before, after, 1)) if told in one]
