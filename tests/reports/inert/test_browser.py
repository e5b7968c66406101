"""Names of the corpus in a real browser: nothing runs, nothing is asked for, nothing is said, nothing is added."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from browsing import ALL_SEEN
from playwright.sync_api import Browser, sync_playwright

import figureground
from figureground.audit.keeping.result import AuditResult
from figureground.reports.html import render_report
from figureground.reports.spread import render_spread
from figureground.reports.twins.print import pdf

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's chromium, or name one in CHROMIUM"),
]
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', one => window.refused.push(one.violatedDirective));
"""
ELEMENTS = """
() => [...document.querySelectorAll('*')].map(one => {
  let way = '';
  for (let up = one; up; up = up.parentElement) way = up.localName + '>' + way;
  return way + [...one.attributes].map(a => a.name).filter(a => a !== 'title').sort().join(' ');
}).sort()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def pages_of(run: AuditResult, folder: Path) -> dict[str, Path]:
    """Every kind of page that is made of a stored run."""
    compared = folder / "comparison.html"
    figureground.compare_runs(run.path, run.path, out=compared)
    return {
        "english": render_report(run, out=folder / "report.en.html"),
        "french": render_report(run, out=folder / "report.fr.html", lang="fr"),
        "folder": render_spread(run, out=folder / "spread"),
        "comparison": compared,
    }


@pytest.fixture(scope="module")
def harmless(corpus: Any, whole_run: Path, renamed_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = renamed_run(whole_run, corpus.named(corpus.harmless))
    return pages_of(run, tmp_path_factory.mktemp("harmless"))


@pytest.fixture(scope="module", params=["all at once", 0, 18, 36, 54])
def evil(request: Any, corpus: Any, whole_run: Path, renamed_run: Any, tmp_path_factory: Any) -> dict[str, Path]:
    source = corpus.all_at_once if request.param == "all at once" else corpus.beginning(request.param)
    return pages_of(renamed_run(whole_run, corpus.named(source)), tmp_path_factory.mktemp("evil"))


def elements(browser: Browser, path: Path) -> list[str]:
    """The elements of a page, after it was found to have run, asked for and said nothing."""
    page = browser.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda line: said.append(f"console {line.text}"))
    page.on("pageerror", lambda error: said.append(f"error {error}"))
    page.on("popup", lambda _: said.append("popup"))
    page.on("download", lambda _: said.append("download"))
    page.on("request", lambda request: said.append(request.url) if not own(request.url, path) else None)
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    page.mouse.move(200, 200)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate(ALL_SEEN)
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    assert said == []
    assert page.evaluate("window.refused") == []
    found: list[str] = page.evaluate(ELEMENTS)
    page.close()
    return found


def own(url: str, path: Path) -> bool:
    return url.startswith(("data:", path.parent.as_uri()))


@pytest.mark.parametrize("kind", ["english", "french", "folder", "comparison"])
def test_nothing_is_added_and_nothing_happens(
    kind: str, browser: Browser, evil: dict[str, Path], harmless: dict[str, Path]
) -> None:
    assert elements(browser, evil[kind]) == elements(browser, harmless[kind])


def test_on_paper_names_are_words(corpus: Any, named_run: Any) -> None:
    from figureground.reports.html import render_html

    names = corpus.named(corpus.beginning(0))
    content = pdf(render_html(named_run(names)), "2026-11-28T00:00:00+00:00")
    assert not re.search(rb"/(JavaScript|JS|Launch|SubmitForm|OpenAction|EmbeddedFile|RichMedia)\b", content)
    addresses = re.findall(rb"/URI \(([^)]*)\)", content)
    assert addresses == []
    document = pypdfium2.PdfDocument(content)
    text = "".join(page.get_textpage().get_text_range() for page in document)
    subjects = [name.replace("_", " ") for word, name in names.given.items() if word.startswith("given subject")]
    plain = [name for name in subjects if name.isascii() and name.isprintable()]
    assert len(plain) > 30
    # What begins a line begins with a capital.
    assert [name for name in plain if squeezed(name).lower() not in squeezed(text).lower()] == []


def squeezed(text: str) -> str:
    return re.sub(r"[\s\-\u2010\u00ad\ufffe\x02]", "", text)
