"""Plain interventions on models whose answer is known, through Lightning and back from the run folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from figureground.audit.classify.subject import as_subject
from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.judge.plain import plain_tests
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder, read_table
from figureground.audit.measure.plain.interventions import PlainStage
from figureground.audit.measure.plain.sample import partners, plain_sample, pool_colour
from figureground.audit.measure.prediction_rows import prediction_rows
from figureground.audit.progress import silent
from figureground.datasets.datamodule import rows_of
from figureground.datasets.transforms import Preprocess

CLASSES = ("cat", "dog")
GROUND = {"grass": 0.3, "gravel": 0.7}
FIGURE = {"cat": 0.3, "dog": 0.9}
CONDITIONS = 26


def paint(row, figure, rng):
    """Figure in red, ground in green; figures have no green and grounds no red."""
    image = torch.zeros(3, *figure.shape)
    image[0] = torch.where(figure, FIGURE[row.label], 0.0)
    noise = torch.from_numpy(0.1 * rng.random(tuple(figure.shape), dtype=np.float32))
    image[1] = torch.where(figure, 0.0, GROUND[row.environment] + noise)
    return image


class GroundReader(nn.Module):
    """Says what the mean of the ground says: only pixels that are much green and hardly red are ground."""

    classes = CLASSES

    def forward(self, x):
        ground = (x[:, 1] > 0.15) & (x[:, 0] < 0.05)
        green = (x[:, 1] * ground).sum(dim=(1, 2)) / ground.sum(dim=(1, 2)).clamp(min=1)
        return torch.stack([0.52 - green, green - 0.52], dim=1)


class FigureReader(nn.Module):
    """Says how red the reddest pixel is; grounds have no red."""

    classes = CLASSES

    def forward(self, x):
        red = x[:, 0].amax(dim=(1, 2))
        return torch.stack([0.6 - red, red - 0.6], dim=1)


def unchanged(folder, module, frame, reader):
    """The predictions of the unchanged pictures, as the measuring stage leaves them."""
    items = [reader(row)["image"] for row in rows_of(frame)]
    with torch.inference_mode():
        logits = module(torch.stack(items)).numpy()
    rows = prediction_rows(
        logits, kept=None, row_id=frame["row_id"], cue="none", intervention="none", arm="own", **{"pass": 0}
    )
    folder.write_table("predictions/part-measure-00000.parquet", rows, tables.PREDICTIONS)


def streamed(path, module, frame, reader, sample, batch_size=16, seed=0):
    folder = RunFolder.create(path)
    unchanged(folder, module, frame, reader)
    subject = as_subject(module, transform=Preprocess())
    cost = PlainStage(subject, rows_of(frame), reader, folder, batch_size, seed, silent)(sample)
    return cost, read_table(folder.path, "predictions")


def estimates(frame, rows):
    """Estimate of every test by (test, arm, part, reference, dose)."""
    found = plain_tests(frame, rows, CLASSES, Policy())
    keys = ("test", "arm", "part", "reference", "dose")
    return {tuple(row.get(key) for key in keys): row for row in found}


@pytest.fixture(scope="module")
def aligned(world, reader, strata_of, tmp_path_factory):
    """Every label has its own ground, so either reader is always right."""
    frame, pictures = world(80, paint, aligned=True)
    sample = plain_sample(frame, strata_of(frame)[0], 60, 0, masked=True)
    found = {}
    for name, module in (("ground", GroundReader()), ("figure", FigureReader())):
        path = tmp_path_factory.mktemp("plain") / name
        found[name] = streamed(path, module, frame, reader(pictures), sample)
    return frame, sample, found


def test_every_forward_pass_is_counted(aligned):
    _, sample, found = aligned
    cost, rows = found["figure"]
    plainly = rows[rows["intervention"].isin(plain.INTERVENTIONS)]
    assert len(plainly) == CONDITIONS * len(sample)
    assert cost.forward_equivalents == (plainly["status"] == "ok").sum()
    assert cost.images == len(sample) <= 60
    keys = ["row_id", "cue", "intervention", "arm", "part", "dose", "pass"]
    assert not plainly.duplicated(keys).any()


def test_a_reader_of_the_figure_never_changes_its_answer_with_the_background(aligned):
    frame, _, found = aligned
    tests = estimates(frame, found["figure"][1])
    for kind in (plain.BLANK, plain.BLUR, plain.SHUFFLE):
        for test in plain.MEASURES:
            assert tests[test, kind, "background", None, 1.0]["estimate"] == pytest.approx(0, abs=1e-6)
    # the same number of pixels from the object outwards takes the figure with it
    assert tests[plain.CHANGED, plain.BLANK, "equal_area", None, 1.0]["estimate"] > 0.4
    minus = tests[plain.CHANGED, plain.BLANK, "background", "equal_area", 1.0]
    assert minus["estimate"] == -tests[plain.CHANGED, plain.BLANK, "equal_area", None, 1.0]["estimate"]
    assert minus["ci_high"] < 0
    assert tests[plain.ALONE, plain.ONLY, plain.POOL_MEAN, None, 1.0]["estimate"] == 1
    removed = tests[plain.ABOVE_CHANCE, plain.REMOVED, plain.BOX, None, 1.0]
    assert removed["estimate"] <= 0
    assert tests[plain.LEAK, plain.REMOVED, plain.DILATED, plain.BOX, 1.0]["estimate"] == 0


def test_a_reader_of_the_grounds_mean_keeps_its_accuracy_without_any_object(aligned):
    frame, sample, found = aligned
    tests = estimates(frame, found["ground"][1])
    # a blank in the ground's own mean colour tells such a model all it wants to know; that of all rows tells nothing
    assert tests[plain.CHANGED, plain.BLANK, "background", None, 1.0]["estimate"] == 0
    assert tests[plain.ALONE, plain.ONLY, plain.OWN_MEAN, None, 1.0]["estimate"] == 1
    share = frame.set_index("row_id")["label"].reindex(sample["row_id"]).value_counts(normalize=True)
    nothing = tests[plain.ALONE, plain.ONLY, plain.POOL_MEAN, None, 1.0]["estimate"]
    assert nothing in share.round(12).tolist() or any(nothing == pytest.approx(value) for value in share)
    for part in (plain.DILATED, plain.BOX):
        assert tests[plain.ALONE, plain.REMOVED, part, None, 1.0]["estimate"] == 1
        above = tests[plain.ABOVE_CHANCE, plain.REMOVED, part, None, 1.0]
        assert above["estimate"] == pytest.approx(1 - share.max())
        assert above["ci_low"] > 0


def test_batch_size_and_the_order_of_the_sample_do_not_matter(aligned, world, reader, tmp_path):
    frame, pictures = world(80, paint, aligned=True)
    _, sample, found = aligned
    turned = sample.sample(frac=1, random_state=3).sort_values("row_id").reset_index(drop=True)
    for size, drawn in ((1, sample.head(12)), (7, turned)):
        rows = streamed(tmp_path / str(size), FigureReader(), frame, reader(pictures), drawn, batch_size=size)[1]
        keys = ["row_id", "intervention", "part", "dose"]
        wanted = found["figure"][1]
        if size == 1:  # partners and the pool are those of the sample, so only what needs neither is the same
            alone = (rows["part"] != plain.ELSEWHERE) & (rows["part"] != plain.POOL_MEAN)
            rows = rows[alone & rows["row_id"].isin(drawn["row_id"])]
            wanted = wanted.merge(rows[keys], on=keys)
        left, right = (one.sort_values(keys).reset_index(drop=True) for one in (rows, wanted))
        for name in ("predicted", "status"):
            assert left[name].tolist() == right[name].tolist()
        usable = (left["status"] == "ok").to_numpy()
        first, second = (np.stack(one.loc[usable, "logits"]) for one in (left, right))
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_another_seed_draws_other_noise(aligned, world, reader, tmp_path):
    frame, pictures = world(80, paint, aligned=True)
    _, sample, found = aligned
    rows = streamed(tmp_path / "seed", FigureReader(), frame, reader(pictures), sample, seed=1)[1]
    noisy = [
        np.stack(
            one[(one["intervention"] == plain.NOISE) & (one["part"] == "object")].sort_values(["row_id", "dose"])[
                "logits"
            ]
        )
        for one in (rows, found["figure"][1])
    ]
    assert not np.allclose(noisy[0], noisy[1])


def test_rows_without_masks_are_not_drawn_and_without_any_nothing_is_run(world, reader, strata_of, tmp_path):
    frame, pictures = world(40, paint)
    frame.loc[:9, "object_area"] = np.nan
    strata = strata_of(frame)[0]
    sample = plain_sample(frame, strata, 200, 0, masked=True)
    assert set(sample["row_id"]) == set(frame.loc[10:, "row_id"])
    assert len(plain_sample(frame, strata, 200, 0, masked=False)) == 40
    bare = frame.assign(object_area=np.nan)
    nothing = plain_sample(bare, strata, 200, 0, masked=True)
    cost, rows = streamed(tmp_path / "bare", FigureReader(), bare, reader(pictures), nothing)
    assert (cost.images, cost.forward_equivalents) == (0, 0)
    assert set(rows["intervention"]) == {"none"}
    assert plain_tests(bare, rows, CLASSES, Policy()) == []


def test_the_sample_is_whole_clusters_of_the_subsample(world, strata_of):
    frame, _ = world(120, paint, per_cluster=3)
    strata = strata_of(frame, subsample=60)[0]
    inside = set(strata.loc[strata["subsample"], "row_id"])
    sample = plain_sample(frame, strata, 30, 0, masked=True)
    assert set(sample["row_id"]) <= inside
    assert 20 < len(sample) <= 30
    counts = frame[frame["row_id"].isin(sample["row_id"])].groupby("cluster").size()
    assert (counts == frame.groupby("cluster").size().reindex(counts.index)).all()
    shuffled = plain_sample(
        frame.sample(frac=1, random_state=1), strata.sample(frac=1, random_state=2), 30, 0, masked=True
    )
    pd.testing.assert_frame_equal(sample, shuffled)


def test_partners_are_of_other_clusters_and_the_pool_counts_rows_alike(world, reader):
    frame, pictures = world(20, paint)
    found = partners(frame[["row_id", "cluster"]], 0)
    cluster = frame.set_index("row_id")["cluster"]
    assert all(cluster[row] != cluster[other] for row, other in found.items())
    assert set(partners(frame.head(2)[["row_id", "cluster"]], 0).values()) == {-1}
    colour = pool_colour(rows_of(frame), reader(pictures))
    means = [image[:, mask == 0].mean(dim=1) for image, mask in pictures.values()]
    torch.testing.assert_close(colour, torch.stack(means).mean(dim=0))


def test_rows_that_are_no_test_are_counted_with_their_reason(world, reader, strata_of, tmp_path):
    frame, pictures = world(40, paint, fixed=True)  # all objects in one place: no hole can move
    sample = plain_sample(frame, strata_of(frame)[0], 200, 0, masked=True)
    rows = streamed(tmp_path / "run", FigureReader(), frame, reader(pictures), sample)[1]
    tests = estimates(frame, rows)
    left = tests[plain.LEFT_OUT, plain.BLANK, "elsewhere", None, 1.0]
    assert (left["estimate"], left["reason"]) == (1.0, "40 no_other_place")
    assert tests[plain.CHANGED, plain.BLANK, "elsewhere", None, 1.0]["status"] == "absent"
    assert (plain.LEFT_OUT, plain.BLANK, "background", None, 1.0) not in tests
