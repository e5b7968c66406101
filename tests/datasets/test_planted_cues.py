"""Planted cues: exact shares, one thing changed at a time, nothing else that goes with the level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figureground.audit.declared.cues import is_known
from figureground.datasets.planted_cues import FAMILIES, PlantedCue
from figureground.errors import UsageError


def shares(data):
    rows = pd.DataFrame([{"label": s.label, "on": any(s.marked), "site": s.site} for s in data.scenes])
    return rows


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("association", [0.5, 0.95, 1.0])
def test_the_association_is_met_exactly(family, association):
    data = PlantedCue(family, association, "train", per_label=100)
    rows = shares(data)
    assert all(is_known(cue) for cue in data.named)
    if family == "one_site":
        assert not rows.loc[rows["site"] != "B", "on"].any()
        rows = rows[rows["site"] == "B"]
        assert len(rows) == 60
    share = rows.groupby("label")["on"].mean()
    first, second = sorted(share)
    assert second == pytest.approx(association, abs=0.02)
    assert first == pytest.approx(1 - association, abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_cue_changes(family):
    data = PlantedCue(family, 0.5, "test", per_label=12)
    for index in range(0, 24, 5):
        for cue in range(len(data.named)):
            plain, marked = data.do(index, cue)
            assert (plain != marked).any()
            own = data.render(index)
            assert any(np.array_equal(own, picture) for picture in (plain, marked))
            changed = (plain != marked).any(axis=2)
            if family in ("corner_tag", "one_site"):
                assert not changed[10:].any()
                assert not changed[:, 10:].any()
            if family == "logo":
                assert not (changed & ~data.mask(index)).any()
            if family in ("background_texture", "background_colour"):
                assert not (changed & data.mask(index)).any()
            if family == "marker":
                marked_only = (data.scenes[index].marked[0] and data.region(index)) if False else data.region(index)
                assert not (marked_only & data.mask(index)).any()
                assert changed.sum() <= 81


def test_rows_do_not_depend_on_how_many_there_are():
    few, many = PlantedCue("tint", 1.0, "test", per_label=5), PlantedCue("tint", 1.0, "test", per_label=20)
    found = {scene.identity: index for index, scene in enumerate(many.scenes)}
    for index, scene in enumerate(few.scenes):
        np.testing.assert_array_equal(few.render(index), many.render(found[scene.identity]))


def test_repeats_are_other_scenes_of_the_same_garments():
    data = PlantedCue("border", 0.5, "test", per_label=4, repeats=3)
    assert len(data.scenes) == 24
    assert len({scene.identity for scene in data.scenes}) == 8
    assert len({data.render(index).tobytes() for index in range(24)}) == 24


@pytest.mark.parametrize("family", ["tint", "corner_tag", "blur", "object_size"])
def test_nothing_else_goes_with_the_level(family):
    data = PlantedCue(family, 0.5, "train", per_label=400)
    rows = pd.DataFrame([{"on": s.marked[0], "label": s.label, **s.words} for s in data.scenes])
    for name in ("hue", "light", "top", "ground", "batch"):
        values = rows[name] % 1000
        difference = values[rows["on"]].mean() - values[~rows["on"]].mean()
        assert abs(difference) < 4 * values.std() * np.sqrt(4 / len(rows))
    assert abs((rows["label"] == "coat")[rows["on"]].mean() - 0.5) < 0.01


def test_a_written_set_is_what_was_rendered(tmp_path):
    data = PlantedCue("marker", 0.5, "test", per_label=4)
    table = pd.read_csv(data.write(tmp_path), dtype=str)
    assert {"image", "mask", "label", "environment", "cluster", "split", "region:marker"} <= set(table.columns)
    for index, row in enumerate(table.to_dict("records")):
        np.testing.assert_array_equal(np.array(Image.open(tmp_path / row["image"])), data.render(index))
        np.testing.assert_array_equal(np.array(Image.open(tmp_path / row["mask"])) > 0, data.mask(index))
        region = np.array(Image.open(tmp_path / row["region:marker"])) > 0
        assert region.any() == (row["environment"] == "marked")
    assert PlantedCue("two_cues", 0.5, "test", per_label=20).manifest()["environment"].nunique() == 3
    assert set(PlantedCue("one_site", 0.5, "test", per_label=20).manifest()["environment"]) <= {
        "site A",
        "site B",
        "site C",
    }


@pytest.mark.parametrize("change", [{"family": "smell"}, {"association": 1.2}, {"repeats": 0}, {"per_label": 0}])
def test_bad_settings_are_refused(change):
    with pytest.raises(UsageError, match="PLANTED"):
        PlantedCue(**({"family": "tint", "association": 0.5, "split": "test"} | change))


def test_of_two_cues_a_row_has_one_at_most_and_each_as_often():
    scenes = PlantedCue("two_cues", 1.0, "train", per_label=100).scenes
    assert not any(all(scene.marked) for scene in scenes)
    first, second = (sum(scene.marked[cue] for scene in scenes) for cue in (0, 1))
    assert first == second == 50
