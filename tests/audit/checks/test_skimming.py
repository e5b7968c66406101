"""A check decodes some rows and looks up the others: the ledger, the faults and the plan are those of all rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import figureground as fg
from figureground.audit.checks import skimming
from figureground.reports.checked import check_lines


@pytest.fixture
def some(audit_manifest: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(skimming, "DECODED", 20)
    return audit_manifest


def test_a_plan_from_some_rows_is_the_plan_from_all(some: Path) -> None:
    part, whole = fg.check_inputs(some), fg.check_inputs(some, full=True)
    assert (part.decoded, whole.decoded, part.ok, whole.ok) == (20, 120, 120, 120)
    assert (part.masked, part.clusters, part.levels) == (whole.masked, whole.clusters, whole.levels)
    pd.testing.assert_frame_equal(part.reach, whole.reach)
    said = [line for line in check_lines(part) if line.startswith("decoded: 20 of 120")]
    assert said
    assert "--full" in said[0]
    assert not [line for line in check_lines(whole) if line.startswith("decoded")]


def test_what_is_not_plainly_there_is_told_though_it_was_not_chosen(some: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(some, dtype=str, keep_default_na=False)
    frame.loc[:59, "image"] = [f"gone/{n}.png" for n in range(60)]
    frame.loc[60:79, "label"] = ""
    found = fg.check_inputs(frame, classes=sorted({*frame["label"]} - {""}), root=some.parent)
    assert found.given == 120 == found.ok + found.quarantined
    assert found.quarantined == 80
    assert found.faults["row"].tolist() == list(range(2, 82))
    assert found.faults["reason"].nunique() == 2


def test_the_same_rows_are_chosen_every_time_and_all_of_few() -> None:
    positions = pd.RangeIndex(5_000)
    first, again = skimming.chosen_rows(positions), skimming.chosen_rows(positions)
    assert first is not None
    assert again is not None
    chosen = [position for position in positions if first(position)]
    assert len(chosen) == skimming.DECODED
    assert chosen == [position for position in positions if again(position)]
    assert skimming.chosen_rows(positions[:2_000]) is None
