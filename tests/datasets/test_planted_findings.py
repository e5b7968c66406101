"""Multi-label data with a known answer: every share is met, and the intervention changes the tag and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.datasets.planted_findings import FINDINGS, TAGGED, UNMASKED, PlantedFindings
from figureground.errors import UsageError


@pytest.mark.parametrize("association", [0.0, 0.5, 0.9, 1.0])
def test_shares_are_met_up_to_whole_pictures(association):
    data = PlantedFindings(association, "test", garments=200)
    scenes = data.scenes
    assert len(scenes) == 400
    assert len({scene.identity for scene in scenes}) == 200
    present = np.array([scene.present for scene in scenes])
    assert present.sum(axis=0).tolist() == [80, 8]
    tagged = np.array([scene.tagged for scene in scenes])
    assert tagged[present[:, 0]].sum() == round(80 * association)
    assert tagged[~present[:, 0]].sum() == round(320 * (1 - association))
    assert sum(scene.masked for scene in scenes) == min(60, sum(scene.site != UNMASKED for scene in scenes))
    assert not any(scene.masked for scene in scenes if scene.site == UNMASKED)


def test_the_table_says_what_was_drawn_but_for_what_is_unsure_or_unknown():
    data = PlantedFindings(0.5, "test", garments=100)
    rows = data.manifest()
    for at, name in enumerate(FINDINGS):
        drawn = np.array([scene.present[at] for scene in data.scenes])
        cells = rows[f"label:{name}"]
        clear = cells.isin(["0", "1"])
        assert (cells[clear] == "1").tolist() == drawn[clear].tolist()
    assert (rows["label:opacity"] == "-1").sum() == 4
    assert (rows["label:nodule"] == "").sum() == 6
    assert set(rows["environment"]) == {"site A", "site B", "site C", "site D"}


def test_the_intervention_changes_the_corner_alone():
    data = PlantedFindings(0.5, "test", garments=20)
    for index in range(0, len(data.scenes), 7):
        plain, tagged = data.do(index)
        differs = (plain != tagged).any(axis=2)
        assert differs[:10, :10].any()
        assert not differs[10:].any()
        assert not differs[:, 10:].any()
        own = data.render(index)
        assert np.array_equal(own, tagged if data.scenes[index].site in TAGGED else plain)


def test_findings_are_seen_on_the_garment():
    data = PlantedFindings(0.5, "test", garments=60, prevalence={"opacity": 0.5, "nodule": 0.5})
    for index, scene in enumerate(data.scenes[:40]):
        bright = (data.render(index).max(axis=2) > 175) & data.mask(index)
        assert bright.any() == any(scene.present) or not any(scene.present)


def test_what_is_written_is_what_is_drawn(tmp_path):
    data = PlantedFindings(0.5, "test", garments=8, repeats=1, masked=0.5)
    manifest = data.write(tmp_path / "data")
    rows = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(rows, data.manifest(), check_dtype=False)
    assert all((manifest.parent / mask).is_file() for mask in rows["mask"] if mask)
    assert (rows["mask"] != "").sum() == sum(scene.masked for scene in data.scenes)


@pytest.mark.parametrize(
    "wrong",
    [{"association": 1.2}, {"prevalence": {"opacity": 0.2}}, {"masked": -0.1}, {"repeats": 0}, {"unsure": 2.0}],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="PLANTED"):
        PlantedFindings(**{"association": 0.5, "split": "test", **wrong})
