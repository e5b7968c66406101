"""Pictures of chosen rows: what they show, what their captions say, and that each is stored once."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.cue_pictures import CuePlan, cue_pictures
from figureground.audit.measure.donors import DonorDraw
from figureground.audit.measure.pictures import MAX_SIDE, Painter, outline, overlay, picture
from figureground.audit.measure.regions import border_frame
from figureground.audit.measure.suite import widen
from figureground.audit.rows.strata import StrataDraw, by_environment
from figureground.datasets.datamodule import rows_of
from figureground.datasets.transforms import Preprocess

SIDE = 20


def test_a_picture_is_the_tensor_in_eight_bits():
    image = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = np.asarray(picture(image))
    np.testing.assert_array_equal(found, np.round(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8))
    grey = picture(image[:1])
    assert (grey.mode, grey.size) == ("RGB", (5, 4))
    assert np.asarray(picture(torch.full((3, 1, 1), 1.7))).max() == 255


def test_the_outline_is_the_figure_without_its_erosion():
    figure = np.random.default_rng(0).random((30, 20)) > 0.4
    cross = ndimage.generate_binary_structure(2, 1)
    np.testing.assert_array_equal(outline(figure), figure & ~ndimage.binary_erosion(figure, cross))
    assert not outline(np.zeros((4, 4), dtype=bool)).any()


def test_an_overlay_is_brightest_where_the_map_is_and_whole_factors_larger():
    heat = np.zeros((16, 16), dtype=np.float32)
    heat[3, 12] = 9.0
    found = np.asarray(overlay(torch.full((3, 16, 16), 0.5), heat, np.zeros((16, 16), dtype=bool)))
    factor = MAX_SIDE // 16
    assert found.shape == (16 * factor, 16 * factor, 3)
    hot = found[3 * factor, 12 * factor].astype(int) - found[0, 0].astype(int)
    assert hot[0] > 100
    assert hot[1] > 90
    assert np.array_equal(
        np.asarray(overlay(torch.full((3, 16, 16), 0.5), heat * 7, np.zeros((16, 16), dtype=bool))), found
    )


def test_an_empty_map_and_a_full_figure_are_drawn_too():
    found = np.asarray(
        overlay(torch.zeros(1, 16, 16), np.zeros((16, 16), dtype=np.float32), np.ones((16, 16), dtype=bool))
    )
    assert (found[0] == 255).all()


class Net(nn.Module):
    classes = ("cat", "dog")

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(dim=(2, 3)))


@pytest.fixture
def setting(tmp_path):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    n = 16
    frame = pd.DataFrame(
        {
            "row_id": np.arange(100, 100 + n),
            "position": np.arange(n),
            "label": ["cat", "dog"] * (n // 2),
            "environment": ["grass"] * (n // 2) + ["gravel"] * (n // 2),
            "cluster": [f"c{i}" for i in range(n)],
            "object_area": 0.1,
            "status": "ok",
        }
    )

    def reader(row):
        draw = np.random.default_rng(row.row_id)
        mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
        mask[5:12, 6:14] = 1
        return {
            "row_id": torch.tensor(row.row_id),
            "image": torch.from_numpy(draw.random((3, SIDE, SIDE), dtype=np.float32)),
            "label": torch.tensor(Net.classes.index(row.label)),
            "mask": mask,
            "has_mask": torch.tensor(True),
            "regions": {},
        }

    subject = as_subject(Net().eval(), transform=Preprocess())
    folder = RunFolder.create(tmp_path / "run")
    rows = {row.row_id: row for row in rows_of(frame)}
    painter = Painter(subject, SinglePass("conv"), reader, rows, folder)
    return painter, frame, rng


def assets(painter):
    return {path.stem: path.read_bytes() for path in (painter.folder.path / "assets").iterdir()}


def test_tiles_show_the_picture_and_both_maps_with_the_models_answer(setting):
    painter, _, _ = setting
    chosen = pd.DataFrame({"row_id": [101, 104], "rule": "worst", "rank": [1, 2]})
    found = pd.DataFrame(painter.tiles(chosen))
    assert found["panel"].tolist() == ["original", "saliency", "gradcam"] * 2
    assert found["label"].tolist() == ["dog"] * 3 + ["cat"] * 3
    for row in (101, 104):
        image = painter.reader(painter.rows[row])["image"][None]
        with torch.no_grad():
            probability = painter.subject.module(image)[0].softmax(0)
        one = found[found["row_id"] == row].iloc[0]
        assert one["predicted"] == Net.classes[int(probability.argmax())]
        assert one["probability"] == pytest.approx(float(probability.max()), abs=1e-6)
    shares = found[found["panel"] == "saliency"]["background_share"].astype(float)
    assert shares.between(0, 1).all()
    stored = assets(painter)
    assert set(found["asset"]) == set(stored)
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in stored.items())
    original = Image.open(io.BytesIO(stored[found.loc[0, "asset"]]))
    np.testing.assert_array_equal(
        np.asarray(original.convert("RGB")), np.asarray(picture(painter.reader(painter.rows[101])["image"]))
    )


def test_a_swap_shows_unchanged_own_and_other_level(setting):
    painter, frame, _ = setting
    rows = by_environment(frame)
    rows = rows.merge(StrataDraw(500, 0)(rows, "environment"), on=["row_id", "stratum"])
    plan = widen(DonorDraw(passes=2)(rows))
    first = plan.iloc[0]
    other = {"grass": "gravel", "gravel": "grass"}[first["stratum"]]
    chosen = pd.DataFrame(
        {
            "row_id": [first["row_id"]],
            "pass": [1],
            "rule": ["swap_changed"],
            "rank": [1],
            "other_level": [other],
        }
    )
    found = pd.DataFrame(painter.swaps(chosen, plan, ("grass", "gravel")))
    assert found["panel"].tolist() == ["original", "own_level", "other_level"]
    assert found["caption_level"].tolist() == [first["stratum"], first["stratum"], other]
    drawn = plan[(plan["row_id"] == first["row_id"]) & (plan["pass"] == 1)].iloc[0]
    assert found["donor_row_id"].iloc[1:].astype(int).tolist() == [drawn[first["stratum"]], drawn[other]]
    stored = assets(painter)
    shown = [np.asarray(Image.open(io.BytesIO(stored[name])).convert("RGB")) for name in found["asset"]]
    for composite in shown[1:]:
        np.testing.assert_array_equal(composite[6:11, 7:13], shown[0][6:11, 7:13])  # the figure stays, but for its edge
        assert (composite != shown[0]).any()


def test_the_same_picture_is_stored_once(setting):
    painter, _, _ = setting
    chosen = pd.DataFrame({"row_id": [101, 101], "rule": ["worst", "random"], "rank": [1, 1]})
    found = pd.DataFrame(painter.tiles(chosen))
    assert len(assets(painter)) == found["asset"].nunique() == 3


def test_pairs_of_another_cue_are_composed_by_its_own_transfer_and_only_where_it_lies(setting):
    painter, frame, _ = setting
    rows = by_environment(frame)
    rows = rows.merge(StrataDraw(500, 0)(rows, "environment"), on=["row_id", "stratum"])
    donors = DonorDraw(passes=1)(rows)
    first = widen(donors).iloc[0]
    other = {"grass": "gravel", "gravel": "grass"}[first["stratum"]]
    pair = {"row_id": first["row_id"], "pass": 0, "rule": "swap_changed", "rank": 1, "other_level": other}
    cues = pd.DataFrame([pair | {"cue": name, "finding": None, "part": None} for name in ("border", "tint", "missing")])
    plans = {"border": CuePlan(donors, masks=False), "tint": CuePlan(donors)}
    found = pd.DataFrame(cue_pictures(painter, cues, plans))
    assert found["cue"].tolist() == ["border"] * 3 + ["tint"] * 3  # of the third no donors are known
    assert found["finding"].isna().all()
    stored = assets(painter)
    border = found[found["cue"] == "border"].set_index("panel")
    shown = {
        panel: np.asarray(Image.open(io.BytesIO(stored[name])).convert("RGB")).astype(int)
        for panel, name in border["asset"].items()
    }
    frame_of = border_frame(SIDE, SIDE)
    np.testing.assert_array_equal(shown["other_level"][~frame_of], shown["original"][~frame_of])
    lender = painter.reader(painter.rows[int(border.loc["other_level", "donor_row_id"])])["image"]
    np.testing.assert_array_equal(shown["other_level"][frame_of], np.asarray(picture(lender)).astype(int)[frame_of])
