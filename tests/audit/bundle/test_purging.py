"""People taken out of a run: nothing of them is left, and what is left is judged again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from figureground.api import judge_again
from figureground.audit.bundle.purging import _without_cases, named_in
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.run_folder import check_seal
from figureground.errors import IntegrityError, UsageError
from figureground.handing import purge_rows


@pytest.fixture(scope="module")
def purged(shortcut_run, tmp_path_factory):
    """A copy of a run without two clusters: one with a picture in the gallery, one that lent its background there."""
    path = tmp_path_factory.mktemp("purged") / "run"
    shutil.copytree(shortcut_run.path, path)
    examples, gallery = shortcut_run.examples, shortcut_run.gallery
    clusters = examples.set_index("row_id")["cluster"]
    shown, lent = gallery["row_id"].iloc[0], gallery["donor_row_id"].dropna().iloc[-1]
    gone = sorted({clusters[shown], clusters[lent]})
    count = purge_rows(path, clusters=gone)
    return AuditResult(path), examples[examples["cluster"].isin(gone)], count


def test_the_folder_verifies_and_says_how_many_went_and_when(purged, shortcut_run):
    run, gone, count = purged
    check_seal(run.path)
    assert count == len(gone)
    record = run.document.audit.purged
    assert [(item.rows, item.seal) for item in record] == [(count, shortcut_run.seal)]
    assert run.document.data.given == shortcut_run.document.data.given - count
    page = (run.path / "report.en.html").read_text()
    assert "taken out of it, on" in page
    assert shortcut_run.seal in page


def test_nothing_of_the_purged_is_in_any_file(purged, shortcut_run):
    import pyarrow.parquet as pq

    run, gone, _ = purged
    gallery = shortcut_run.gallery
    ids = set(gone["row_id"])
    cases = gallery[gallery["row_id"].isin(ids) | gallery["donor_row_id"].isin(ids)]
    pictures = set(cases["asset"]) - set(run.gallery["asset"])
    assert pictures
    wanted = {*map(str, ids), *gone["path"], *gone["cluster"], *gone["sha256"], *pictures} - set(
        run.examples["cluster"]
    )
    for file in (one for one in run.path.rglob("*") if one.is_file()):
        held = file.read_bytes() + file.name.encode()
        if file.suffix == ".parquet":
            held += json.dumps(pq.read_table(file).to_pylist(), default=str).encode()
        assert [one for one in wanted if one.encode() in held] == [], file.name


def test_composites_with_the_purged_are_gone_as_recipient_and_as_donor(purged):
    run, gone, _ = purged
    ids = set(gone["row_id"])
    for table in (run.predictions, run.gallery):
        assert ids.isdisjoint(table["row_id"])
        assert ids.isdisjoint(table["donor_row_id"].dropna())
    assert ids.isdisjoint(one for ids in run.mean_maps["row_ids"] for one in ids)


def test_what_is_left_is_what_was_measured(purged, shortcut_run):
    run, gone, _ = purged
    before = shortcut_run.attributions
    before = before[~before["row_id"].isin(gone["row_id"])].reset_index(drop=True)
    assert before.equals(run.attributions.reset_index(drop=True))


def test_it_can_be_judged_again_and_says_its_n(purged, tmp_path):
    run, _, count = purged
    again = judge_again(run.path, out=tmp_path / "again", report=False)
    assert again.document.data.ok == run.document.data.ok
    assert again.verdict.cues[0].n == run.verdict.cues[0].n
    assert [item.rows for item in again.document.audit.purged] == [count]


def test_names_that_are_not_there_take_nobody_out(shortcut_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(shortcut_run.path, path)
    seal = check_seal(path)
    for asked in ({"rows": "1,2"}, {"clusters": ["nobody"]}, {}):
        with pytest.raises(UsageError, match="PURGE_ROWS"):
            purge_rows(path, **asked)
    (path / "notes.txt").write_text("of somebody")
    with pytest.raises(IntegrityError, match=r"notes\.txt"):
        purge_rows(path, rows=[int(shortcut_run.examples["row_id"].iloc[0])])
    assert check_seal(path) == seal
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run"]


def test_names_come_as_text_as_a_file_and_as_a_sequence(tmp_path: Path):
    (tmp_path / "names").write_text("a, b\n\n c\n")
    assert named_in(tmp_path / "names") == ("a, b", "c")
    assert named_in("a, b,,c") == ("a", "b", "c")
    assert named_in([1, 2]) == ("1", "2")
    assert named_in("x" * 5000 + ",b")[1] == "b"
    assert named_in(None) == ()


def test_a_case_goes_with_its_lender_and_the_same_image_stays_with_another_cue():
    lines = [
        {
            "cue": cue,
            "finding": finding,
            "rule": "swap_changed",
            "rank": 1,
            "row_id": 7,
            "panel": panel,
            "donor_row_id": lender,
        }
        for cue, finding, lent in (("border", None, 3), ("tint", None, 4), ("tint", "nodule", 3))
        for panel, lender in (("original", None), ("other_level", lent))
    ]
    left = _without_cases(pa.Table.from_pylist(lines), {3}).to_pylist()
    assert [(line["cue"], line["finding"], line["panel"]) for line in left] == [
        ("tint", None, "original"),
        ("tint", None, "other_level"),
    ]
    older = pa.Table.from_pylist([{k: v for k, v in line.items() if k not in ("cue", "finding")} for line in lines[:2]])
    assert _without_cases(older, {3}).num_rows == 0
    assert _without_cases(older, {5}).num_rows == 2
