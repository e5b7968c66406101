"""Whatever somebody named something, in every format: it is the text that it is, and does nothing."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
import zipfile
from importlib import resources
from typing import Any

import docx
import jsonschema
import pytest
import yaml
from markdown_it import MarkdownIt

from figureground.audit.keeping.result import AuditResult
from figureground.reports.catalogue import load
from figureground.reports.closing import closing_lines
from figureground.reports.numbers import written_in
from figureground.reports.sections.context import Context
from figureground.reports.twins.card import inert
from figureground.reports.twins.sheets import cell
from figureground.reports.twins.told import told
from figureground.reports.twins.writing import FORMATS
from figureground.reports.view import records
from figureground.visible import one_line, visible

#: What a spreadsheet that splits lines at semicolons, tabs or line breaks takes for a formula.
ACTIVE = re.compile(r"(?:^|[;\t\r\n])[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[-=+@＝＋－＠]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FORMS = ("junit", "csv", "card", "docx", "json")


def made(run: AuditResult, form: str, lang: str = "en") -> dict[str, bytes]:
    return dict(FORMATS[form](Context(run, load(lang))))


def flat(text: str) -> str:
    return " ".join(visible(text).split())


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_junit_is_xml_that_holds_the_words(hostile: AuditResult, lang: str) -> None:
    words = load(lang)
    with written_in(words.style):
        expected = [(flat(item.id), flat(item.sentence)) for item in told(Context(hostile, words))]
    root = ET.fromstring(made(hostile, "junit", lang)["junit.xml"])  # noqa: S314 - our own
    known = {
        "testsuites",
        "testsuite",
        "properties",
        "property",
        "testcase",
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert {element.tag for element in root.iter()} <= known
    cases = list(root.iter("testcase"))
    assert [flat(case.get("name", "")) for case in cases] == [name for name, _ in expected]
    texts = [flat("".join(case.itertext())) for case in cases]
    assert all(text.startswith(sentence) for text, (_, sentence) in zip(texts, expected, strict=True))


def test_no_cell_is_a_formula_and_every_name_comes_back(hostile: AuditResult) -> None:
    files = made(hostile, "csv")
    for content in files.values():
        for row in csv.reader(io.StringIO(content.decode(), newline="")):
            assert not [value for value in row if ACTIVE.search(value) and not _is_number(value)]
    rows = list(csv.DictReader(io.StringIO(files["subgroups.csv"].decode(), newline="")))
    for row, true in zip(rows, records(hostile.subgroups), strict=True):
        for name in ("attribute", "level", "label"):
            assert row[name] == cell(true[name])
            assert row[name].replace("'", "") == true[name].replace("'", "").replace("\0", "\ufffd")


def _is_number(value: str) -> bool:
    return re.fullmatch(r"-?[\d.]+(e-?\d+)?", value) is not None


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_card_says_the_same_names_and_its_body_is_words(hostile: AuditResult, lang: str) -> None:
    card = made(hostile, "card", lang)["model-card.md"].decode()
    opened, front, body = card.split("---\n", 2)
    assert opened == ""
    index = yaml.safe_load(front)["model-index"][0]
    assert index["name"] == hostile.document.subject.architecture
    args = [one["dataset"]["args"] for one in index["results"] if "attribute" in one["dataset"]["args"]]
    groups = hostile.document.performance.by_group
    assert [one["attribute"] for one in args] == [group.attribute for group in groups]
    assert [one["level"] for one in args] == [group.level for group in groups]
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(body)
    tags = set(re.findall(r"<(\w+)", rendered))
    assert tags <= {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert rendered.count("<h1>") == 1
    assert rendered.count("<ul>") <= 3


def test_markdown_of_every_name_is_one_line_of_words(corpus: Any) -> None:
    commonmark = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    more = ("- a", "+ a", "1. a", "12) a", "---", "***", "===", "-", "> a", "    a", "\t a")
    for name in (*corpus.names.values(), *more):
        for before, tags in (("", {"p"}), ("- ", {"ul", "li"})):
            rendered = commonmark.render(f"{before}{inert(name)}\n")
            assert set(re.findall(r"<(\w+)", rendered)) <= tags, name
            assert rendered.count("<li>") == len(before) // 2


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_document_holds_words_and_no_field(hostile: AuditResult, lang: str) -> None:
    content = made(hostile, "docx", lang)[f"report.{lang}.docx"]
    document = docx.Document(io.BytesIO(content))
    words = load(lang)
    with written_in(words.style):
        expected = [flat(item.id) for item in told(Context(hostile, words))]
    table = next(table for table in document.tables if len(table.rows[0].cells) == 3)
    assert [flat(row.cells[0].text) for row in table.rows[1:]] == expected
    given = {flat(item.value) for item in hostile.document.human_inputs if item.value and item.value.strip()}
    texts = [flat(text.text or "") for text in document.element.body.xpath(".//w:sdtContent//w:t")]
    # Behind what was said stands who said it, and when.
    assert [value for value in given if not any(text.startswith(value) for text in texts)] == []
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        for name in file.namelist():
            assert not re.search(r"vba|embed|activeX|oleObject", name, re.IGNORECASE)
            _check_part(name, file.read(name))


def _check_part(name: str, content: bytes) -> None:
    if not name.endswith((".xml", ".rels")):
        return
    root = ET.fromstring(content)  # noqa: S314 - our own
    assert not [element for element in root.iter() if element.get("TargetMode") == "External"]
    if name == "word/document.xml":
        found = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not found & {"hyperlink", "fldSimple", "fldChar", "instrText", "object", "altChunk", "subDoc", "script"}


def test_json_is_the_document_and_fits_its_schema(hostile: AuditResult) -> None:
    stored = json.loads(made(hostile, "json")["audit.json"])
    schema = json.loads((resources.files("figureground.audit") / "schema" / "audit.schema.json").read_text())
    jsonschema.validate(stored, schema)
    assert stored["subject"]["architecture"] == hostile.document.subject.architecture
    assert stored["subject"]["classes"] == hostile.document.subject.classes


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_last_lines_move_no_cursor_and_command_no_build_server(hostile: AuditResult, lang: str) -> None:
    lines = closing_lines(hostile, lang)
    assert len(lines) > 3
    for line in lines:
        assert not CONTROL.search(line)
        assert not re.search(r"^\s*::|##[a-z]*\[", line)


def test_every_name_in_one_line(corpus: Any) -> None:
    for name in corpus.names.values():
        assert not CONTROL.search(one_line(name))
        assert one_line(one_line(name)) == one_line(name)
        assert not re.search(r"^\s*::|##[a-z]*\[", one_line(name))


def test_letters_of_every_script_stay() -> None:
    kept = "Łódź 熊猫 מרחבא می‌خواهم 👨‍👩‍👧 e\u0301 \u200f"
    assert visible(kept) == kept == one_line(kept)
