"""Correlations and intervals against scipy and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from figureground.audit.measure.trust.estimates import correlation_of, crossed_mean, mean_of, rank_correlations


@given(st.integers(0, 10_000), st.integers(2, 30))
def test_rank_correlations_are_scipy_s(seed, size):
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 5, (2, 4, size))  # ties
    found = rank_correlations(left, right)
    for a, b, one in zip(left, right, found, strict=True):
        if np.ptp(a) == 0 or np.ptp(b) == 0:
            assert np.isnan(one)
        else:
            assert one == pytest.approx(stats.spearmanr(a, b).statistic)


def test_mean_is_scipy_s_t_interval():
    values = np.random.default_rng(0).normal(size=20)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_of([*values, np.nan])
    assert (found.low, found.high, found.n) == (pytest.approx(wanted.low), pytest.approx(wanted.high), 20)
    assert mean_of([np.nan]).n == 0
    assert np.isnan(mean_of([1.0]).low)


def test_crossed_interval_covers_when_networks_differ():
    rng, hits, naive = np.random.default_rng(1), 0, 0
    for _ in range(400):
        table = rng.normal(size=(40, 1)) + rng.normal(size=(1, 5)) + rng.normal(size=(40, 5))
        found, rows = crossed_mean(table), mean_of(table.mean(axis=1))
        hits += found.low <= 0 <= found.high
        naive += rows.low <= 0 <= rows.high
    assert hits / 400 > 0.92  # four standard errors of a nominal 0.95 lie at 0.906
    assert naive / 400 < 0.8


def test_crossed_mean_drops_dead_networks_then_incomplete_images():
    table = np.arange(12.0).reshape(4, 3)
    table[:, 2], table[0, 0] = np.nan, np.nan
    found = crossed_mean(table)
    assert (found.value, found.n) == (np.mean([3, 4, 6, 7, 9, 10]), 3)
    assert crossed_mean(np.full((4, 3), np.nan)).n == 0


def test_correlation_interval_covers():
    rng, hits = np.random.default_rng(2), 0
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's correlation of a normal pair with Pearson's 0.5
    for _ in range(500):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 60).T
        found = correlation_of(a, b)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 500 <= 0.98
    assert correlation_of([1, 2, 3, np.nan], [1, 2, 3, 4]).n == 3
    assert correlation_of([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5]).high == pytest.approx(1)
