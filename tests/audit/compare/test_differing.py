"""Differences with their intervals: published examples, independent implementations, power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from figureground.audit.compare.differing import (
    Ruler,
    of_aggregates,
    of_rows,
    shared_level,
    smallest_shown,
    sum_bounds,
)
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.intervals import wilson

RULER = Ruler(0.95, 0.8, 0.1)


def estimate(interval):
    values = {"estimate": interval.estimate, "ci_low": interval.low, "ci_high": interval.high}
    return values | {"ci_level": interval.level, "n": interval.n, "n_clusters": interval.n_clusters}


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10, with the groups exchanged.
    [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090), ((0, 10), (10, 10), 0.6075, 1.0)],
)
def test_recovered_variances_give_the_published_intervals(first, second, low, high):
    found = of_aggregates(estimate(wilson(*first)), estimate(wilson(*second)), "share", RULER)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=5e-4)
    assert (found.first, found.second) == (first[0] / first[1], second[0] / second[1])


def test_of_normal_means_they_give_the_interval_of_independent_means():
    ends = [{"estimate": m, "ci_low": m - 1.96 * s, "ci_high": m + 1.96 * s} for m, s in ((0.2, 0.03), (0.5, 0.04))]
    ends = [item | {"ci_level": 0.95, "n": 9, "n_clusters": 9} for item in ends]
    found = of_aggregates(*ends, "share", Ruler(0.99, 0.8, 0.1))
    half = 0.05 * stats.norm.ppf(0.995) * 1.96 / stats.norm.ppf(0.975)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.3 - half, 0.3 + half))
    assert sum_bounds(*ends, Ruler(0.99, 0.8, 0.1)) == pytest.approx((0.7 - half, 0.7 + half))
    assert found.smallest == pytest.approx(0.05 * (stats.norm.ppf(0.995) + stats.norm.ppf(0.8)), rel=1e-3)


@pytest.mark.parametrize("missing", ["estimate", "ci_low", "ci_level"])
def test_without_an_interval_there_is_no_difference(missing):
    whole = estimate(wilson(40, 50))
    found = of_aggregates(whole | {missing: None}, whole, "share", RULER)
    assert (found.estimate, found.reason, found.n) == (None, "no_interval", 50)


def score_interval(b, c, n):
    """Tango's interval by brute force: the trinomial likelihood maximised by a search, the test inverted by another.

    ``n - 1`` in place of n, and t in place of the normal quantile, as for a variance that is estimated.
    """
    d, critical = (b - c) / n, stats.t.ppf(0.975, n - 1)

    def against(v):
        def log_likelihood(q):
            p = np.array([q + v, q, 1 - 2 * q - v])
            if (p < 0).any():
                return np.inf
            counts = np.array([b, c, n - b - c])
            return -np.sum(np.where(counts > 0, counts * np.log(np.maximum(p, 1e-300)), 0.0))

        ends = (max(0.0, -v), (1 - v) / 2)
        return optimize.minimize_scalar(log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}).x

    def statistic(v):
        q = against(v)
        return (d - v) / np.sqrt((2 * q + v - v * v) / (n - 1))

    high = optimize.brentq(lambda v: statistic(v) + critical, d, 1 - 1e-9)
    low = optimize.brentq(lambda v: statistic(v) - critical, -1 + 1e-9, d)
    return low, high


@pytest.mark.parametrize(("b", "c", "n"), [(9, 3, 50), (25, 2, 120), (1, 0, 40), (12, 12, 60)])
def test_paired_answers_have_the_score_interval(b, c, n):
    values = np.concatenate([np.ones(b), -np.ones(c), np.zeros(n - b - c)])
    found = of_rows(multiway_mean(values, np.arange(n)), (0.5, 0.5 + (b - c) / n), "share", RULER)
    assert (found.ci_low, found.ci_high) == pytest.approx(score_interval(b, c, n), abs=2e-4)


def test_the_smallest_difference_is_found_with_the_power_wanted():
    rng, n, spread = np.random.default_rng(3), 80, 0.5
    smallest = smallest_shown(multiway_mean(rng.normal(0, spread, n), np.arange(n), bounds=None), RULER)
    draws = rng.normal(smallest, spread, (3000, n))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / np.sqrt(n))
    power = float((t > stats.t.ppf(0.975, n - 1)).mean())
    assert power == pytest.approx(0.8, abs=0.08)  # the spread of one sample of 80 is off by 8 %


def test_unanimous_rows_leave_open_what_so_few_leave_open():
    alike = multiway_mean(np.zeros(20), np.arange(20), bounds=(-1.0, 1.0))
    assert smallest_shown(alike, RULER) == pytest.approx(1 - 0.025 ** (1 / 20))
    assert smallest_shown(alike, Ruler(0.95, 0.8, 0.1, same_model=True)) == 0.0


@given(st.floats(0.001, 0.4), st.integers(1, 50))
def test_shared_levels_hold_together(alpha, n):
    assert n * (1 - shared_level(alpha, n)) == pytest.approx(alpha)


@given(
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
    st.floats(0.8, 0.99),
    st.floats(0.8, 0.99),
)
def test_exchanged_audits_mirror_the_difference(hits, level, other):
    first, second = (estimate(wilson(k, 30, level)) for k in hits)
    there, back = (
        of_aggregates(first, second, "share", Ruler(other, 0.8, 0.1)),
        of_aggregates(second, first, "share", Ruler(other, 0.8, 0.1)),
    )
    assert (there.ci_low, there.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))
    assert there.ci_low <= there.estimate <= there.ci_high
