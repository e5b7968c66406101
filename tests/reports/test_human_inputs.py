"""What people say of a system: read from TOML and sheets, shown as given, outside of the seal."""

from __future__ import annotations

import datetime
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from figureground.api import render_report
from figureground.audit.document.audit_json import HumanInput
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import check_seal
from figureground.cli import app
from figureground.errors import UsageError
from figureground.reports.catalogue import languages, load
from figureground.reports.human_inputs import FIELDS, completed, read_inputs, template, write_sheet
from figureground.reports.sections import frames, population
from figureground.reports.sections.context import Context

PURPOSE = "Sorts garments; <b>not</b> for people."
WORDS = [load(lang) for lang in languages()]


def filled(tmp_path: Path, **changes: str) -> Path:
    given = {"value": PURPOSE, "by": "A. Martin", "at": "2026-11-28"} | changes
    lines = [f'{part} = "{text}"' for part, text in given.items()]
    file = tmp_path / "system.toml"
    file.write_text("[intended_purpose]\n" + "\n".join(lines) + "\n")
    return file


def test_the_template_is_read_as_empty_fields(tmp_path: Path) -> None:
    file = tmp_path / "system.toml"
    for words in WORDS:
        file.write_text(template(words))
        found = read_inputs(file, WORDS)
        assert [item.field for item in found] == list(FIELDS.values())
        assert {item.value for item in found} == {None}


def test_a_sheet_says_the_same_in_every_language(tmp_path: Path) -> None:
    for words in WORDS:
        file = tmp_path / f"{words.lang}.xlsx"
        write_sheet(file, words)
        book = openpyxl.load_workbook(file)
        assert book.active.max_row == 1 + len(FIELDS)
        book.active["B4"], book.active["C4"], book.active["D4"] = PURPOSE, "A. Martin", datetime.date(2026, 11, 28)
        book.save(file)
        assert read_inputs(file, WORDS) == read_inputs(filled(tmp_path), WORDS)


SHARES = {"ground": {"@grass": 0.7, "snow": 0.1}, "site": {"a": 0.5}}


def test_a_sheet_gives_shares_in_rows_of_their_own(tmp_path: Path) -> None:
    for words in WORDS:
        file, name = tmp_path / f"{words.lang}.xlsx", words.term("human", FIELDS["reference_population"])
        write_sheet(file, words)
        book = openpyxl.load_workbook(file)
        row = 2 + list(FIELDS).index("reference_population")
        book.active.cell(row, 3).value, book.active.cell(row, 4).value = "A. Martin", "2026-11-28"
        for attribute, levels in SHARES.items():
            for level, share in levels.items():
                book.active.append([f"{name}: {attribute} = {level}", share])
        book.save(file)
        found = {item.field: item for item in read_inputs(file, WORDS)}
        assert found["reference population"].shares == SHARES
        book.active.append([f"{name}: site = a", 0.2])
        book.save(file)
        with pytest.raises(UsageError, match="twice"):
            read_inputs(file, WORDS)


def test_a_population_of_reference_stands_beside_the_data(make_run, tmp_path: Path) -> None:
    given = HumanInput(field="reference population", value=None, by="A. Martin", at="2026-11-28", shares=SHARES)
    run = make_run(human_inputs=[given.model_dump()])
    group = next(group for group in run.document.data.groups if group.attribute == "ground")
    counts = {level.level: level.n for level in group.levels}
    found = population.build(Context(run, load("en")))
    assert found is not None
    assert "A. Martin on 28 November 2026" in found.lead
    rows = {row[0]: row[1:] for row in found.table.rows}
    for level, n in counts.items():
        name = frames.pair("ground", level)
        assert rows[name][0] == f"{n:,}"
        assert rows[name][1] == f"{100 * n / run.document.data.ok:.1f}"
    grass = rows[frames.pair("ground", "@grass")]
    assert float(grass[3].replace("−", "-")) == pytest.approx(float(grass[1]) - 70, abs=0.11)
    snow, site = rows[frames.pair("ground", "snow")], rows[frames.pair("site", "a")]
    assert (snow[0], snow[-1]) == ("0", "not in these data")
    assert site[-1] == "no such column made subgroups"
    assert found.lead in render_report(run, out=tmp_path / "page.html").read_text()


def test_a_formula_is_a_text(tmp_path: Path) -> None:
    file = tmp_path / "system.xlsx"
    write_sheet(file, WORDS[0])
    book = openpyxl.load_workbook(file)
    book.active["B4"], book.active["C4"], book.active["D4"] = "=1+1", "me", "2026-11-28"
    book.save(file)
    assert read_inputs(file, WORDS)[2].value == "=1+1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[purpose]\nvalue = 'x'\n", "no such field"),
        ("intended_purpose = 'x'\n", "expected a table"),
        ("[intended_purpose]\nvalue = 'x'\n", "without who said it"),
        ("[intended_purpose]\nvalue = 'x'\nby = 'me'\nat = 'today'\n", "expected a date"),
        ("[intended_purpose]\nvalue = 3\n", "expected a text"),
        ("[intended_purpose]\nwho = 'x'\n", "no such entry"),
        ("[intended_purpose\n", "expected a file of TOML"),
        ("[intended_purpose]\nshares.site = { a = 1 }\n", "no such entry"),
        ("[reference_population]\nshares.site = { a = 1 }\n", "without who gave them"),
        ("[reference_population]\nshares.site = { a = 1.2 }\n", "a share from 0 to 1"),
        ("[reference_population]\nshares.site = { a = nan }\n", "a share from 0 to 1"),
        ("[reference_population]\nshares.site = { a = true }\n", "a share from 0 to 1"),
        ("[reference_population]\nshares.site = { a = 0.7, b = 0.4 }\n", "add up to 1.1"),
        ("[reference_population]\nshares.site = 3\n", "a table of levels"),
        ("[reference_population]\nshares = 3\n", "a table of attributes"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "system.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_inputs(file, WORDS)


def test_a_damaged_workbook_is_told(tmp_path: Path) -> None:
    file = tmp_path / "system.xlsx"
    file.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UsageError, match="a workbook with one sheet"):
        read_inputs(file, WORDS)


@pytest.fixture
def run(make_run) -> AuditResult:
    fields = [{"field": name, "value": None, "by": None, "at": None} for name in FIELDS.values()]
    return make_run(human_inputs=fields)


def test_it_is_shown_escaped_and_leaves_the_seal_alone(run: AuditResult, tmp_path: Path) -> None:
    before = check_seal(run.path)
    page = render_report(run, out=tmp_path / "with.html", system=filled(tmp_path)).read_text()
    assert "Sorts garments; &lt;b&gt;not&lt;/b&gt; for people." in page
    assert "A. Martin" in page
    assert check_seal(run.path) == before
    copies = list((run.path / "renders").glob("system-*.toml"))
    assert [copy.read_bytes() for copy in copies] == [filled(tmp_path).read_bytes()]
    without = render_report(run, out=tmp_path / "without.html").read_text()
    assert "A. Martin" not in without
    assert load("en").say("human.blank") in without


def test_everything_but_these_fields_is_as_it_was(run: AuditResult, tmp_path: Path) -> None:
    found = completed(run, filled(tmp_path), WORDS)
    given = found.document.model_dump(exclude={"human_inputs"})
    assert given == run.document.model_dump(exclude={"human_inputs"})
    assert found.document.human_inputs[2].value == PURPOSE


def test_the_system_is_named_on_page_one(run: AuditResult, tmp_path: Path) -> None:
    file, said = tmp_path / "named.toml", 'by = "A. Martin"\nat = "2026-11-28"\n'
    file.write_text(f'[system_name]\nvalue = "Garment <sorter>"\n{said}[system_version]\nvalue = "2.1"\n{said}')
    page = render_report(run, out=tmp_path / "named.html", system=file).read_text()
    cover = page[page.index("<header") : page.index("</header>")]
    assert "Garment &lt;sorter&gt; 2.1" in cover
    assert "not named" not in cover


def test_the_command_never_replaces_a_file(tmp_path: Path) -> None:
    out = tmp_path / "system.toml"
    assert CliRunner().invoke(app, ["system", "init", "-o", str(out)]).exit_code == 0
    assert out.read_text() == template(load("en"))
    assert isinstance(CliRunner().invoke(app, ["system", "init", "-o", str(out)]).exception, UsageError)
