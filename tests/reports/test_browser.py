"""The page in a real browser, from disk: what it loads, how it reads without a mouse, on a phone, and on paper."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import html5lib
import pypdfium2
import pytest
from browsing import ALL_SEEN
from playwright.sync_api import Browser, Page, sync_playwright

import figureground
from figureground.api import render_report
from figureground.audit.keeping.result import AuditResult

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's chromium, or name one in CHROMIUM"),
]
#: The success criteria that are asked for.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: Of the paper, in points; the page itself asks for 16 mm.
MARGIN = 40
WATCH = """
window.refused = [];
const told = one => window.refused.push(one.violatedDirective + ' ' + one.blockedURI);
document.addEventListener('securitypolicyviolation', told);
"""
#: Elements that reach beyond the window's right edge and cannot be scrolled by themselves.
OVERFLOWING = """
wide => [...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= wide + 1) return false;
  for (let up = one.parentElement; up; up = up.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX) && up !== document.body) return false;
  return true;
}).map(one => one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40))
"""
#: Tables of which something is beyond the edge of what shows them.
CUT = """
() => [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
  .map(one => one.getAttribute('aria-label'))
"""


@dataclass
class Seen:
    """An open page, and everything that it complained about or asked for."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


PAGES = ("english", "french", "folder", "comparison", "sheet")


@pytest.fixture(scope="module")
def pages(
    shortcut_run: AuditResult, shortcut_model: Any, audit_manifest: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Every kind of page that is written."""
    folder, run = tmp_path_factory.mktemp("pages"), shortcut_run.path
    compared, sheets = folder / "comparison.html", folder / "sheets"
    figureground.compare_runs(run, run, out=compared)
    picture = next(iter(sorted((audit_manifest.parent / "images").glob("*.png"))))
    figureground.explain(shortcut_model, [picture], out=sheets)
    return {
        "english": render_report(shortcut_run, out=folder / "report.en.html"),
        "french": render_report(shortcut_run, out=folder / "report.fr.html", lang="fr"),
        "folder": render_report(shortcut_run, out=folder / "spread", lang="fr", layout="folder"),
        "comparison": compared,
        "sheet": sheets / "sheet-1.en.html",
    }


@pytest.fixture(params=PAGES)
def page_file(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


def opened(browser: Browser, path: Path, width: int = 1280) -> Seen:
    page = browser.new_page(viewport={"width": width, "height": 900})
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    return seen


def test_it_asks_for_nothing_and_breaks_no_rule_of_its_own(browser: Browser, page_file: Path) -> None:
    seen = opened(browser, page_file)
    assert [url for url in seen.requests if not url.startswith(("data:", page_file.parent.as_uri()))] == []
    assert seen.errors == []
    assert seen.page.evaluate("window.refused") == []
    assert seen.page.evaluate(ALL_SEEN)


def test_it_is_html_without_an_error(page_file: Path) -> None:
    parser = html5lib.HTMLParser(strict=True)  # raises at the first parse error of the HTML standard
    found = parser.parse(page_file.read_text(encoding="utf-8"))
    assert found is not None
    assert parser.errors == []


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(browser: Browser, page_file: Path, width: int) -> None:
    page = opened(browser, page_file, width).page
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", WCAG)
    assert found["passes"]
    told = [(one["id"], one["help"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found["violations"]]
    assert told == [], json.dumps(told, indent=1)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_the_window(browser: Browser, page_file: Path, width: int) -> None:
    page = opened(browser, page_file, width).page
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING, width) == []


def test_no_table_is_cut_on_a_wide_screen(browser: Browser, page_file: Path) -> None:
    page = opened(browser, page_file, 1280).page
    assert page.evaluate(CUT) == []


def test_it_is_read_without_a_mouse(browser: Browser, page_file: Path) -> None:
    page = opened(browser, page_file).page
    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.getAttribute('href')")
    assert first.startswith("#"), "the first stop skips to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == first
    reached, total = _by_tab(page)
    assert reached == total
    closed = page.locator("details:not([open]) > summary").first
    if closed.count():
        closed.focus()
        page.keyboard.press("Enter")
        assert closed.evaluate("one => one.parentElement.open")


def _by_tab(page: Page) -> tuple[int, int]:
    """Stops of the keyboard, each with a mark that it is there, and how many elements there are to stop at."""
    page.evaluate("document.activeElement.blur(); window.stops = new Set(); window.scrollTo(0, 0)")
    total = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]"
        ".filter(one => one.checkVisibility()).length"
    )
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    for _ in range(total + 5):
        page.keyboard.press("Tab")
        marked = page.evaluate(
            "(() => { const one = document.activeElement; if (one === document.body) return true;"
            "window.stops.add(one); const style = getComputedStyle(one);"
            "return style.outlineStyle !== 'none' || style.boxShadow !== 'none'; })()"
        )
        assert marked, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    return page.evaluate("[...window.stops].filter(one => !one.matches('.scrolls')).length"), total


def joined(text: str) -> str:
    """Without what a line break adds or takes: spaces, and hyphens, which a PDF keeps as another character there."""
    return re.sub(r"[\s\-\u2010\u00ad\ufffe\x02]", "", text)


@pytest.mark.parametrize("kind", ["english", "french"])
def test_paper_bears_the_audits_id_and_everything_that_the_screen_shows(
    kind: str, browser: Browser, pages: dict[str, Path], shortcut_run: AuditResult
) -> None:
    page = opened(browser, pages[kind]).page
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('main h2, main h3, main p, main td, main th')]"
        ".filter(one => !one.checkVisibility()).map(one => one.textContent.slice(0, 60))"
    )
    assert hidden == []
    cells: list[str] = page.evaluate(
        "[...document.querySelectorAll('main h2, main h3, main td, main th')].map(one => one.innerText)"
    )
    printed = pypdfium2.PdfDocument(page.pdf(format="A4", print_background=True))
    sheets = [sheet.get_textpage() for sheet in printed]
    words = [joined(sheet.get_text_range()) for sheet in sheets]
    assert shortcut_run.document.audit.id[:16] in words[0]
    whole = "".join(words)
    assert [one for one in cells if joined(one) not in whole] == []
    far = [sheet.get_rect(at)[2] for sheet in sheets for at in range(sheet.count_rects())]
    assert max(far) <= printed[0].get_size()[0] - MARGIN


def cases_of(page: Page) -> list[dict[str, Any]]:
    """Every worst case as it stands on the page: what it is, whether it is seen, and where."""
    found: list[dict[str, Any]] = page.evaluate(
        "[...document.querySelectorAll('#cases .case')].map(one => ({...one.dataset, words: one.textContent,"
        "gallery: [...document.querySelectorAll('#cases .gallery')].indexOf(one.closest('.gallery')),"
        "seen: one.checkVisibility(), y: one.getBoundingClientRect().y, x: one.getBoundingClientRect().x}))"
    )
    return found


@pytest.mark.parametrize("kind", ["english", "french"])
def test_cases_are_filtered_by_every_value_and_counted(kind: str, browser: Browser, pages: dict[str, Path]) -> None:
    seen = opened(browser, pages[kind])
    page, before = seen.page, cases_of(seen.page)
    assert all(one["seen"] for one in before)
    filters = page.locator(".tools select[data-filter]")
    assert filters.count() >= 4  # label, prediction, right or wrong, and a subgroup at least
    for at in range(filters.count()):
        filters.nth(at).select_option(index=1)
        kept = [one for one in cases_of(page) if one["seen"]]
        expected = [one for one in before if one["choices"].split()[at] == "1"]
        assert [one["words"] for one in kept] == [one["words"] for one in expected]
        told = [int(number) for number in re.findall(r"\d+", page.locator(".tools .count").inner_text())]
        assert told == [len(expected), len(before)]
        filters.nth(at).select_option(index=0)
    assert cases_of(page) == before
    assert (seen.errors, page.evaluate("window.refused")) == ([], [])


def test_choices_are_what_the_captions_say(browser: Browser, pages: dict[str, Path], shortcut_run: AuditResult) -> None:
    page = opened(browser, pages["english"]).page
    names = page.evaluate(
        "[...document.querySelectorAll('.tools select[data-filter]')].map("
        "one => [one.parentElement.innerText.split('\\n')[0], [...one.options].map(each => each.text)])"
    )
    examples = shortcut_run.examples.set_index("row_id")
    originals = shortcut_run.gallery.query("panel == 'original' and rule in ('worst', 'random')")
    rows = {(row.rule, row.rank): row for row in originals.itertuples()}
    for case in cases_of(page):
        row = rows[("worst", "random")[case["gallery"]], int(case["rank"])]
        said = [names[at][1][int(choice)] for at, choice in enumerate(case["choices"].split())]
        own = [str(examples.loc[row.row_id, name]) for name, _ in names[3:]]
        assert said == [row.label, row.predicted, "right" if row.label == row.predicted else "wrong", *own]
        assert float(case["probability"]) == pytest.approx(row.probability, abs=1e-5)


@pytest.mark.parametrize("order", ["probability", "share"])
def test_cases_are_sorted_within_their_gallery_and_stand_as_declared_on_paper(
    order: str, browser: Browser, pages: dict[str, Path]
) -> None:
    page = opened(browser, pages["english"]).page
    declared = [one["words"] for one in cases_of(page)]
    page.locator(".tools select[data-order]").select_option(order)
    moved = cases_of(page)
    assert [one["words"] for one in moved] != declared
    for at in {one["gallery"] for one in moved}:
        values = [float(one[order]) for one in moved if one["gallery"] == at]
        assert values == sorted(values, reverse=True)
    page.locator(".tools select[data-filter]").first.select_option(index=1)
    page.emulate_media(media="print")
    printed = sorted(cases_of(page), key=lambda one: (one["y"], one["x"]))
    assert all(one["seen"] for one in printed)
    assert [one["words"] for one in printed] == declared
    assert not page.locator(".tools").is_visible()


def test_maps_fade_over_their_own_picture_and_are_whole_on_paper(browser: Browser, pages: dict[str, Path]) -> None:
    page = opened(browser, pages["english"]).page
    assert page.locator(".stack").count() == 0
    page.locator(".tools input[type=range]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".tools [data-shade]").inner_text() == "80\u202f%"
    maps = page.locator("#cases .panel[data-map]").count()
    assert page.locator(".stack").count() == maps > 0
    frames = page.evaluate(
        "[...document.querySelectorAll('.stack')].map(one => ({"
        "same: one.children[0].src === one.closest('.panels').querySelector('.panel img').src,"
        "silent: one.children[0].alt === '' && one.children[1].alt !== '',"
        "opacity: getComputedStyle(one.children[1]).opacity,"
        "boxes: [...one.children].map(each => Object.values(each.getBoundingClientRect().toJSON()).map(Math.round))}))"
    )
    assert all(one["same"] and one["silent"] and one["opacity"] == "0.8" for one in frames)
    assert all(one["boxes"][0] == one["boxes"][1] for one in frames)
    page.emulate_media(media="print")
    assert page.evaluate(
        "[...document.querySelectorAll('.stack')].every(one => getComputedStyle(one.children[1]).opacity === '1')"
    )
    page.emulate_media(media="screen")
    page.locator(".tools button").press("Enter")
    assert page.locator(".tools [data-shade]").inner_text() == "100\u202f%"


@pytest.mark.parametrize("kind", ["english", "folder"])
def test_without_script_the_same_is_said(kind: str, browser: Browser, pages: dict[str, Path]) -> None:
    words = (
        "[...document.querySelectorAll('header *, main *')]"
        ".filter(one => !one.closest('.tools') && !one.children.length).map(one => one.textContent)"
    )
    bare = browser.new_context(java_script_enabled=False).new_page()
    bare.goto(pages[kind].as_uri())
    assert not bare.locator(".tools").is_visible()
    assert bare.locator("#cases .case").count() == bare.locator("#cases .case:visible").count() > 0
    with_script = opened(browser, pages[kind]).page
    assert bare.evaluate(words) == with_script.evaluate(words)
    if kind == "folder":
        assert with_script.locator("script, .tools").count() == 0


def test_controls_are_named_and_of_the_pages_language(browser: Browser, pages: dict[str, Path]) -> None:
    told = []
    for kind in ("english", "french"):
        page = opened(browser, pages[kind], 390).page
        controls = page.locator(".tools select, .tools input, .tools button")
        named = [one.evaluate("one => (one.labels?.[0] ?? one).innerText.trim()") for one in controls.all()]
        assert all(named)
        told.append(named)
    assert told[0][:3] != told[1][:3]
    assert told[0][-1] != told[1][-1]
