"""One result, many formats: the same findings with the same states, inert, and the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from figureground.audit.declared.config import Policy
from figureground.audit.exits import exit_code, with_exit_code
from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError
from figureground.reports import catalogue
from figureground.reports.catalogue import load
from figureground.reports.html import render_html
from figureground.reports.sections.context import Context
from figureground.reports.spread import POLICY, Spread, render_spread
from figureground.reports.twins import print as printing
from figureground.reports.twins.card import inert, model_card
from figureground.reports.twins.document import word_document
from figureground.reports.twins.junit import junit_xml
from figureground.reports.twins.print import pdf, timeless
from figureground.reports.twins.sheets import cell, sheets
from figureground.reports.twins.writing import render_formats

#: What somebody may have named a class, a subgroup, a model or a field, so that a reader's program does something.
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://x","y")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "＝1+1",
    "]]><x/>",
    "&lt;b&gt;&amp;",
    "[a](javascript:alert(1))",
    "![a](http://x/y.png)",
    "a | b | c",
    "a\n\n# b\n- c",
    "```\nb",
    "<http://x.example>",
    "www.x.example",
    "{{ 7*7 }} {x} %s",
    "null\x00 bell\x07 lone\ud800",
    "DDEAUTO c:\\windows\\system32\\calc.exe",
    "\u202egnp.exe",
)
FORMATS = ("html", "json", "junit", "csv", "card", "docx")


THIRD = len(HOSTILE) // 3


def hostile(make_run: Any, synthetic: Any, at: int) -> AuditResult:
    """A run in which what a user can name is named like three of these, each in several places."""
    # JSON in UTF-8 cannot hold half a pair, so no run does.
    one, two, three = (HOSTILE[at + step * THIRD].replace("\ud800", "") for step in range(3))
    made = synthetic(classes=(one, two), levels=(three, f"{one} b"))
    made.bare = True
    fields = made.document().model_dump(mode="json")
    fields["subject"]["architecture"] = two
    for item, name in zip(fields["human_inputs"], (one, two, three, one, two), strict=False):
        item["value"] = name
    fields["not_tested"] = [{"subject": name, "reason": name, "finding": None} for name in (one, two, three)]
    decision = {"decision": "disputed", "reason": three, "by": one, "expires": "2099-01-01", "active": True}
    fields["findings"][0]["decision"] = decision
    args = {"attribute": two, "level": one, "label": three, "accuracy": 0.5, "overall": 0.7}
    worst = {"id": "worst", "cue": None, "status": None, "message": {"key": "worst_group", "args": args}}
    fields["findings"].append(worst)
    changed = {key: fields[key] for key in ("subject", "human_inputs", "not_tested", "findings")}
    return make_run(made, **changed)


def context_of(run: AuditResult) -> Context:
    return Context(run, catalogue.load("en"))


def from_html(page: str) -> set[tuple[str, str]]:
    found = re.findall(r'class="chip chip-(\w+)">.*?<span class="id">([^<]*)</span>', page, re.DOTALL)
    return {(name, state) for state, name in found}


def from_junit(run: AuditResult) -> set[tuple[str, str]]:
    cases = ET.fromstring(junit_xml(context_of(run))).iter("testcase")  # noqa: S314 - our own
    return {(case.get("name", ""), case.find("properties/property[@name='status']").get("value")) for case in cases}  # type: ignore[union-attr, misc]


def from_csv(run: AuditResult) -> set[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(sheets(context_of(run))["findings.csv"].decode(), newline=""))
    return {(row["id"], row["status"]) for row in rows}


def from_card(run: AuditResult) -> set[tuple[str, str]]:
    body = MarkdownIt("commonmark").enable("table").render(model_card(context_of(run)).split("---\n", 2)[2])
    rows = re.findall(r"<tr>\s*<td>(.*?)</td>\s*<td>(.*?)</td>", body)
    return {(name, state) for name, state in rows}


def from_docx(run: AuditResult) -> set[tuple[str, str]]:
    made = docx.Document(io.BytesIO(word_document(context_of(run))))
    table = next(table for table in made.tables if table.rows[0].cells[0].text == "Finding")
    return {(row.cells[0].text, row.cells[1].text) for row in table.rows[1:]}


def test_every_format_shows_the_same_findings_with_the_same_states(finished: AuditResult, report: str) -> None:
    truth = {(item.id, item.status or "note") for item in finished.document.findings}
    assert len(truth) > 1
    assert from_html(report) == truth
    for read in (from_junit, from_csv, from_card, from_docx):
        assert read(finished) == truth, read.__name__


@pytest.mark.parametrize("state", ["demonstrated", "suspected", "not_detected", "inconclusive", "not_tested", "error"])
def test_each_state_is_what_build_servers_know(state: str, make_run: Any, synthetic: Any) -> None:
    made = synthetic.without_evidence()
    finding = {**made.document().findings[0].model_dump(mode="json"), "status": state}
    verdict = {"status": state, "counts": {state: 1}, "cues": [made.cue(status=state)]}
    root = ET.fromstring(junit_xml(context_of(make_run(made, findings=[finding], verdict=verdict))))  # noqa: S314 - our own
    case = next(root.iter("testcase"))
    kinds = {"demonstrated": "failure", "error": "error", "inconclusive": "skipped", "not_tested": "skipped"}
    assert {child.tag for child in case} == {"properties", kinds.get(state, "system-out")}
    suite = root[0]
    assert suite.get("failures") == str(int(state == "demonstrated"))
    assert suite.get("skipped") == str(int(state in ("inconclusive", "not_tested")))


def test_the_exit_code_is_the_recorded_one(make_run: Any, synthetic: Any) -> None:
    made, policy = synthetic.without_evidence(), Policy()
    document = with_exit_code(made.document(), policy)
    assert document.audit.exit_code == exit_code(made.document(), policy) == 1
    run = make_run(made, audit=document.audit.model_dump(mode="json"))
    properties = ET.fromstring(junit_xml(context_of(run))).iter("property")  # noqa: S314 - our own
    assert {"exit_code": "1"}.items() <= {item.get("name"): item.get("value") for item in properties}.items()


@pytest.mark.parametrize("at", range(THIRD))
def test_what_users_name_is_inert_everywhere(at: int, make_run: Any, synthetic: Any) -> None:
    run = hostile(make_run, synthetic, at)
    context = context_of(run)
    xml = ET.fromstring(junit_xml(context))  # noqa: S314 - our own
    known = {"testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped", "system-out"}
    assert {element.tag for element in xml.iter()} <= known
    for content in sheets(context).values():
        _check_cells(content)
    _check_card(model_card(context))
    _check_document(word_document(context))
    page = render_html(run)
    assert "<script" not in page
    assert not re.search(r"<img [^>]*onerror", page)


def _check_cells(content: bytes) -> None:
    for row in csv.reader(io.StringIO(content.decode(), newline="")):
        for value in row:
            if value.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")):
                float(value)  # a number, or nothing that begins like this


def _check_card(card: str) -> None:
    ModelCard(card)
    front, body = card.split("\n---\n", 1)
    assert len(front.splitlines()) == 3  # nothing that a user wrote begins a line of YAML
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(body)
    assert not re.search(r"<(script|img|a|code|pre|b|x)[ />]", rendered)
    assert not re.search(r"https?://|www\.\w|(?<!\\)@", body)  # what makes links of themselves on Hugging Face
    assert len(re.findall("<h1>", rendered)) == 1


def _check_document(content: bytes) -> None:
    made = docx.Document(io.BytesIO(content))
    body = made.element.body.xml
    assert not re.search(r"<w:(hyperlink|fldSimple|instrText|object|altChunk)\b", body)
    assert not [rel for rel in made.part.rels.values() if rel.is_external]


def test_cells_of_numbers_stay_numbers() -> None:
    assert [cell(value) for value in (-0.5, 3, float("nan"), None, True)] == [-0.5, 3, "", "", "true"]
    rows = list(csv.reader(io.StringIO(sheets_of(-0.25).decode(), newline=""), quoting=csv.QUOTE_NONNUMERIC))
    assert rows[1] == [-0.25]


def sheets_of(value: float) -> bytes:
    from figureground.reports.twins.sheets import table

    return table(["value"], [[value]])


def test_the_card_has_what_hugging_face_reads(finished: AuditResult) -> None:
    data = ModelCard(model_card(context_of(finished))).data
    results = data.eval_results
    overall = finished.document.performance.overall.estimate
    assert results is not None
    assert {(one.task_type, one.metric_type) for one in results} == {
        ("image-classification", "accuracy"),
        ("image-classification", "donor_contrast"),
    }
    assert results[0].metric_value == overall
    effects = {one.dataset_args["cue"]: one.metric_value for one in results if one.metric_type == "donor_contrast"}
    assert effects == {cue.cue: cue.estimate for cue in finished.verdict.cues if cue.estimate is not None}


def test_the_document_has_fields_that_people_fill_in(finished: AuditResult) -> None:
    made = docx.Document(io.BytesIO(word_document(context_of(finished))))
    controls = made.element.body.xpath(".//w:sdt")
    assert len(controls) == len(finished.document.human_inputs) + 5
    with zipfile.ZipFile(io.BytesIO(word_document(context_of(finished)))) as file:
        assert {member.date_time for member in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_a_person_said_stands_with_who_and_when(make_run: Any, synthetic: Any) -> None:
    said = {"field": "intended purpose", "value": "Sorts garments.", "by": "A. Martin", "at": "2026-11-28"}
    run = make_run(synthetic.without_evidence(), human_inputs=[said])
    words = "Sorts garments. (A. Martin, 28 November 2026)"
    made = docx.Document(io.BytesIO(word_document(context_of(run))))
    assert words in [node.text for node in made.element.body.xpath(".//w:sdt//w:t")]
    assert inert(words) in model_card(context_of(run))


def test_a_missing_extra_is_named_with_its_install_line(finished: AuditResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "docx", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'figureground[docx]'")):
        word_document(context_of(finished))


def test_every_format_is_the_same_to_the_byte_each_time(make_run: Any, synthetic: Any, tmp_path: Path) -> None:
    run = make_run(synthetic.without_evidence())
    one, other = (render_formats(run, FORMATS, out=tmp_path / name) for name in ("one", "other"))
    assert [file.name for file in one] == [file.name for file in other]
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_by_default_formats_lie_in_the_run_outside_its_seal(make_run: Any, synthetic: Any) -> None:
    run = make_run(synthetic.without_evidence())
    seal = run.seal
    files = render_formats(run, ["junit", "csv"])
    assert {file.parent for file in files} == {run.path / "renders"}
    assert AuditResult(run.path).seal == seal


def test_a_format_that_is_none_is_refused_before_anything_is_written(finished: AuditResult, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="some of html, json, junit"):
        render_formats(finished, ["junit", "sarif"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_holds_the_same_words_with_nothing_inside_the_page(report: str) -> None:
    spread = Spread.of(report, "report.en.css")
    assert f'content="{POLICY}"' in spread.page
    assert "data:" not in spread.page
    assert "<style" not in spread.page
    assert "style=" not in spread.page
    assert _words(spread.page) == _words(report)
    assert set(re.findall(r'(?:src|srcset|href)="([^"#]+)"', spread.page)) == set(spread.files)
    for file in set(spread.files) - {"report.en.css"}:
        assert hashlib.sha256(spread.files[file]).hexdigest() == Path(file).stem


def test_the_folder_is_written_beside_the_run_or_inside_it(make_run: Any, synthetic: Any, tmp_path: Path) -> None:
    run = make_run(synthetic.without_evidence())
    outside, inside = render_spread(run, out=tmp_path / "folder"), render_spread(run)
    assert inside.parent == run.path / "renders"
    names = {file.name for file in outside.parent.iterdir()}
    assert {"report.en.html", "report.en.css"} < names
    assert all((inside.parent / name).read_bytes() == (outside.parent / name).read_bytes() for name in names)


def _words(page: str) -> str:
    page = re.sub(r"<style>.*?</style>|<meta[^>]*>|<link[^>]*>", "", page, flags=re.DOTALL)
    return re.sub(r'(src|srcset)="[^"]*"', "", page)


def test_a_name_that_reads_like_a_picture_is_left_alone() -> None:
    page = "<style>a{}</style>\n<p>src=&#34;data:image/png;base64,AAAA&#34;</p>"
    assert Spread.of(page, "s.css").files == {"s.css": b"a{}"}


def test_a_printed_file_forgets_when_it_was_printed() -> None:
    content = (
        b"<</CreationDate (D:20260101120000+00'00')\n/ModDate (D:20260101120000+00'00')>> (node00000017) (node00000017)"
    )
    made = timeless(content, "2025-02-03T04:05:06Z")
    assert len(made) == len(content)
    assert made.count(b"D:20250203040506") == 2
    assert made.count(b"(node00000001)") == 2


def test_without_a_browser_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing.shutil, "which", lambda _name: None)
    with pytest.raises(UsageError, match="install Chromium"):
        printing.browser()


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, printing.BROWSERS)), reason="no Chromium")
def test_a_page_is_printed_to_the_same_bytes(make_run: Any, synthetic: Any) -> None:
    page = render_html(make_run(synthetic.without_evidence()))
    one, other = (pdf(page, "2025-02-03T04:05:06Z") for _ in range(2))
    assert one.startswith(b"%PDF")
    assert one == other


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_words_and_nothing_else(text: str) -> None:
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(f"- {inert(text)}")
    tags = set(re.findall(r"</?(\w+)", rendered))
    assert tags <= {"ul", "li", "p"}


def test_the_json_twin_is_the_document_itself(finished: AuditResult, tmp_path: Path) -> None:
    file = render_formats(finished, ["json"], out=tmp_path)[0]
    assert json.loads(file.read_text()) == json.loads((finished.path / "audit.json").read_text())


def test_the_document_has_every_provision_with_its_state(finished: AuditResult) -> None:
    made = docx.Document(io.BytesIO(word_document(context_of(finished))))
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for table in made.tables for row in table.rows}
    words = load("en")
    for clause in finished.document.clause_map:
        name = words.say(f"clause.name.{clause.id}")
        name = name if clause.verified == "read" else f"{words.say('clause.instrument.gdpr')}, {name}"
        assert rows[name][2] == words.say(f"clause.{clause.state}")
        assert rows[name][4] == words.say(f"clause.people.{clause.id}")
    assert finished.document.clause_map
