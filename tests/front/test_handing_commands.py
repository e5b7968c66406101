"""bundle, purge, report --format and --layout, policy seal, verify --commitment: from the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.cli import app
from figureground.errors import IntegrityError
from figureground.reports.twins.print import BROWSERS


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_bundle_is_written_and_verified_until_a_file_changes(shortcut_run, tmp_path):
    out, key = tmp_path / "handed", tmp_path / "key"
    done = call("bundle", shortcut_run.path, "--edition", "public", "-o", out, "--key-file", key)
    assert done.exit_code == 0, done.output
    assert "sha256sum -c SHA256SUMS" in done.output.replace("\n", " ")
    assert json.loads((out / "bundle.json").read_text())["edition"] == "public"
    assert "files as listed in SHA256SUMS" in call("verify", out).output.replace("\n", " ")
    (out / "report.en.html").write_text("another page")
    changed = call("verify", out)
    assert isinstance(changed.exception, IntegrityError)
    assert "report.en.html" in str(changed.exception)


def test_formats_and_the_folder_are_written_where_they_are_asked_for(shortcut_run, tmp_path):
    done = call("report", shortcut_run.path, "--format", "junit,csv", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "junit.xml",
        "findings.csv",
        "cues.csv",
        "subgroups.csv",
        "tests.csv",
        "reliability.csv",
        "false_alarms.csv",
        "associations.csv",
        "method_pairs.csv",
    }
    exit_code = re.search(r'name="exit_code" value="(\d)"', (tmp_path / "out" / "junit.xml").read_text())
    assert exit_code is not None
    assert exit_code[1] == str(shortcut_run.document.audit.exit_code) == "1"
    assert call("report", shortcut_run.path, "--layout", "folder", "--format", "csv").exit_code == 2


def test_a_commitment_is_told_before_the_run_and_found_again(shortcut_run, shortcut_model, audit_manifest, tmp_path):
    save_checkpoint(shortcut_model, tmp_path / "model.ckpt")
    done = call("policy", "seal", tmp_path / "model.ckpt", audit_manifest)
    told = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch("[0-9a-f]{64}", told)
    assert "policy, model and manifest are those" in call(
        "verify", shortcut_run.path, "--commitment", told
    ).output.replace("\n", " ")


def test_a_purge_of_nobody_who_is_there_changes_nothing(shortcut_run):
    seal = shortcut_run.seal
    done = call("purge", shortcut_run.path, "--rows", "no such row")
    assert done.exception is not None
    assert shortcut_run.seal == seal


class _Sources(HTMLParser):
    """What a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("src", "srcset", "href") and value]


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium")
def test_a_browser_opens_the_folder_without_a_word_of_complaint(shortcut_run, tmp_path):
    done = call("report", shortcut_run.path, "--layout", "folder", "-o", tmp_path / "site")
    assert done.exit_code == 0, done.output
    page = tmp_path / "site" / "report.en.html"
    sources = _Sources()
    sources.feed(page.read_text())
    assert all(one.startswith("#") or (page.parent / one).is_file() for one in sources.found)
    chosen = next(filter(None, map(shutil.which, BROWSERS)))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    command = [chosen, *flags, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "Findings" in seen.stdout
    assert not re.search("CONSOLE|Content Security Policy|ERR_", seen.stderr)
