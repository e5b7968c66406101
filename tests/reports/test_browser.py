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
from playwright.sync_api import Browser, Page, sync_playwright

import figureground
from figureground.api import render_report
from figureground.audit.result import AuditResult

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
    assert seen.page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")


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
