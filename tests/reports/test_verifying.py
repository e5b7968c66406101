"""Whatever was done to a folder after it was sealed, verifying tells it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import LEDGER, RENDERED, SEAL, RunFolder
from figureground.audit.keeping.verifying import BUNDLE, SUMS, verify
from figureground.cli import app
from figureground.errors import IntegrityError, UsageError
from figureground.handing import bundle_run
from figureground.reports.html import render_report
from figureground.reports.spread import render_spread
from figureground.reports.twins.writing import render_formats

FORMS = ("html", "json", "junit", "csv", "card", "docx")


@pytest.fixture(scope="module")
def folders(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with every kind of file that can be in one, and its editions."""
    root = tmp_path_factory.mktemp("verifying")
    made = synthetic.without_evidence()
    made.asset(1)
    run: AuditResult = made.write(root / "run")
    render_report(run)
    render_spread(run, lang="fr")
    render_formats(run, FORMS)
    for edition in ("internal", "public"):
        bundle_run(run.path, out=root / edition, edition=edition)  # type: ignore[arg-type]
    return {name: root / name for name in ("run", "internal", "public")}


@pytest.fixture(params=["run", "internal", "public"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders[request.param], tmp_path / request.param))


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def refused(folder: Path) -> bool:
    try:
        verify(folder)
    except IntegrityError:
        return True
    return False


def test_an_untouched_folder_is_what_it_says_it_is(folder: Path) -> None:
    found = verify(folder)
    assert found.unknown == found.gone == ()
    assert {RENDERED, SEAL, LEDGER} <= {file.name for file in files(folder)}
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert done.exit_code == 0
    assert f"{len(found.rendered)} files outside the seal are as they were rendered" in done.output


def test_a_changed_byte_of_any_file_is_told(folder: Path) -> None:
    suffixes = {file.suffix for file in files(folder)}
    assert {".json", ".parquet", ".html"} <= suffixes
    for file in files(folder):
        content = file.read_bytes()
        for at in sorted({0, len(content) // 3, len(content) // 2, len(content) - 1} - {-1}):
            for bit in (1, 0x80):
                file.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
                assert refused(folder), (file.name, at, bit)
        file.write_bytes(content)
    assert not refused(folder)


def test_a_byte_more_or_less_is_told(folder: Path) -> None:
    for file in files(folder):
        content = file.read_bytes()
        for changed in (content + b"\n", content[:-1], b""):
            file.write_bytes(changed)
            assert refused(folder) or file.name == RENDERED, file.name
        file.write_bytes(content)


def test_a_missing_file_is_told(folder: Path) -> None:
    for file in files(folder):
        content = file.read_bytes()
        file.unlink()
        if file.name == SEAL:
            with pytest.raises(UsageError, match="RUN_INCOMPLETE"):
                verify(folder)
        else:
            assert refused(folder) or _told_gone(folder, file), file.name
        file.write_bytes(content)


def _told_gone(folder: Path, file: Path) -> bool:
    """Of a run, what was rendered may be deleted; it is told, and so is that no hashes are noted."""
    found = verify(folder)
    return file.relative_to(folder).as_posix() in found.gone or (file.name == RENDERED and bool(found.unknown))


@pytest.mark.parametrize(
    "name", ["notes.txt", "report.de.html", "assets/x.webp", "predictions/part-99999.parquet", ".hidden", "a/b/c"]
)
def test_an_added_file_is_told(name: str, folder: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    assert refused(folder)


def test_a_renamed_file_and_two_that_changed_places_are_told(folder: Path) -> None:
    named = files(folder)
    for file, other in zip(named, named[1:] + named[:1], strict=True):
        aside = file.with_name(f"{file.name}.aside")
        file.rename(aside)
        with pytest.raises((IntegrityError, UsageError)):
            verify(folder)
        if other.read_bytes() != aside.read_bytes():
            other.rename(file)
            aside.rename(other)
            with pytest.raises((IntegrityError, UsageError)):
                verify(folder)
            other.rename(aside)
            file.rename(other)
        aside.rename(file)
    assert not refused(folder)


def test_a_link_is_told_even_where_it_leads_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for file in files(folder):
        outside = tmp_path / "outside"
        shutil.copy(file, outside)
        file.unlink()
        file.symlink_to(outside)
        assert refused(folder), file.name
        file.unlink()
        shutil.move(outside, file)
    predictions = folder / "predictions"
    if predictions.is_dir():
        shutil.move(predictions, tmp_path / "predictions")
        predictions.symlink_to(tmp_path / "predictions")
        assert refused(folder)


def _add_line(path: Path) -> None:
    path.write_text(path.read_text() + "../elsewhere\n")


def _drop_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def _twice(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[0])


@pytest.mark.parametrize("change", [_add_line, _drop_line, _twice])
def test_an_edited_ledger_is_told(change: Callable[[Path], None], folder: Path) -> None:
    change(folder / LEDGER)
    assert refused(folder)


def test_a_seal_that_lists_a_file_elsewhere_is_told(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    shutil.copy(folder / "audit.json", outside)
    stored = json.loads((folder / SEAL).read_text())
    for name in ("../outside.json", str(outside)):
        stored["files"][name] = stored["files"]["audit.json"]
        RunFolder(folder).write_json(SEAL, stored)
        assert refused(folder)


def test_lists_of_a_bundle_cannot_be_shortened(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["public"], tmp_path / "public"))
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    for at in range(len(lines)):
        (folder / SUMS).write_text("".join(lines[:at] + lines[at + 1 :]))
        assert refused(folder), lines[at]
    (folder / SUMS).unlink()
    assert refused(folder)
    (folder / BUNDLE).unlink()
    assert refused(folder)


def test_a_page_that_was_edited_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["run"], tmp_path / "run"))
    page = folder / "report.en.html"
    page.write_text(page.read_text().replace("shown by intervention", "not detected"))
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert isinstance(done.exception, IntegrityError)
    assert done.exception.exit_code == 6
    assert "report.en.html" in str(done.exception)
    render_report(folder)
    assert "report.en.html" in verify(folder).rendered


def test_a_document_of_another_version_is_told(make_run: Any, synthetic: Any) -> None:
    run = make_run(synthetic.without_evidence())
    stored = json.loads((run.path / "audit.json").read_text())
    own = RunFolder(run.path)
    for change in ({"schema_version": "0.1", "verdict": None}, {"schema_version": "9.0", "unheard_of": 1}):
        own.write_json("audit.json", {**stored, **change})
        own.seal()
        assert verify(run.path).sealed
        with pytest.raises(UsageError, match="DOCUMENT_SCHEMA") as caught:
            render_report(run.path)
        assert change["schema_version"] in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "audit.json").unlink()
    os.mkfifo(folder / "audit.json")
    assert refused(folder)
