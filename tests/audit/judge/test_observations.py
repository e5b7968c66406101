"""Stored predictions joined into observations, by id and never by position."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.audit.judge.observations import observe as join

CLASSES = ("cat", "dog")


@pytest.fixture
def observe(strata_of):
    """Observations of the background in the tables of a run."""
    return lambda examples, predictions: join(examples, predictions, strata_of(examples), CLASSES, "background")


def test_every_observation_is_looked_up_by_its_ids(observe, make, strata_of):
    examples, predictions, plan = make(n=60, levels=("grass", "gravel", "sand"))
    found = observe(examples, predictions.sample(frac=1, random_state=0))
    assert found.levels == ("grass", "gravel", "sand")
    assert len(found) == len(plan) // 4
    assert found.incomplete == {}
    assert (found.cue, found.parts) == ("background", ("",))
    look = examples.set_index("row_id")
    half = strata_of(examples).set_index("row_id")["half"]
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
        assert found.reference[at] == index.loc[(row, 0, "reference", "own"), "predicted"].item()
        assert found.same[at] == index.loc[(row, number, "same_level", own), "predicted"].item()
        for e, level in enumerate(found.levels):
            swap = index.loc[(row, number, "swap", level)].squeeze()
            assert found.swapped[at, 0, e] == swap["predicted"]
            assert found.donor[at, e] == look.loc[swap["donor_row_id"], "cluster"]
            assert found.control[at, 0, e] == index.loc[(row, number, "control", level), "predicted"].item()
            assert found.donor_row[at, e] == swap["donor_row_id"]
            np.testing.assert_allclose(found.logits[at, 0, e], np.array(swap["logits"], dtype=float))
            control = index.loc[(row, number, "control", level)].squeeze()
            np.testing.assert_allclose(found.control_logits[at, 0, e], np.array(control["logits"], dtype=float))


@pytest.mark.parametrize("intervention", ["swap", "control"])
def test_an_arm_without_a_prediction_takes_its_whole_tuple_out(observe, make, intervention):
    examples, predictions, _ = make(n=60)
    whole = observe(examples, predictions)
    at = predictions.index[predictions["intervention"] == intervention][3]
    predictions.loc[at, ["predicted", "logits", "status"]] = [pd.NA, None, "no_visible_background"]
    found = observe(examples, predictions)
    gone = (predictions.loc[at, "row_id"], predictions.loc[at, "pass"])
    assert (len(found), found.incomplete) == (len(whole) - 1, {"no_visible_background": 1})
    assert gone not in set(zip(found.row_id, found.number, strict=True))


def test_an_unchanged_image_without_a_prediction_is_marked(observe, make):
    examples, predictions, _ = make(n=60)
    row = predictions.loc[predictions["intervention"] == "swap", "row_id"].iloc[0]
    predictions.loc[
        (predictions["row_id"] == row) & (predictions["intervention"].isin(["none", "reference"])), "predicted"
    ] = pd.NA
    found = observe(examples, predictions)
    assert set(found.original[found.row_id == row]) == set(found.reference[found.row_id == row]) == {-1}
    assert (found.original[found.row_id != row] >= 0).all()


def test_with_kept_classes_only_there_are_no_probabilities(observe, make):
    examples, predictions, _ = make(n=60)
    predictions["classes"] = [[0, 1]] * len(predictions)
    assert observe(examples, predictions).logits is None


def test_take_keeps_every_array_in_line(observe, make):
    examples, predictions, _ = make(n=60)
    found = observe(examples, predictions)
    keep = found.number == 1
    part = found.take(keep)
    assert len(part) == keep.sum()
    np.testing.assert_array_equal(part.swapped, found.swapped[keep])
    np.testing.assert_array_equal(part.logits, found.logits[keep])
    assert part.levels == found.levels


def test_a_second_donor_that_failed_costs_only_its_own_answer(observe, make):
    examples, predictions, _ = make(n=60)
    whole = observe(examples, predictions)
    at = predictions.index[predictions["intervention"] == "same_level"][3]
    predictions.loc[at, ["predicted", "logits", "status"]] = [pd.NA, None, "no_visible_background"]
    found = observe(examples, predictions)
    assert len(found) == len(whole)
    assert (found.same == -1).sum() == 1


def test_another_cue_and_a_held_one_are_kept_apart(make, strata_of):
    examples, predictions, _ = make(n=60)
    strata = strata_of(examples)
    assert join(examples, predictions, strata, CLASSES, "border") is None
    held = predictions[predictions["cue"] == "background"].assign(held="tint", predicted=1)
    both = pd.concat([predictions, held], ignore_index=True)
    free = join(examples, both, strata, CLASSES, "background")
    kept = join(examples, both, strata, CLASSES, "background", held="tint")
    assert len(free) == len(kept)
    assert set(kept.swapped.ravel()) == {1} != set(free.swapped.ravel())


def test_a_grid_is_its_own_control_in_another_cell(make, strata_of):
    examples, predictions, _ = make(n=60)
    swaps = predictions[predictions["intervention"] == "swap"]
    rng = np.random.default_rng(0)
    cells = [swaps.assign(cue="place", part=f"r0c{i}", predicted=rng.integers(0, 2, len(swaps))) for i in range(4)]
    found = join(examples, pd.concat([predictions, *cells], ignore_index=True), strata_of(examples), CLASSES, "place")
    assert found.parts == ("r0c0", "r0c1", "r0c2", "r0c3")
    assert found.swapped.shape == (len(swaps) // 2, 4, 2)
    for at in range(0, len(found), 9):
        for part in range(4):
            others = [found.swapped[at, other].tolist() for other in range(4) if other != part]
            assert found.control[at, part].tolist() in others
            matches = [found.logits[at, other] for other in range(4) if other != part]
            assert any(np.array_equal(found.control_logits[at, part], other) for other in matches)


def test_a_row_without_a_stratum_is_no_recipient(make, strata_of):
    examples, predictions, _ = make(n=60)
    strata = strata_of(examples)
    gone = predictions.loc[predictions["intervention"] == "swap", "row_id"].iloc[0]
    found = join(examples, predictions, strata[strata["row_id"] != gone], CLASSES, "background")
    assert gone not in found.row_id
