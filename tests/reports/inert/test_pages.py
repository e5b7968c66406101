"""Whatever somebody named something, on every page: the same elements as with harmless names, and the words as text."""

from __future__ import annotations

import base64
import html
import re
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest

from figureground.audit.keeping.result import AuditResult
from figureground.handing import bundle_run
from figureground.reports.html import render_html
from figureground.reports.spread import render_spread
from figureground.visible import visible

LANGS = ("en", "fr")
#: Attributes whose value is an address.
ADDRESSES = ("href", "src", "srcset", "action", "formaction", "poster", "data", "background", "cite", "ping")


def flat(text: str) -> str:
    return " ".join(visible(text).split())


#: What filters and sorts the cases.
OWN_SCRIPT = (resources.files("figureground.reports") / "templates" / "report.js").read_text(encoding="utf-8")


def check(page: str) -> None:
    """HTML without an error, with no handler and no address but our own."""
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    for element in root.iter():
        assert isinstance(element.tag, str), "a comment"
        assert element.tag not in ("iframe", "object", "embed", "base", "svg", "math", "template")
        # The one script and the one form are ours, to the letter; where no case can be sorted there is neither.
        assert element.tag != "script" or element.text == OWN_SCRIPT
        assert element.tag != "form" or (element.get("class"), element.get("action")) == ("tools", None)
        for name, value in element.items():
            assert not name.startswith("on")
            assert name not in ("style", "srcdoc")
            assert name not in ADDRESSES or re.match(r"(data:image/|#|[0-9a-f]{64}\.\w+$|report\.\w\w\.css$)", value)
    assert [one.get("http-equiv") for one in root.iter("meta") if one.get("http-equiv")] == ["Content-Security-Policy"]


def drawn(page: str) -> list[str]:
    return [base64.b64decode(found).decode() for found in re.findall(r"svg\+xml;base64,([^\"]+)", page)]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("offset", range(0, 72, 18))
def test_names_of_the_corpus_add_no_element(
    offset: int, lang: str, corpus: Any, named_run: Any, harmless_skeletons: Any
) -> None:
    names = corpus.named(corpus.beginning(offset))
    page = render_html(named_run(names), lang)
    check(page)
    assert corpus.skeleton(page) == harmless_skeletons[lang]


@pytest.fixture(scope="session")
def harmless_skeletons(corpus: Any, bare_run: Path, renamed_run: Any) -> dict[str, Any]:
    run = renamed_run(bare_run, corpus.named(corpus.harmless))
    return {lang: corpus.skeleton(render_html(run, lang)) for lang in LANGS}


def test_a_page_with_every_chart_and_picture(corpus: Any, hostile_page: str, harmless_page: str) -> None:
    check(hostile_page)
    assert corpus.skeleton(hostile_page) == corpus.skeleton(harmless_page)
    tags = {element.tag for svg in drawn(harmless_page) for element in ElementTree.fromstring(svg).iter()}  # noqa: S314
    assert len(drawn(hostile_page)) == len(drawn(harmless_page)) > 10
    for svg in drawn(hostile_page):
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own
        assert {element.tag for element in root.iter()} <= tags
        for element in root.iter():
            links = [value for name, value in element.items() if name.rpartition("}")[2] == "href"]
            assert all(link.startswith("#") for link in links)
            assert not [name for name in element.attrib if name.startswith("on")]


@pytest.fixture(scope="session")
def hostile_page(corpus: Any, whole_run: Path, renamed_run: Any) -> str:
    """The page of a run with all charts, in which every name is all names of the corpus."""
    return render_html(renamed_run(whole_run, corpus.named(corpus.all_at_once)))


@pytest.fixture(scope="session")
def harmless_page(corpus: Any, whole_run: Path, renamed_run: Any) -> str:
    return render_html(renamed_run(whole_run, corpus.named(corpus.harmless)))


def test_every_name_can_be_read(corpus: Any, named_run: Any) -> None:
    names = corpus.named(corpus.beginning(0))
    page = flat(html.unescape(re.sub(r"<[^>]*>", "", render_html(named_run(names)))))
    for at in range(len(corpus.names)):
        # A subject is a code of ours or a region of the user's; both are written with spaces.
        assert flat(names.given[f"given subject {at}"].replace("_", " ")) in page
    for word in ("given person", "given reason", "given value 0", "given by 0", "given spec"):
        assert flat(names.given[word]) in page, word


def test_the_folder_has_files_with_names_of_ours(corpus: Any, named_run: Any, tmp_path: Path) -> None:
    run = named_run(corpus.named(corpus.all_at_once))
    page = render_spread(run, out=tmp_path / "spread")
    check(page.read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"[0-9a-f]{64}\.\w+|report\.en\.(html|css)", file.name) for file in page.parent.iterdir())


@pytest.mark.parametrize("edition", ["internal", "regulator", "public"])
def test_editions_are_as_inert(edition: Any, corpus: Any, named_run: Any, tmp_path: Path) -> None:
    pages = []
    for at, source in enumerate((corpus.all_at_once, corpus.harmless)):
        run = named_run(corpus.named(source))
        folder = bundle_run(run.path, out=tmp_path / f"bundle{at}", edition=edition, lang="fr")
        pages.append((folder / "report.fr.html").read_text(encoding="utf-8"))
        check(pages[-1])
    assert corpus.skeleton(pages[0]) == corpus.skeleton(pages[1])


def test_the_card_in_a_notebook_and_one_row(corpus: Any, renamed_run: Any, whole_run: Path) -> None:
    from figureground.reports.showing import result_card, show_row

    pieces: list[list[str]] = []
    for source in (corpus.all_at_once, corpus.harmless):
        run: AuditResult = renamed_run(whole_run, corpus.named(source))
        pieces.append([result_card(run), show_row(run, 113)._repr_html_()])
    for evil, plain in zip(*pieces, strict=True):
        assert corpus.skeleton(evil) == corpus.skeleton(plain)
        html5lib.HTMLParser(strict=True).parseFragment(evil)
