"""Errors and rank correlation of a number against scipy, scikit-learn and direct computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from figureground.audit.declared.config import Policy
from figureground.audit.judge import number_measures
from figureground.audit.judge.answers import Answers
from figureground.audit.judge.number_measures import spearman_influence


def answers(true, said, cluster=None, weight=None):
    true, said = np.asarray(true, dtype=float), np.asarray(said, dtype=float)
    return Answers(
        classes=("low", "high"),
        label=(true >= 0).astype(np.int64),
        cluster=np.array(range(len(true)) if cluster is None else cluster, dtype=object),
        correct=((said >= 0) == (true >= 0)).astype(float),
        confidence=np.full(len(true), np.nan),
        probability=None,
        weight=weight,
        true=true,
        said=said,
    )


def made(n=200, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    said = 0.6 * true + rng.normal(size=n)
    return (np.round(true), np.round(said)) if ties else (true, said)


@pytest.mark.parametrize("ties", [False, True])
def test_values_against_scikit_learn_and_scipy(ties):
    true, said = made(ties=ties)
    found = {name: measure(answers(true, said), 0.95) for name, measure in number_measures.ERRORS.items()}
    assert found["mean_absolute_error"].interval.estimate == pytest.approx(metrics.mean_absolute_error(true, said))
    assert found["bias"].interval.estimate == pytest.approx((said - true).mean())
    assert found["rank_correlation"].interval.estimate == pytest.approx(stats.spearmanr(true, said).statistic)
    area = number_measures.area(answers(true, said), 0.95).interval.estimate
    assert area == pytest.approx(metrics.roc_auc_score(true >= 0, said))


def test_errors_are_weighed_and_their_interval_is_that_of_a_mean():
    true, said = made()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(true))
    found = number_measures.mean_absolute_error(answers(true, said, weight=weight), 0.95).interval
    assert found.estimate == pytest.approx(metrics.mean_absolute_error(true, said, sample_weight=weight))
    plain = number_measures.bias(answers(true, said), 0.95).interval
    errors = said - true
    low, high = stats.t.interval(0.95, len(errors) - 1, errors.mean(), stats.sem(errors))
    assert (plain.low, plain.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("ties", [False, True])
def test_the_influence_of_a_row_is_what_its_weight_moves(ties):
    """A row's influence is the derivative of the correlation by its share of the sample."""
    x, y = made(60, ties=ties)
    rho, influence = spearman_influence(x, y)
    for row in range(0, 60, 7):
        shares = np.full(60, 1 / 60)
        step = 1e-6
        moved = weighted_spearman(x, y, shares * (1 - step) + step * (np.arange(60) == row))
        assert influence[row] * 60 == pytest.approx((moved - rho) / step, abs=1e-3)


def weighted_spearman(x, y, shares):
    """Correlation of weighted mid-distribution functions, by a double loop."""
    u, v = (np.array([(shares * ((a < b) + 0.5 * (a == b))).sum() for b in a]) for a in (x, y))
    u, v = u - (shares * u).sum(), v - (shares * v).sum()
    return (shares * u * v).sum() / np.sqrt((shares * u * u).sum() * (shares * v * v).sum())


def test_the_interval_is_as_wide_as_the_jackknife_over_clusters_says():
    true, said = made(300)
    cluster = np.arange(300) // 3
    found = number_measures.rank_correlation(answers(true, said, cluster), 0.95).interval
    left_out = [stats.spearmanr(true[cluster != g], said[cluster != g]).statistic for g in range(100)]
    jackknife = np.sqrt(99 / 100 * np.square(left_out - np.mean(left_out)).sum())
    assert found.standard_error == pytest.approx(jackknife, rel=0.05)
    assert found.n_clusters == 100


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=40))
def test_influences_sum_to_nothing_and_a_monotone_change_moves_neither(pairs):
    x, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    assume(np.ptp(x) > 0)
    assume(np.ptp(y) > 0)
    rho, influence = spearman_influence(x, y)
    assert -1 - 1e-9 <= rho <= 1 + 1e-9
    assert influence.sum() == pytest.approx(0, abs=1e-9)
    again, same = spearman_influence(np.exp(x), y**3)
    assert again == pytest.approx(rho)
    np.testing.assert_allclose(same, influence, atol=1e-9)


@pytest.mark.parametrize(
    ("true", "said", "reason"),
    [([1.0, 2.0], [1.0, 2.0], "one_value"), ([1.0] * 9, list(range(9)), "one_value"), ([], [], "one_value")],
)
def test_an_order_of_one_value_is_no_order(true, said, reason):
    assert number_measures.rank_correlation(answers(true, said), 0.95).reason == reason


def test_images_without_an_answer_are_counted_in_no_error():
    true, said = made(40)
    said[:10] = np.nan
    found = number_measures.mean_absolute_error(answers(true, said), 0.95).interval
    assert found.n == 30
    assert number_measures.bias(answers([1.0], [np.nan]), 0.95).reason == "no_number"
    assert number_measures.area(answers([1.0, 2.0], [0.0, 1.0]), 0.95).reason == "one_label"


def test_far_from_the_cut_the_area_still_tells_numbers_apart():
    """As probabilities 40 and 60 above the cut would both be 1."""
    true = np.array([-1.0] * 5 + [1.0] * 5)
    said = np.array([40.0] * 5 + [60.0] * 5)
    assert number_measures.area(answers(true, said), 0.95).interval.estimate == 1.0
    assert Policy().min_accuracy_margin > 0


def test_a_weight_of_two_is_the_row_twice_in_every_measure():
    true, said = made(80, ties=True)
    weight = np.random.default_rng(2).integers(1, 4, 80).astype(float)
    times = weight.astype(int)
    repeated = answers(np.repeat(true, times), np.repeat(said, times))
    for measure in (*number_measures.ERRORS.values(), number_measures.area):
        weighed = measure(answers(true, said, weight=weight), 0.95).interval
        assert weighed.estimate == pytest.approx(measure(repeated, 0.95).interval.estimate)
        # A row that stands for three is one unit all the same.
        by_unit = measure(answers(repeated.true, repeated.said, np.repeat(np.arange(80), times)), 0.95).interval
        assert weighed.standard_error == pytest.approx(by_unit.standard_error, rel=0.02)
