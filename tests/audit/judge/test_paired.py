"""The score interval of paired differences: against maximised likelihoods, Wilson, McNemar, and by properties."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.paired import PairedInterval

COUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(2, 60))


def decisions(plus, minus, rest):
    return np.concatenate([np.ones(plus), -np.ones(minus), np.zeros(rest)])


def independent(plus, minus, rest, level=0.95):
    """Every observation is a cluster of its own."""
    values = decisions(plus, minus, rest)
    return multiway_mean(values, np.arange(values.size), level=level)


def tango(plus, minus, n, effect):
    """The variance under ``effect`` with the shares at which a trinomial likelihood is largest, found by search."""

    def lost(share):  # of -1; that of 1 is share + effect
        terms = ((plus, share + effect), (minus, share), (n - plus - minus, 1 - 2 * share - effect))
        return -sum(count * math.log(max(chance, 1e-300)) for count, chance in terms if count)

    low, high = max(0.0, -effect), (1 - effect) / 2
    share = optimize.minimize_scalar(lost, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (plus - minus - n * effect) / math.sqrt(n * (2 * share + effect - effect**2))


@pytest.mark.parametrize(("plus", "minus", "rest"), [(9, 3, 20), (1, 0, 29), (0, 4, 36), (20, 2, 8), (5, 5, 5)])
@pytest.mark.parametrize("effect", [-0.4, -0.05, 0.03, 0.1, 0.55])
def test_the_statistic_is_that_of_the_maximised_likelihood(plus, minus, rest, effect):
    n, found = plus + minus + rest, independent(plus, minus, rest)
    assert isinstance(found, PairedInterval)
    assert found.jump == 1.0
    # The jackknife variance of n independent observations has n - 1 in it, Tango's statistic has n.
    scaled = found.statistic(effect) * math.sqrt(n / (n - 1))
    assert scaled == pytest.approx(tango(plus, minus, n, effect), abs=1e-4)


@pytest.mark.parametrize(("hits", "n"), [(3, 40), (12, 40), (30, 40), (1, 200)])
def test_with_changes_of_one_sign_the_upper_bound_is_that_of_wilson(hits, n):
    found = independent(hits, 0, n - hits)
    z = stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))
    expected = stats.binomtest(hits, n).proportion_ci(2 * stats.norm.cdf(z) - 1, "wilson").high
    assert found.high == pytest.approx(expected, abs=1e-6)


@given(COUNTS)
def test_at_no_effect_the_statistic_is_that_of_mcnemar(counts):
    plus, minus, rest = counts
    if plus + minus == 0:
        return
    found, n = independent(plus, minus, rest), sum(counts)
    expected = (plus - minus) / math.sqrt(plus + minus) * math.sqrt((n - 1) / n)
    assert found.statistic(0.0) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, st.sampled_from([0.8, 0.9, 0.95]))
@settings(deadline=None)
def test_bounds_hold_the_estimate_mirror_with_the_arms_and_widen_with_the_level(counts, level):
    found, mirrored = independent(*counts, level), independent(counts[1], counts[0], counts[2], level)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    wider = independent(*counts, 0.99)
    assert wider.low <= found.low + 1e-9
    assert wider.high >= found.high - 1e-9


@given(COUNTS, st.lists(st.floats(-0.99, 0.99), min_size=2, max_size=6))
def test_the_statistic_falls_as_the_effect_grows(counts, effects):
    found = independent(*counts)
    if found.standard_error == 0:
        return
    statistics = [found.statistic(effect) for effect in sorted(effects)]
    assert all(first >= second - 1e-9 for first, second in pairwise(statistics))


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_bounds_are_where_the_statistic_is_critical(seed):
    rng = np.random.default_rng(seed)
    values = rng.choice([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0], 60, p=[0.02, 0.08, 0.6, 0.1, 0.15, 0.05])
    found = multiway_mean(values, np.arange(60) // 2, bounds=(-2.0, 2.0))
    critical = stats.t.ppf(0.975, found.df)
    assert found.statistic(found.low) == pytest.approx(critical, abs=1e-6)
    assert found.statistic(found.high) == pytest.approx(-critical, abs=1e-6)
    # Mean and mean square are those of the three values that stand for the observations.
    share = found.square / found.jump**2
    assert abs(found.estimate) / found.jump <= share + 1e-12 <= 1 + 1e-9


def test_doubled_clusters_change_nothing_and_other_units_scale():
    values, codes = decisions(7, 2, 31), np.arange(40) // 2
    once, twice = multiway_mean(values, codes), multiway_mean(np.tile(values, 2), np.tile(codes, 2))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    halved = multiway_mean(values / 2, codes, bounds=(-0.5, 0.5))
    assert (halved.low, halved.high) == pytest.approx((once.low / 2, once.high / 2), abs=1e-9)


def test_without_a_bound_the_interval_is_plain_t():
    values = np.random.default_rng(0).normal(1.0, 1.0, 30)
    found = multiway_mean(values, np.arange(30), bounds=None)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert not isinstance(found, PairedInterval)


def test_no_change_at_all_and_no_clusters():
    none = independent(0, 0, 25)
    assert none.statistic(0.0) == 0.0
    assert none.statistic(0.1) == -math.inf
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 25))
    alone = multiway_mean([1.0, 0.0], [1, 1])
    assert math.isnan(alone.low)
    some = independent(3, 0, 20)
    assert (some.statistic(1.0), some.statistic(-1.0)) == (-math.inf, math.inf)
    assert all(math.isnan(bound) for bound in some.bounds_at(math.nan))
