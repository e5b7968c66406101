"""How large the page is: pictures, the limits of one file, and tables that say what they leave out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import figureground
from figureground.api import render_formats, render_report
from figureground.audit.declared.config import CASES, MAX_CASES
from figureground.audit.keeping.result import AuditResult
from figureground.errors import UsageError
from figureground.rendering import own_report
from figureground.reports import catalogue, size, view
from figureground.reports.sections import averages
from figureground.reports.sections.context import Context, more


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_table_that_is_cut_says_of_how_many_and_where_the_rest_is(finished: AuditResult, lang: str) -> None:
    words = more(Context(finished, catalogue.load(lang)), "tests.parquet")
    cut = view.table("c", ["a", "n"], [["x", str(n)] for n in range(40)], note=words)
    assert len(cut.rows) == view.MAX_ROWS
    assert re.findall(r"\d+", cut.note) == ["12", "40", "28"]
    assert "tests.parquet" in cut.note
    one = view.table("c", ["a"], [["x"]] * 13, note=words)
    assert re.findall(r"\d+", one.note) == ["12", "13"]


def test_a_table_without_words_for_what_is_left_out_leaves_nothing_out() -> None:
    rows = [["x", str(n)] for n in range(40)]
    whole = view.table("c", ["a", "n"], rows)
    assert whole.rows == tuple(map(tuple, rows))
    assert view.table("c", ["a", "n"], rows, limit=5).rows == whole.rows
    assert not view.table("c", ["a"], [["x"]] * 12, note=lambda left, total: f"{left} of {total}").note


def test_every_picture_has_its_size_and_those_of_the_gallery_wait_until_they_are_reached(report: str) -> None:
    pictures = re.findall(r"<img\b[^>]*>", report)
    assert pictures
    for one in pictures:
        assert re.search(r'\bwidth="\d+"', one) and re.search(r'\bheight="\d+"', one), one[:80]  # noqa: PT018
    webp = [one for one in pictures if "data:image/webp" in one]
    late = [one for one in webp if 'loading="lazy"' in one]
    assert webp
    assert len(late) >= len(webp) - 4  # the pairs of the first page are seen at once


def test_one_file_of_more_than_25_mb_is_refused_and_the_folder_is_named(
    finished: AuditResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (size.LARGE, size.MOST) == (10_000_000, 25_000_000)
    assert size.fitting(b"x" * 1000, "page") == b"x" * 1000
    monkeypatch.setattr(size, "MOST", 20_000)
    for made in (
        lambda: render_report(finished, out=tmp_path / "page.html"),
        lambda: render_formats(finished, ["html"], out=tmp_path),
    ):
        with pytest.raises(UsageError, match=r"REPORT_SIZE .*--layout folder") as caught:
            made()
        assert caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_what_an_audit_leaves_by_itself_becomes_a_folder_where_one_file_would_be_too_large(
    finished: AuditResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = AuditResult(Path(shutil.copytree(finished.path, tmp_path / "run")))
    monkeypatch.setattr(size, "MOST", 20_000)
    assert own_report(run) == run.path / "renders" / "report.en.html"
    assert not (run.path / "report.en.html").exists()
    with pytest.raises(UsageError, match="LANG"):  # only the size is mended by another layout
        own_report(run, "xx")


def test_a_large_page_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "report.en.html"
    page.write_bytes(b"x" * 2_000)
    assert not size.large(page)
    monkeypatch.setattr(size, "LARGE", 1_999)
    assert "--layout folder" in size.large(page)


def test_mean_maps_that_are_left_out_are_told(finished: AuditResult) -> None:
    total = averages.MAX_CASES + 6
    keys = {"attribute": "site", "label": "coat", "method": "saliency", "sign": "positive", "n": 12, "n_clusters": 12}
    lines = [keys | {"level": f"s{at}", "height": 1, "width": 2, "values": [0.5, 0.5]} for at in range(total)]
    bare = AuditResult(finished.path)
    bare.__dict__.update(gallery=finished.gallery.head(0), mean_maps=pd.DataFrame(lines))
    shown = averages.mean_maps(Context(bare, catalogue.load("en")))
    assert shown is not None
    assert len(shown.cases) == averages.MAX_CASES
    assert f"{averages.MAX_CASES} of {total} subgroups" in shown.rule


@pytest.mark.parametrize("cases", [0, -1, MAX_CASES + 1])
def test_a_number_of_cases_that_cannot_be_stored_is_refused(cases: int, shortcut_like: Any) -> None:
    with pytest.raises(UsageError, match="CASES"):
        figureground.run_audit(shortcut_like, "none.csv", classes=("a", "b"), cases=cases)


@pytest.fixture
def shortcut_like() -> Any:
    """Any network: what is asked for is looked at before it is run."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


def test_the_command_line_asks_for_as_many_cases_as_python_does() -> None:
    import inspect

    from figureground import cli

    assert inspect.signature(cli.audit).parameters["cases"].default == CASES


@pytest.mark.slow
def test_120_cases_give_a_page_of_at_most_3_mb(shortcut_model: Any, audit_manifest: Path, tmp_path: Path) -> None:
    run = figureground.run_audit(
        shortcut_model, audit_manifest, out=tmp_path / "run", cues=["background"], cases=60, report=False
    )
    stored = run.gallery[run.gallery["rule"].isin(["worst", "random"])]
    assert len(stored[["rule", "row_id"]].drop_duplicates()) == 120
    for lang in ("en", "fr"):
        page = render_report(run, lang=lang)
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size <= 3_000_000
        assert len(re.findall(r'<img\b[^>]*src="data:image/webp', text)) >= 3 * 120
