"""Areas under curves and intervals from influences: scikit-learn, scipy, the jackknife and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import average_precision_score, roc_auc_score

from figureground.audit.judge.influence import linearised, mean_influence, welch_p
from figureground.audit.judge.roc import auroc_influence, precision_influence

CURVES = [(auroc_influence, roc_auc_score), (precision_influence, average_precision_score)]


def scored(n=60, seed=0, digits=1):
    """Scores with many ties."""
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    return np.round(rng.normal(size=n) + positive, digits), positive


@pytest.mark.parametrize(("curve", "reference"), CURVES)
@pytest.mark.parametrize("digits", [0, 1, 8])
def test_areas_are_those_of_scikit_learn_ties_included(curve, reference, digits):
    score, positive = scored(digits=digits)
    assert curve(score, positive)[0] == pytest.approx(reference(positive, score))


@pytest.mark.parametrize(("curve", "reference"), CURVES)
def test_influences_are_the_derivatives_by_the_weights(curve, reference):
    score, positive = scored()
    influence = curve(score, positive)[1]
    step = 1e-6
    for row in range(0, 60, 7):
        weights = np.ones(60)
        weights[row] += step
        numeric = (reference(positive, score, sample_weight=weights) - reference(positive, score)) / step
        assert influence[row] == pytest.approx(numeric, abs=1e-5)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=25))
def test_areas_stay_in_range_and_a_turned_score_turns_the_area(rows):
    score, positive = np.array([float(s) for s, _ in rows]), np.array([p for _, p in rows])
    if positive.all() or not positive.any():
        return
    area = auroc_influence(score, positive)[0]
    assert auroc_influence(-score, positive)[0] == pytest.approx(1 - area)
    assert 0 <= precision_influence(score, positive)[0] <= 1
    assert precision_influence(np.zeros(len(score)), positive)[0] == pytest.approx(positive.mean())


def test_the_variance_of_two_strata_is_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 12), rng.normal(1, 3, 30)
    influence = np.concatenate([mean_influence(a), -mean_influence(b)])
    found = linearised(a.mean() - b.mean(), influence, np.arange(42), strata=np.repeat([0, 1], [12, 30]), bounds=None)
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.df == pytest.approx(expected.df)
    assert welch_p(found) == pytest.approx(expected.pvalue)


def test_the_stratified_area_is_the_test_of_brunner_and_munzel():
    score, positive = scored()
    area, influence = auroc_influence(score, positive)
    found = linearised(area - 0.5, influence, np.arange(60), strata=positive, bounds=None)
    expected = stats.brunnermunzel(score[~positive], score[positive])
    assert abs(found.estimate / found.standard_error) == pytest.approx(abs(expected.statistic))
    assert welch_p(found) == pytest.approx(expected.pvalue)


def test_one_stratum_is_t_on_the_logit():
    values = np.random.default_rng(2).uniform(0.5, 0.9, 25)
    found = linearised(values.mean(), mean_influence(values), np.arange(25))
    m, half = values.mean(), stats.t.ppf(0.975, 24) * stats.sem(values)
    expected = special.expit(special.logit(m) + np.array([-1, 1]) * half / (m * (1 - m)))
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.standard_error == pytest.approx(stats.sem(values))


def test_copies_of_a_cluster_are_no_evidence_and_one_cluster_has_no_interval():
    score, positive = scored()
    area, influence = auroc_influence(score, positive)
    once = linearised(area, influence, np.arange(60), strata=positive)
    tripled = auroc_influence(np.tile(score, 3), np.tile(positive, 3))
    often = linearised(tripled[0], tripled[1], np.tile(np.arange(60), 3), strata=np.tile(positive, 3))
    assert (often.low, often.high, often.n_clusters) == pytest.approx((once.low, once.high, 60))
    alone = linearised(area, influence, np.zeros(60))
    assert np.isnan([alone.low, alone.high]).all()
    assert np.isnan(linearised(np.nan, [], []).low)


def test_perfect_separation_is_not_certainty():
    area, influence = auroc_influence(np.arange(20.0), np.arange(20) >= 5)
    found = linearised(area, influence, np.arange(20), strata=np.arange(20) >= 5)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 5))


@pytest.mark.slow
@pytest.mark.parametrize("per_cluster", [1, 3])
@pytest.mark.parametrize("curve", [auroc_influence, precision_influence])
def test_intervals_cover_the_true_area(curve, per_cluster):
    """40 clusters; 600 repetitions: a simulation error of about 0.9 points."""

    def draw(groups, rng):
        positive = np.arange(groups) % 2 == 0
        shared = rng.normal(0, 0.7, groups)
        score = np.repeat(positive * 1.0 + shared, per_cluster) + rng.normal(0, 0.7, groups * per_cluster)
        return score, np.repeat(positive, per_cluster), np.repeat(np.arange(groups), per_cluster)

    truth = curve(*draw(200_000, np.random.default_rng(99))[:2])[0]
    hits = 0
    for seed in range(600):
        score, positive, clusters = draw(40, np.random.default_rng(seed))
        estimate, influence = curve(score, positive)
        interval = linearised(estimate, influence, clusters, strata=positive)
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / 600 <= 0.98


@pytest.mark.parametrize(("curve", "reference"), CURVES)
@pytest.mark.parametrize("digits", [0, 8])
def test_areas_and_influences_with_design_weights(curve, reference, digits):
    score, positive = scored(digits=digits)
    weights = np.random.default_rng(7).uniform(0.5, 3, len(score))
    area, influence = curve(score, positive, weights)
    assert area == pytest.approx(reference(positive, score, sample_weight=weights))
    step = 1e-6
    for row in range(0, 60, 7):
        moved = weights + step * (np.arange(60) == row)
        numeric = (reference(positive, score, sample_weight=moved) - area) / step
        assert influence[row] == pytest.approx(weights[row] * numeric, abs=1e-5)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
