"""Design weights: against weighted least squares of statsmodels, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import WLS

from figureground.audit.judge import clustered, intervals
from figureground.errors import UsageError

KINDS = {
    "mean_t": lambda v, c, w: intervals.mean_t(v, c, weights=w, bounds=(0.0, 1.0)),
    "logit_t": lambda v, c, w: intervals.logit_t(v, c, weights=w),
    "clustered_wilson": lambda v, c, w: intervals.clustered_wilson(v, c, weights=w),
    "multiway_mean": lambda v, c, w: clustered.multiway_mean(v, c, weights=w, bounds=(0.0, 1.0)),
}


def drawn(seed=0, groups=24, rates=(0.5, 0.05)):
    """0/1 observations of clusters from two strata, with the weight of each."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    values = (rng.random(codes.size) < rng.beta(2, 2, groups)[codes]).astype(float)
    return values, codes, (1 / np.array(rates))[codes % 2]


def jackknife(values, codes, weights):
    """Variance of the weighted mean from all means without one cluster."""
    whole, groups = np.average(values, weights=weights), np.unique(codes)
    left = [np.average(values[codes != g], weights=weights[codes != g]) for g in groups]
    return (groups.size - 1) / groups.size * np.square(np.array(left) - whole).sum()


def sandwich(values, codes, weights):
    """Weighted mean and its cluster-robust standard error, fitted by statsmodels."""
    fit = WLS(values, np.ones((values.size, 1)), weights=weights)
    robust = fit.fit(cov_type="cluster", cov_kwds={"groups": codes})
    return float(robust.params[0]), float(robust.bse[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_weighted_mean_is_that_of_weighted_least_squares_with_clustered_errors(seed):
    values, codes, weights = drawn(seed)
    estimate, error = sandwich(values, codes, weights)
    found = clustered.multiway_mean(values, codes, weights=weights)
    assert found.estimate == pytest.approx(estimate, rel=1e-10)
    assert found.standard_error == pytest.approx(np.sqrt(jackknife(values, codes, weights)), rel=1e-10)
    assert found.standard_error == pytest.approx(error, rel=0.15)
    share = intervals.clustered_wilson(values, codes, weights=weights)
    assert (share.estimate, share.standard_error) == pytest.approx((estimate, error), rel=1e-10)
    assert (found.n, found.n_clusters) == (share.n, share.n_clusters) == (values.size, 24)


@pytest.mark.parametrize("seed", range(4))
def test_weighted_cluster_means_are_those_of_weighted_least_squares(seed):
    values, codes, weights = drawn(seed)
    means, by_cluster = intervals.cluster_means(values, codes), intervals.cluster_means(weights, codes)
    fit = WLS(means, np.ones((means.size, 1)), weights=by_cluster).fit(cov_type="HC1")
    found = intervals.mean_t(values, codes, weights=weights)
    assert (found.estimate, found.standard_error) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-10)
    logit = intervals.logit_t(values, codes, weights=weights)
    assert (logit.estimate, logit.standard_error) == (found.estimate, found.standard_error)
    assert 0 < logit.low < logit.estimate < logit.high < 1


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e6))
def test_equal_weights_change_nothing_to_the_last_bit(kind, seed, weight):
    values, codes, _ = drawn(seed)
    assert KINDS[kind](values, codes, np.full(values.size, weight)) == KINDS[kind](values, codes, None)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(kind, seed, scale):
    values, codes, weights = drawn(seed)
    expected, found = KINDS[kind](values, codes, weights), KINDS[kind](values, codes, scale * weights)
    assert (found.estimate, found.low, found.high) == pytest.approx((expected.estimate, expected.low, expected.high))


def test_a_weight_of_two_counts_twice():
    values, codes = np.array([0.0, 1.0, 1.0, 0.0, 1.0]), np.arange(5)
    weights = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    repeated = np.repeat(values, weights.astype(int)).mean()
    for kind in KINDS.values():
        assert kind(values, codes, weights).estimate == pytest.approx(repeated)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_where_all_agree_the_bound_is_that_of_fewer_clusters(kind, value):
    codes, weights = np.arange(20), np.where(np.arange(20) < 10, 9.0, 1.0)
    found, plain = (KINDS[kind](np.full(20, value), codes, w) for w in (weights, None))
    assert found.estimate == value
    assert found.high - found.low > plain.high - plain.low
    assert (found.low == value) or (found.high == value)


def test_the_weight_of_a_missing_value_does_not_matter():
    values, codes, weights = drawn(3)
    values[::5] = np.nan
    known = ~np.isnan(values)
    moved = np.where(known, weights, np.nan)
    for kind in KINDS.values():
        assert kind(values, codes, moved) == kind(values[known], codes[known], weights[known])


def test_influences_give_the_variance_and_sum_to_zero():
    values, codes, weights = drawn(5)
    influence = clustered.cluster_influence(values, codes, weights)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    others = 1 - np.bincount(codes, weights=weights) / weights.sum()
    expected = 23 / 24 * np.square(influence / others).sum()
    assert clustered.multiway_variance(values, codes, weights=weights) == pytest.approx(expected)
    joint = clustered.multiway_means(np.column_stack([values, 1 - values]), codes, [(), ()], weights=weights)
    assert joint.influence == pytest.approx(np.column_stack([influence, -influence]))


def test_degrees_of_freedom_are_those_of_the_clusters_that_carry_the_weight():
    codes = np.arange(12)
    assert intervals.degrees_of_freedom(codes, None) == 11
    heavy = np.where(codes < 6, 1e6, 1.0)
    assert intervals.degrees_of_freedom(codes, heavy) == pytest.approx(5, abs=1e-6)
    assert intervals.effective_clusters(codes, heavy) == pytest.approx(6, abs=1e-4)
    assert intervals.degrees_of_freedom(codes, np.where(codes == 0, 1e6, 1.0)) == 1


@pytest.mark.parametrize("weights", [[1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, np.nan, 1.0], [1.0, np.inf, 1.0], [1.0]])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_weight_is_refused(kind, weights):
    with pytest.raises(UsageError, match="weights"):
        KINDS[kind]([0.0, 1.0, 0.0], [1, 2, 3], weights)


@pytest.mark.parametrize("kind", KINDS)
def test_one_cluster_or_none_has_no_interval(kind):
    one = KINDS[kind]([0.0, 1.0], [1, 1], [2.0, 3.0])
    assert np.isnan(one.low)
    assert one.n_clusters == 1
    assert np.isnan(KINDS[kind]([], [], []).estimate)


def stratified(rng, groups, shares, rates, spread):
    """A stratified draw of whole clusters: exchanges in {-1, 0, 1}, answers in {0, 1}, clusters, weights."""
    sizes = np.round(groups * np.array(rates) / np.sum(rates)).astype(int)
    stratum = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.clip(rng.beta(6, 4, stratum.size) + np.array(spread)[stratum], 0.02, 0.98)
    codes = np.repeat(np.arange(stratum.size), rng.integers(1, 6, stratum.size))
    answers = (rng.random(codes.size) < chance[codes]).astype(float)
    effect = (rng.random(codes.size) < 0.3) * np.where(rng.random(codes.size) < 0.5 + 0.3 * chance[codes], 1.0, -1.0)
    return effect, answers, codes, (np.array(shares) / sizes)[stratum[codes]]


@pytest.mark.parametrize("groups", [30, 60])
@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.8, 0.15, 0.05)])
def test_coverage_of_weighted_stratified_cluster_samples(groups, shares):
    """From 30 clusters on 93 to 97 % (± 2.6 simulation errors) where strata differ little, more where they differ."""
    rng, rates, spread, draws = np.random.default_rng(groups), (0.3, 0.3, 0.4), (0.0, 0.05, -0.05), 900
    population = stratified(rng, 60_000, shares, rates, spread)
    truth = [clustered.multiway_mean(v, population[2], weights=population[3]).estimate for v in population[:2]]
    level_of_answers = intervals.mean_t(population[1], population[2], weights=population[3]).estimate
    hits = np.zeros(3)
    for _ in range(draws):
        effect, answers, codes, weights = stratified(rng, groups, shares, rates, spread)
        found = [
            (clustered.multiway_mean(effect, codes, weights=weights), truth[0]),
            (intervals.clustered_wilson(answers, codes, weights=weights), truth[1]),
            (intervals.logit_t(answers, codes, weights=weights), level_of_answers),
        ]
        hits += [interval.low <= value <= interval.high for interval, value in found]
    error = 2.6 * np.sqrt(0.95 * 0.05 / draws)
    assert (hits / draws >= 0.93 - error).all(), hits / draws
    assert (hits / draws <= 0.97 + error).all(), hits / draws
