"""Intervals against scipy and statsmodels, their coverage by simulation, and the cases without variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from figureground.audit.judge import intervals
from figureground.audit.judge.intervals import Interval
from figureground.errors import UsageError

LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def clustered(seed=0, groups=12, share=0.7):
    """0/1 observations in clusters of 1 to 7 with a strong cluster effect."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), rng.integers(1, 8, groups))
    chance = rng.beta(share, 1 - share, groups)
    return (rng.random(codes.size) < chance[codes]).astype(float), codes


# -- Wilson and the design effect


@given(st.integers(0, 40), st.integers(1, 40), LEVELS)
def test_wilson_is_that_of_scipy(k, n, level):
    k = min(k, n)
    expected = stats.binomtest(k, n).proportion_ci(level, "wilson")
    found = intervals.wilson(k, n, level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (found.estimate, found.n, found.level) == (k / n, n, level)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("effect", [1.0, 1.7, 5.0])
def test_a_design_effect_deflates_the_sample(effect):
    found = intervals.wilson(30, 50, 0.95, effect)
    expected = proportion_confint(30 / effect, 50 / effect, 0.05, "wilson")
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.standard_error == pytest.approx(math.sqrt(0.6 * 0.4 * effect / 50))


@pytest.mark.parametrize("seed", range(4))
def test_design_effect_is_the_ratio_of_the_robust_to_the_naive_variance(seed):
    """Independent path: the sandwich variance of an intercept fitted by estimating equations."""
    values, codes = clustered(seed)
    fitted = GEE(values, np.ones((values.size, 1)), groups=codes, cov_struct=Independence()).fit()
    groups, p = len(set(codes)), values.mean()
    robust = fitted.cov_robust[0, 0] * groups / (groups - 1)
    assert intervals.design_effect(values, codes) == pytest.approx(robust / (p * (1 - p) / values.size))


def test_design_effect_never_narrows_an_interval():
    balanced = np.tile([0.0, 1.0], 10)  # every cluster holds one of each: less than independent variation
    assert intervals.design_effect(balanced, np.repeat(np.arange(10), 2)) == 1.0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_unanimous_answers_take_the_largest_design_effect(value):
    codes = np.repeat(np.arange(5), 4)
    assert intervals.design_effect(np.full(20, value), codes) == 4.0
    expected = intervals.wilson(5 * value, 5, 0.95, df=4)
    found = intervals.clustered_wilson(np.full(20, value), codes)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_clusters_of_one_are_independent_observations():
    values, _ = clustered()
    codes = np.arange(values.size)
    assert intervals.design_effect(values, codes) == pytest.approx(values.size / (values.size - 1))
    found = intervals.clustered_wilson(values, codes)
    assert (found.n, found.n_clusters, found.df) == (values.size, values.size, values.size - 1)


# -- means


def test_cluster_means_and_t_are_those_of_scipy():
    values, codes = clustered(1)
    means = np.array([values[codes == code].mean() for code in range(12)])
    np.testing.assert_allclose(intervals.cluster_means(values, codes), means)
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.9)
    found = intervals.mean_t(values, codes, 0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.estimate, found.n, found.n_clusters, found.df) == (means.mean(), values.size, 12, 11)
    assert found.standard_error == pytest.approx(stats.sem(means))


def test_every_cluster_counts_the_same():
    assert intervals.mean_t([1.0] * 9 + [0.0], ["a"] * 9 + ["b"]).estimate == 0.5


def test_logit_t_is_the_delta_method():
    values, codes = clustered(2)
    means = intervals.cluster_means(values, codes)
    m, step = means.mean(), 1e-6
    slope = (np.log((m + step) / (1 - m - step)) - np.log((m - step) / (1 - m + step))) / (2 * step)
    half = stats.t.ppf(0.975, 11) * stats.sem(means) * slope
    centre = np.log(m / (1 - m))
    found = intervals.logit_t(values, codes)
    bounds = [1 / (1 + np.exp(-(centre + side * half))) for side in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(tuple(bounds), rel=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), LEVELS)
def test_logit_t_stays_in_the_unit_interval_around_its_estimate(values, level):
    found = intervals.logit_t(values, np.arange(len(values)), level)
    assert 0 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=20), st.floats(0.5, 4), st.floats(-3, 3))
def test_mean_t_follows_a_change_of_unit(values, scale, shift):
    codes = np.arange(len(values)) // 2
    plain = intervals.mean_t(values, codes)
    moved = intervals.mean_t(np.asarray(values) * scale + shift, codes)
    for name in ("estimate", "low", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name) * scale + shift, abs=1e-6)


def test_mirroring_a_share_mirrors_its_interval():
    values, codes = clustered(3)
    found, mirrored = intervals.logit_t(values, codes), intervals.logit_t(1 - values, codes)
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


# -- no variance


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_clusters_that_all_agree_bound_what_else_there_may_be(value):
    """The bound is the exact one: with share q elsewhere, 20 clusters agree with probability alpha / 2."""
    values, codes = np.repeat([value], 60), np.repeat(np.arange(20), 3)
    found = intervals.logit_t(values, codes, 0.9)
    q = 1 - 0.05 ** (1 / 20)
    assert found.standard_error == 0
    assert (found.low, found.high) == pytest.approx((value * (1 - q), value + q * (1 - value)))


@pytest.mark.parametrize(("n", "bound"), [(10, 0.259), (20, 0.139), (37, 0.078), (100, 0.030)])
def test_no_flip_in_n_has_the_bound_of_the_binomial(n, bound):
    found = intervals.logit_t(np.zeros(n), np.arange(n), 0.9)
    assert found.high == pytest.approx(stats.binomtest(0, n).proportion_ci(0.9, "exact").high)
    assert found.high == pytest.approx(bound, abs=5e-4)


def test_a_mean_without_variance_has_no_width_unless_its_range_is_known():
    plain = intervals.mean_t(np.zeros(20), np.arange(20), 0.9)
    assert (plain.low, plain.high) == (0, 0)
    known = intervals.mean_t(np.zeros(20), np.arange(20), 0.9, bounds=(-1, 1))
    assert (known.low, known.high) == pytest.approx((-0.139, 0.139), abs=5e-4)
    varied = np.r_[1.0, np.zeros(19)]
    assert intervals.mean_t(varied, np.arange(20), bounds=(-1, 1)) == intervals.mean_t(varied, np.arange(20))


def test_no_interval_reaches_beyond_what_is_possible() -> None:
    nearly_all = np.r_[np.full(48, -1.0), 0.0, 0.0]
    free, bounded = (intervals.mean_t(nearly_all, np.arange(50), bounds=bounds) for bounds in (None, (-1, 1)))
    assert free.low < -1 == bounded.low
    assert (bounded.high, bounded.estimate) == (free.high, free.estimate)


@pytest.mark.parametrize("function", [intervals.mean_t, intervals.logit_t, intervals.clustered_wilson])
@pytest.mark.parametrize(
    ("values", "estimate", "n"), [([], math.nan, 0), ([1.0, 0.0], 0.5, 2), ([math.nan, 1.0], 1.0, 1)]
)
def test_fewer_than_two_clusters_have_no_bounds(function, values, estimate, n):
    found = function(values, ["a"] * len(values))
    assert found.estimate == pytest.approx(estimate, nan_ok=True)
    assert (found.n, found.n_clusters, found.df) == (n, min(n, 1), 0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(found.standard_error)


@pytest.mark.parametrize("function", [intervals.mean_t, intervals.logit_t, intervals.clustered_wilson])
def test_missing_values_and_the_names_of_clusters_do_not_matter(function):
    values, codes = clustered(4)
    names = np.array([f"patient {code}" for code in codes], dtype=object)
    with_gaps = function(np.r_[values, np.nan, np.nan], np.r_[names, ["patient 3", "nobody"]])
    assert with_gaps == function(values, codes)
    order = np.random.default_rng(0).permutation(values.size)
    shuffled = function(values[order], codes[order])
    assert (shuffled.low, shuffled.high) == pytest.approx((with_gaps.low, with_gaps.high))


# -- power


@pytest.mark.parametrize(("n", "table"), [(37, 0.46), (50, 0.40), (100, 0.28), (300, 0.16)])
def test_smallest_detectable_effect_is_that_of_an_exact_power_analysis(n, table):
    found = intervals.min_detectable(1 / math.sqrt(n), n - 1)
    assert found == pytest.approx(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=0.005)
    assert found == pytest.approx(table, abs=0.015)


def test_smallest_detectable_effect_at_the_limits():
    assert intervals.min_detectable(1.0, math.inf) == pytest.approx(2.80, abs=0.002)
    assert intervals.min_detectable(0.5, 20, alpha=0.01, power=0.9) > intervals.min_detectable(0.5, 20)
    assert math.isnan(intervals.min_detectable(1.0, 0))
    assert math.isnan(intervals.min_detectable(math.nan, 10))
    assert np.isnan(intervals.t_bounds(0.5, 0.1, 0, 0.95)).all()


# -- coverage


def _coverage(function, groups, repetitions, share=0.8):
    """Share of nominal 95 % intervals that hold the truth; 4 observations per cluster, ICC 0.5."""
    rng = np.random.default_rng(7)
    codes, hits = np.repeat(np.arange(groups), 4), 0
    for _ in range(repetitions):
        chance = rng.beta(share, 1 - share, groups)
        found = function((rng.random(codes.size) < chance[codes]).astype(float), codes)
        hits += found.low <= share <= found.high
    return hits / repetitions


@pytest.mark.parametrize("groups", [15, 40])
@pytest.mark.parametrize("function", [intervals.logit_t, intervals.clustered_wilson])
def test_clustered_intervals_cover(function, groups):
    assert _coverage(function, groups, 400) >= 0.925  # 0.95 less 2.3 Monte Carlo errors


def test_ignoring_the_clusters_would_not_cover():
    def ignorant(values, _):
        return intervals.wilson(values.sum(), values.size)

    assert _coverage(ignorant, 40, 200) < 0.87


# -- refusals


@pytest.mark.parametrize(
    "call",
    [
        lambda: intervals.wilson(3, 2),
        lambda: intervals.wilson(-1, 2),
        lambda: intervals.wilson(1, 2, design_effect=0.5),
        lambda: intervals.logit_t([0.5, 1.5], [1, 2]),
        lambda: intervals.logit_t([-0.5, 0.5], [1, 2]),
        lambda: intervals.mean_t([1.0, 2.0], [1]),
        lambda: intervals.mean_t([1.0, 2.0], np.array(["a", None], dtype=object)),
    ],
)
def test_other_inputs_are_refused(call):
    with pytest.raises(UsageError, match="STATISTIC_INPUT"):
        call()


def test_an_interval_cannot_be_changed():
    with pytest.raises(AttributeError):
        Interval(0, 0, 0, 0.95, 1, 1, 0, 1).low = 1.0  # type: ignore[misc]


def test_wilson_of_nothing_has_no_estimate():
    found = intervals.wilson(0, 0)
    assert found.n == 0
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)
    assert math.isnan(intervals.wilson(1, 2, design_effect=math.nan).low)
