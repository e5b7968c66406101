"""Runs of every kind in every form: the same states everywhere, in words that fit the kind, and handed over whole.

One part is fast; the whole of it, every kind by every form, is slow.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
from itertools import combinations_with_replacement
from pathlib import Path
from xml.etree import ElementTree as ET

import docx
import pandas as pd
import pytest
from typer.testing import CliRunner

from figureground.audit.keeping.result import AuditResult
from figureground.cli import app
from figureground.comparing import compare_runs
from figureground.handing import bundle_run, purge_rows
from figureground.rendering import load_run, render_formats, render_report
from figureground.reports.sections import charts
from figureground.reports.twins import print as printing
from figureground.reports.view import svg_picture

KINDS = (
    *("classes", "thresholds", "findings", "number", "forward", "unmasked", "unlabelled", "many", "exploratory"),
    *("nothing", "untestable", "empty_masks", "failed"),
)
FORMATS = ("html", "json", "junit", "csv", "card", "docx")
every_kind = pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
two_kinds = pytest.mark.parametrize("kind", ["findings", "number"])


def text_of(page):
    """What a reader sees of a page, and what is read out."""
    bare = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", bare)))


def states_of(folder):
    """(id, status) of every finding in each of the files that were written, by the kind of file."""
    (page,), (card,), (word,) = (list(folder.glob(name)) for name in ("*.html", "*.md", "*.docx"))
    cases = ET.fromstring(next(folder.glob("*.xml")).read_text()).iter("testcase")  # noqa: S314 - our own
    rows = csv.DictReader(io.StringIO(next(folder.rglob("findings.csv")).read_text(), newline=""))
    tables = (table for table in docx.Document(str(word)).tables)
    first = {"Finding", "Constat"}
    table = next(table for table in tables if table.rows[0].cells[0].text in first)
    chips = r'class="chip chip-(\w+)">.*?<span class="id">([^<]*)</span>'
    document = json.loads(next(folder.glob("audit.json")).read_text())
    return {
        "html": {(name, state) for state, name in re.findall(chips, page.read_text(), re.DOTALL)},
        "junit": {(case.get("name"), case.find("properties/property[@name='status']").get("value")) for case in cases},
        "csv": {(row["id"], row["status"]) for row in rows},
        "card": set(
            re.findall(r"^\| ((?:cue-|worst-|[a-z])[\w+×.-]*) \| (\w+) \|", card.read_text().replace("\\", ""), re.M)
        ),
        "docx": {(row.cells[0].text, row.cells[1].text) for row in table.rows[1:]},
        "json": {(item["id"], item["status"] or "note") for item in document["findings"]},
    }


def check_twins(run, out, lang):
    render_formats(run, FORMATS, out=out, lang=lang)
    states = states_of(out)
    truth = {(item.id, item.status or "note") for item in run.document.findings}
    assert {form: found ^ truth for form, found in states.items()} == {form: set() for form in states}
    junit = ET.fromstring(next(out.glob("*.xml")).read_text())  # noqa: S314 - our own
    codes = {item.get("value") for item in junit.iter("property") if item.get("name") == "exit_code"}
    assert codes == {str(run.document.audit.exit_code)}
    return next(out.glob("*.html")).read_text()


#: Kinds that are compared with each other and with themselves.
COMPARED = ("classes", "findings", "number", "many", "unlabelled", "untestable", "failed")


@pytest.fixture
def undrawn(monkeypatch):
    """Charts are not drawn, which takes most of the time of a page; their words and tables stay."""
    blank = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"/>'
    monkeypatch.setattr(charts, "_picture", lambda _draw, _width: svg_picture(blank, 8, 8))


@pytest.mark.usefixtures("undrawn")
@two_kinds
def test_twins_of_findings_and_of_numbers_agree(kinds, kind, tmp_path):
    page = text_of(check_twins(kinds(kind), tmp_path / "fr", "fr"))
    # What the audit named itself is told in the reader's words.
    stored = ("no opacity", "no nodule") if kind == "findings" else ("age below 60 years", "age 60 years or more")
    assert not [name for name in stored if name in page]
    assert ("sans opacity" if kind == "findings" else "age inférieur à 60 years") in page
    assert "la classe opacity" not in page
    assert "images qui présentent le signe, ou de la seconde classe" not in page


@every_kind
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_every_twin_of_every_kind_agrees(kinds, kind, lang, tmp_path, request):
    if lang == "fr":  # the charts are drawn in the other language
        request.getfixturevalue("undrawn")
    run = kinds(kind)
    page = check_twins(run, tmp_path / "twins", lang)
    folder = render_report(run, out=tmp_path / "folder", layout="folder", lang=lang)
    assert text_of(folder.read_text()).split()[:40] == text_of(page).split()[:40]
    if kind == "unlabelled":  # nothing is called labelled, and no chart of accuracies is empty
        assert not re.search(r"[Ll]abelled (dim|bright)|[ÉéE]tiquet\w+ (dim|bright)|0 (of|sur) 0", text_of(page))
    assert not re.search(r"(?<!\S)(None(?! (of|out of) )|nan|\{|Traceback)(?!\S)", text_of(page))


@every_kind
@pytest.mark.skipif(not any(map(shutil.which, printing.BROWSERS)), reason="no Chromium")
def test_every_kind_can_be_printed(kinds, kind, tmp_path):
    (file,) = render_formats(kinds(kind), ["pdf"], out=tmp_path, lang="fr")
    assert file.read_bytes().startswith(b"%PDF")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """Where the owner's key is, made by the first bundle."""
    return tmp_path_factory.mktemp("key") / "audit.key"


@pytest.mark.usefixtures("undrawn")
@every_kind
@pytest.mark.parametrize("edition", ["internal", "regulator", "public"])
def test_every_kind_is_handed_over_whole_and_compared_by_its_owner(kinds, kind, edition, key_file, tmp_path):
    run, out = kinds(kind), tmp_path / "bundle"
    bundle_run(run.path, out=out, edition=edition, key_file=key_file, lang="fr")
    checked = subprocess.run(
        [shutil.which("sha256sum"), "--quiet", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert CliRunner().invoke(app, ["verify", str(out)]).exit_code == 0
    named = [file.name for file in out.rglob("*") if file.is_file() and b"photographer" in file.read_bytes()]
    assert edition == "internal" or not named
    page = render_report(out, out=tmp_path / "again.html").read_text()
    # A finding about a hidden group may be left out; none is added, and no state is another one.
    shown = {(item.id, item.status) for item in load_run(out).document.findings}
    assert shown <= {(item.id, item.status) for item in run.document.findings}
    assert {cue.status for cue in load_run(out).document.verdict.cues} == {c.status for c in run.document.verdict.cues}
    assert run.document.audit.id in page
    found = compare_runs(run.path, out, key_file=key_file).document
    rows = (out / "examples.parquet").is_file() and (out / "predictions").is_dir()
    assert (found.rows.how, found.rows.common) == (("paired", 64) if rows else ("aggregates", 0))
    assert not {"new", "worse", "better", "resolved", "lost_coverage"} & {cue.state for cue in found.cues}


@pytest.mark.usefixtures("undrawn")
@every_kind
def test_people_are_taken_out_of_every_kind(kinds, kind, tmp_path):
    run = shutil.copytree(kinds(kind).path, tmp_path / "run")
    assert purge_rows(run, clusters="photographer 03") == 2
    assert CliRunner().invoke(app, ["verify", str(run)]).exit_code == 0
    left = load_run(run)
    assert "photographer 03" not in set(left.examples["cluster"])
    assert len(left.examples) == len(kinds(kind).examples) - 2
    assert left.document.audit.id in render_report(left, out=tmp_path / "left.html", lang="fr").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("first", "second"), list(combinations_with_replacement(COMPARED, 2)))
def test_audits_of_different_kinds_are_compared_with_reasons_and_never_called_fine(kinds, first, second, tmp_path):
    found = compare_runs(kinds(first).path, kinds(second).path, out=tmp_path / "page.html", lang="fr")
    for cue in found.cues:
        if cue.state in ("not_comparable", "lost_coverage"):
            # That the second audit did not test it, or failed, is reason enough.
            assert cue.reason or cue.difference is not None or cue.second_status in ("not_tested", "error")
        if first != second and cue.state in ("unchanged", "resolved", "better"):
            assert cue.difference is not None
            assert cue.difference.estimate is not None
    assert "<html" in (tmp_path / "page.html").read_text()
    if first != second and "number" in (first, second):  # years and shares of images have no difference
        assert not [cue for cue in found.cues if cue.difference and cue.difference.estimate is not None]


def test_effects_in_a_unit_are_drawn_where_they_are(kinds):
    """An axis of years once went to four thousand: numbers were written as hundredths."""
    from figureground.reports.figures.intervals import Words, interval_chart

    rows = kinds("number").subgroups.query("measure == 'contrast' and label == '(all)'")
    frame = pd.DataFrame(
        {
            "panel": "years",
            "group": "",
            "row": rows["level"].astype(str),
            **{name: rows[name] for name in ("estimate", "ci_low", "ci_high")},
            "area": float("nan"),
            "floor": float("nan"),
            "n": 64,
            "hollow": False,
        }
    )
    words = Words(axis="years", n="n", estimate="effect", hollow="few")
    own, shares = (set(_ticks(interval_chart(frame, words, shares=kind)[0])) for kind in (False, True))
    assert max(own) < 60 < max(shares)


def _ticks(svg):
    texts = re.findall(r"<!--\s*([^<>]+?)\s*-->|<text[^>]*>([^<]+)</text>", svg)
    for text in ("".join(pair).replace(",", "") for pair in texts):
        if re.fullmatch(r"\d+(\.\d+)?", text) and text != "64":
            yield float(text)


def test_the_fixture_makes_what_it_says(kinds):
    run = kinds("findings")
    assert isinstance(run, AuditResult)
    assert {cue.scale for cue in run.verdict.cues if cue.estimate is not None} == {"decision", "log_odds"}
    assert Path(run.path, "COMPLETE.json").is_file()
