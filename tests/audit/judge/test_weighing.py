"""Design weights from the table to every weighted estimate, against scikit-learn and against a run without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from figureground.audit.declared.config import Policy
from figureground.audit.judge.answers import answers_of
from figureground.audit.judge.contrast import DonorContrast
from figureground.audit.judge.effects import Clusterings
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.measures import PerformanceTable
from figureground.audit.judge.observations import observe
from figureground.audit.judge.performance import scored
from figureground.audit.judge.subgroups import SubgroupTable
from figureground.audit.judge.weighing import weights_of
from figureground.audit.judge.worst_group import group_weighted, simultaneous_lows
from figureground.audit.keeping.tables import ALL
from figureground.errors import IntegrityError

CLASSES = ("cat", "dog")


def weigh(examples):
    """Dogs on gravel were drawn at a tenth of the rate of all others."""
    rare = (examples["label"] == "dog") & (examples["environment"] == "gravel")
    return examples.assign(weight=np.where(rare, 10.0, 1.0))


@pytest.fixture(scope="module")
def run(make):
    examples, predictions, _ = make(reliance=0.6, n=160)
    return examples, predictions


def only(table, measure):
    whole = table[(table["measure"] == measure) & (table["attribute"] == ALL) & (table["label"] == ALL)]
    return whole.iloc[0]


def test_performance_is_that_of_scikit_learn_with_sample_weights(run):
    examples, predictions = weigh(run[0]), run[1]
    rows = scored(examples, predictions, CLASSES)
    known = rows[rows["correct"].notna()]
    truth, said, w = known["label"], known["predicted"], known["weight"]
    answers = answers_of(rows, predictions, CLASSES)
    table = PerformanceTable(Policy())(rows, (), answers)
    expected = metrics.balanced_accuracy_score(truth, said, sample_weight=w)
    assert only(table, "balanced_accuracy")["estimate"] == pytest.approx(expected)
    assert only(table, "sensitivity")["estimate"] == pytest.approx(
        metrics.recall_score(truth, said, pos_label="dog", sample_weight=w)
    )
    brier = metrics.brier_score_loss(truth, answers.probability[:, 1], sample_weight=w, pos_label="dog")
    assert only(table, "brier")["estimate"] == pytest.approx(brier)
    accuracy = only(SubgroupTable(Policy(), _no_maps())(rows, ()), "accuracy")
    assert accuracy["estimate"] == pytest.approx(metrics.accuracy_score(truth, said, sample_weight=w))
    assert accuracy["ci_low"] < accuracy["estimate"] < accuracy["ci_high"]
    assert abs(accuracy["estimate"] - metrics.accuracy_score(truth, said)) > 0.02


def _no_maps():
    return pd.DataFrame(columns=["row_id", "method", "sign", "status", "reason", "ldr", "background_share"]).assign(
        background_area=None, bleed_floor=None
    )


def test_the_contrast_is_weighted_by_recipient(run, strata_of):
    examples, predictions = run
    strata = strata_of(examples)
    plain = observe(examples, predictions, strata, CLASSES, "background")
    seen = observe(weigh(examples), predictions, strata, CLASSES, "background")
    assert plain.weight is None
    assert set(seen.weight) == {1.0, 10.0}
    contrast = DonorContrast(Policy(), 0)(seen)
    values = contrast.primary.values(seen, "decision")
    assert contrast.effect.estimate == pytest.approx(np.average(values, weights=seen.weight))
    assert contrast.effect.estimate != pytest.approx(values.mean(), abs=1e-3)
    # The Kish size is smaller, and so is what can be known.
    widths = [c.effect.high - c.effect.low for c in (contrast, DonorContrast(Policy(), 0)(plain))]
    assert widths[0] > widths[1]
    assert len(Clusterings.of(seen).recipient) == len(seen.weight)


def test_weights_that_are_all_the_same_leave_a_contrast_as_it_is(run, strata_of):
    examples, predictions = run
    strata = strata_of(examples)
    same = observe(examples.assign(weight=3.0), predictions, strata, CLASSES, "background")
    plain = observe(examples, predictions, strata, CLASSES, "background")
    assert same.weight is None
    pd.testing.assert_frame_equal(DonorContrast(Policy(), 0)(same).tests, DonorContrast(Policy(), 0)(plain).tests)


def test_bounds_and_averages_of_groups_are_weighted(run):
    rows = scored(weigh(run[0]), run[1], CLASSES)
    rows = rows[rows["correct"].notna()]
    correct, clusters, w = (rows[name].to_numpy() for name in ("correct", "cluster", "weight"))
    members = [(rows["label"] == name).to_numpy() for name in CLASSES]
    found = group_weighted(correct, clusters, members, 0.95, w)
    assert found.estimate == pytest.approx(np.mean([np.average(correct[m], weights=w[m]) for m in members]))
    same = np.full(len(w), 4.0)
    plain, equal = (simultaneous_lows(correct, clusters, members, 0.05, 0, weights) for weights in (None, same))
    assert equal == pytest.approx(plain)
    for low, m, before in zip(simultaneous_lows(correct, clusters, members, 0.05, 0, w), members, plain, strict=True):
        assert np.average(correct[m], weights=w[m]) - 0.4 < low < np.average(correct[m], weights=w[m])
        assert (w[m].min() == w[m].max()) == (low == pytest.approx(before, abs=0.01))


def test_weights_are_for_all_usable_rows_or_for_none():
    rows = pd.DataFrame({"weight": [1.0, 2.0, np.nan]})
    with pytest.raises(IntegrityError, match="1 usable rows without a weight"):
        weights_of(rows)
    assert weights_of(rows[:2]).tolist() == [1.0, 2.0]
    assert weights_of(rows[:1]) is None
    assert weights_of(rows[2:]) is None
    assert weights_of(pd.DataFrame({"a": [1]})) is None
    assert group_rows(pd.DataFrame({"label": ["a"]}), (), None).groups == ()
