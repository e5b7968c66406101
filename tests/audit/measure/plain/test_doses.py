"""Doses and places on models that read a tint in one place only, from the suite to the finding's place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.judge.contrasts import contrast_cues
from figureground.audit.judge.plain_doses import DoseJudge, moving
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.donors import DonorDraw
from figureground.audit.measure.plain.doses import DoseStage, in_place, noise_in_place
from figureground.audit.measure.prediction_rows import prediction_rows
from figureground.audit.measure.suite import Suite
from figureground.audit.measure.transfers.looks import part_of_the_way
from figureground.audit.measure.transfers.registry import transfer_for
from figureground.audit.measure.transfers.tuples import Composite, Tuples
from figureground.audit.progress import silent
from figureground.datasets import look
from figureground.datasets.datamodule import rows_of
from figureground.datasets.transforms import Preprocess

CLASSES = ("cat", "dog")
TINT = {"grass": 1.0, "gravel": 1.3}
#: A quarter of the way from the one tint to the other: half a dose suffices for half of the recipients.
THRESHOLD = 1.075


def paint(row, figure, rng):
    """Grey noise, redder in one level; figure and ground alike."""
    grey = torch.from_numpy(0.3 + 0.2 * rng.random(tuple(figure.shape), dtype=np.float32))
    return torch.stack([grey * TINT[row.environment], grey, grey])


class TintReader(nn.Module):
    """Says whether a part of the picture is redder than blue by the threshold; the object stands in the middle."""

    classes = CLASSES

    def __init__(self, where):
        super().__init__()
        self.where = where

    def forward(self, x):
        mask = torch.zeros(x.shape[-2:], dtype=torch.bool)
        mask[6:11, 6:11] = True
        if self.where != "object":
            mask = ~mask if self.where == "background" else torch.ones_like(mask)
        mean = x[:, :, mask].mean(dim=2)
        redness = mean[:, 0] / mean[:, 2].clamp(min=1e-6)
        return torch.stack([THRESHOLD - redness, redness - THRESHOLD], dim=1)


@dataclass(frozen=True)
class Run:
    """What a run leaves: tables, and the rows that plans are drawn from."""

    frame: pd.DataFrame
    strata: pd.DataFrame
    plan: pd.DataFrame
    folder: RunFolder

    @property
    def predictions(self):
        return read_table(self.folder.path, "predictions")

    def contrasts(self):
        return contrast_cues(self.frame, self.predictions, self.strata, CLASSES, ["tint"], Policy(), 0)

    def judged(self):
        judge = DoseJudge(self.frame, self.predictions, self.strata, CLASSES, Policy())
        return judge(self.contrasts())


@pytest.fixture(scope="module")
def run_of(world, reader, strata_of, tmp_path_factory):
    def build(where, *, masks=True, batch_size=32):
        frame, pictures = world(80, paint, fixed=True, per_cluster=1)
        strata, rows = strata_of(frame)
        read, module = reader(pictures), TintReader(where)
        folder = RunFolder.create(tmp_path_factory.mktemp("dose") / "run")
        with torch.inference_mode():
            logits = module(torch.stack([read(row)["image"] for row in rows_of(frame)])).numpy()
        own = prediction_rows(
            logits, kept=None, row_id=frame["row_id"], cue="none", intervention="none", arm="own", **{"pass": 0}
        )
        folder.write_table("predictions/part-measure-00000.parquet", own, tables.PREDICTIONS)
        subject, plan = as_subject(module, transform=Preprocess()), DonorDraw(1, 5, 0)(rows)
        suite = Suite(subject, rows_of(frame), read, folder, batch_size, 0, silent, 20)
        suite("tint", plan, {("tint", None): transfer_for("tint", height=16, width=16)}, {}, {}, "Tint", masks=masks)
        run = Run(frame, strata, plan, folder)
        stage = DoseStage(subject, rows_of(frame), read, folder, batch_size, 0, silent)
        cost = stage(plan, moving(run.contrasts(), Policy()), masks=masks)
        return run, cost

    return build


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("background", {"background": (0.5, 1.0), "object": (0.0, 0.0), "whole": (0.5, 1.0)}),
        ("object", {"background": (0.0, 0.0), "object": (0.5, 1.0), "whole": (0.5, 1.0)}),
    ],
)
def test_the_effect_lies_where_the_model_reads_it_and_grows_with_the_dose(run_of, where, expected):
    run, cost = run_of(where)
    dosed = run.predictions[run.predictions["intervention"].isin([plain.DOSE, plain.DOSE_NULL])]
    assert len(dosed) == run.plan["row_id"].nunique() * 2 * 2 * 3 * 2  # arms, doses, places, swap and null
    assert cost.forward_equivalents == (dosed["status"] == "ok").sum()
    (found,) = run.judged().values()
    for part, (half, full) in expected.items():
        assert found.by[part, 1.0].effect.estimate == pytest.approx(full, abs=0.02), part
        assert found.by[part, 0.5].effect.estimate == pytest.approx(half, abs=0.15), part
        assert abs(found.by[part, 1.0].null.estimate) < 0.1
        assert found.by[part, 1.0].effect.n == run.plan["row_id"].nunique()
    assert found.place == where
    assert found.steps["whole"].low > 0
    tests = pd.DataFrame(found.tests)
    assert set(tests["test"]) == set(plain.DOSE_TESTS)
    assert set(zip(tests["part"], tests["dose"].fillna(0), strict=True)) == {
        (part, dose) for part in plain.DOSE_PLACES for dose in (0.0, *plain.DOSES)
    }


def test_without_masks_only_the_whole_picture_is_dosed(run_of):
    run, _ = run_of("whole", masks=False)
    (found,) = run.judged().values()
    assert {part for part, _ in found.by} == {"whole"}
    assert found.by["whole", 1.0].effect.estimate == pytest.approx(1.0, abs=0.02)
    assert found.place is None


def test_batch_size_does_not_matter(run_of):
    keys = ["row_id", "intervention", "part", "dose", "arm"]
    one, other = (
        run_of("background", batch_size=size)[0].predictions.query("cue == 'tint'").sort_values(keys)
        for size in (32, 9)
    )
    assert one["predicted"].tolist() == other["predicted"].tolist()
    np.testing.assert_allclose(np.stack(one["logits"]), np.stack(other["logits"]), atol=1e-6)


def test_what_does_not_move_the_model_is_not_dosed(run_of):
    run, _ = run_of("background")
    quiet = {cue: item for cue, item in run.contrasts().items() if cue != "tint"}
    assert moving(quiet, Policy()) == {}
    assert moving(run.contrasts(), Policy(delta_material=0.999)) == {}
    (pair,) = moving(run.contrasts(), Policy()).values()
    assert set(pair) == set(TINT)


def tuples_of_two():
    rng = np.random.default_rng(0)
    mask = torch.zeros(2, 16, 16, dtype=torch.uint8)
    mask[:, 4:10, 5:12] = 1
    donors = (
        torch.from_numpy(rng.random((2, 3, 3, 16, 16), dtype=np.float32)) * torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    )
    return Tuples(
        row_id=torch.tensor([3, 4]),
        number=torch.zeros(2, dtype=torch.int64),
        seed=0,
        image=torch.from_numpy(rng.random((2, 3, 16, 16), dtype=np.float32)),
        mask=mask,
        has_mask=torch.tensor([True, True]),
        donor_images=donors,
        donor_masks=mask[:, None].expand(-1, 3, -1, -1),
        donor_has_mask=torch.ones(2, 3, dtype=torch.bool),
    )


@pytest.mark.parametrize("name", ["tint", "brightness", "sharpness", "compression"])
def test_a_full_dose_is_the_swap_and_half_a_dose_lies_between(name):
    tuples = tuples_of_two()
    swap = transfer_for(name, height=16, width=16).swap(tuples, 0)
    full, half = (part_of_the_way(name, tuples, 0, dose) for dose in (1.0, 0.5))
    assert torch.equal(full.images, swap.images)
    assert full.status == swap.status
    if name in ("tint", "brightness"):
        nothing = part_of_the_way(name, tuples, 0, 0.0).images
        torch.testing.assert_close(nothing, tuples.image, atol=1e-6, rtol=0)
        read = [look.mean_colour(images, tuples.mask == 1) for images in (nothing, half.images, full.images)]
        assert ((read[1] - read[0]) * (read[2] - read[1]) >= -1e-6).all()


@pytest.mark.parametrize("place", plain.DOSE_PLACES)
def test_a_place_is_changed_alone_and_its_null_as_much(place):
    tuples = tuples_of_two()
    given = Composite((tuples.image * torch.tensor([1.0, 0.9, 0.8])[:, None, None]).clamp(0, 1), ("ok", "ok"))
    where = {"whole": tuples.mask >= 0, "object": tuples.mask == 1, "background": tuples.mask == 0}[place]
    for made in (in_place(tuples, given, place), noise_in_place(tuples, given, place)):
        assert torch.equal(made.images.movedim(1, -1)[~where], tuples.image.movedim(1, -1)[~where])
        assert not torch.equal(made.images.movedim(1, -1)[where], tuples.image.movedim(1, -1)[where])
    dim = Tuples(**{**vars(tuples), "image": torch.full_like(tuples.image, 0.5)})  # far from 0 and 1: nothing is cut
    small = Composite(dim.image + 0.02, ("ok", "ok"))
    changed = (noise_in_place(dim, small, place).images - dim.image).movedim(1, -1)[where]
    assert changed.square().mean().sqrt() == pytest.approx(0.02, rel=0.1)


def test_rows_without_an_object_are_no_test_of_a_place_but_of_the_whole():
    tuples = tuples_of_two()
    bare = Tuples(**{**vars(tuples), "mask": tuples.mask * torch.tensor([1, 0], dtype=torch.uint8)[:, None, None]})
    given = Composite(tuples.image * 0.9, ("ok", "ok"))
    assert in_place(bare, given, "object").status == ("ok", "no_object")
    assert in_place(bare, given, "whole").status == ("ok", "ok")
    spoilt = Composite(given.images, ("cannot_restore", "ok"))
    assert in_place(bare, spoilt, "background").status == ("cannot_restore", "no_object")
