"""Stored predictions joined into observations, by id and never by position."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from figureground.audit.judge.observations import observe
from figureground.audit.recipients import split_halves, swap_rows

CLASSES = ("cat", "dog")


def test_every_observation_is_looked_up_by_its_ids(make):
    examples, predictions, plan = make(n=60, levels=("grass", "gravel", "sand"))
    found = observe(examples, predictions.sample(frac=1, random_state=0), CLASSES, 0)
    assert found.levels == ("grass", "gravel", "sand")
    assert len(found) == len(plan) // 4
    assert found.incomplete == 0
    look, rows = examples.set_index("row_id"), swap_rows(examples)
    half = dict(zip(rows["row_id"], split_halves(rows, 0), strict=True))
    index = predictions.set_index(["row_id", "pass", "intervention", "arm"]).sort_index()
    for at in range(0, len(found), 7):
        row, number = found.row_id[at], found.number[at]
        own = look.loc[row, "environment"]
        assert found.levels[found.own[at]] == own
        assert (found.recipient[at], found.half[at], CLASSES[found.label[at]]) == (
            look.loc[row, "cluster"],
            half[row],
            look.loc[row, "label"],
        )
        assert found.original[at] == index.loc[(row, 0, "none", "own"), "predicted"].item()
        assert found.mirrored[at] == index.loc[(row, 0, "mirrored", "own"), "predicted"].item()
        assert found.same[at] == index.loc[(row, number, "same_level", own), "predicted"].item()
        for e, level in enumerate(found.levels):
            swap = index.loc[(row, number, "swap", level)].squeeze()
            assert found.swapped[at, e] == swap["predicted"]
            assert found.donor[at, e] == look.loc[swap["donor_row_id"], "cluster"]
            assert found.common[at, e] == index.loc[(row, number, "common_background", level), "predicted"].item()
            np.testing.assert_allclose(found.probability[at, e], softmax(np.array(swap["logits"], dtype=float)))


@pytest.mark.parametrize("intervention", ["swap", "common_background", "same_level"])
def test_an_arm_without_a_prediction_takes_its_whole_tuple_out(make, intervention):
    examples, predictions, _ = make(n=60)
    whole = observe(examples, predictions, CLASSES, 0)
    at = predictions.index[predictions["intervention"] == intervention][3]
    predictions.loc[at, ["predicted", "logits", "status"]] = [pd.NA, None, "no_visible_background"]
    found = observe(examples, predictions, CLASSES, 0)
    gone = (predictions.loc[at, "row_id"], predictions.loc[at, "pass"])
    assert (len(found), found.incomplete) == (len(whole) - 1, 1)
    assert gone not in set(zip(found.row_id, found.number, strict=True))


def test_an_unchanged_image_without_a_prediction_is_marked(make):
    examples, predictions, _ = make(n=60)
    row = predictions.loc[predictions["intervention"] == "swap", "row_id"].iloc[0]
    predictions.loc[
        (predictions["row_id"] == row) & (predictions["intervention"].isin(["none", "mirrored"])), "predicted"
    ] = pd.NA
    found = observe(examples, predictions, CLASSES, 0)
    assert set(found.original[found.row_id == row]) == set(found.mirrored[found.row_id == row]) == {-1}
    assert (found.original[found.row_id != row] >= 0).all()


def test_with_kept_classes_only_there_are_no_probabilities(make):
    examples, predictions, _ = make(n=60)
    predictions["classes"] = [[0, 1]] * len(predictions)
    assert observe(examples, predictions, CLASSES, 0).probability is None


def test_take_keeps_every_array_in_line(make):
    examples, predictions, _ = make(n=60)
    found = observe(examples, predictions, CLASSES, 0)
    keep = found.number == 1
    part = found.take(keep)
    assert len(part) == keep.sum()
    np.testing.assert_array_equal(part.swapped, found.swapped[keep])
    np.testing.assert_array_equal(part.probability, found.probability[keep])
    assert part.levels == found.levels
