"""Adjusted p values against statsmodels, and the largest-t distribution against its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests

from figureground.audit.judge import multiplicity
from figureground.audit.judge.intervals import Interval
from figureground.errors import UsageError

P_VALUES = st.lists(st.sampled_from([0.0, 1e-6, 0.001, 0.01, 0.02, 0.04, 0.05, 0.3, 0.9, 1.0]), min_size=1, max_size=12)


# -- adjusted p values


@pytest.mark.parametrize(
    ("function", "method"), [(multiplicity.holm, "holm"), (multiplicity.benjamini_yekutieli, "fdr_by")]
)
@given(p=P_VALUES)
@settings(max_examples=20, deadline=None)  # statsmodels collects garbage at every call
def test_adjusted_p_values_are_those_of_statsmodels(function, method, p):
    np.testing.assert_allclose(function(p), multipletests(p, method=method)[1], atol=1e-15)


@pytest.mark.parametrize("function", [multiplicity.holm, multiplicity.benjamini_yekutieli])
def test_missing_p_values_are_no_tests(function):
    p = np.array([0.01, np.nan, 0.03, np.nan, 0.002])
    found = function(p)
    assert np.isnan(found[[1, 3]]).all()
    np.testing.assert_array_equal(found[[0, 2, 4]], function(p[[0, 2, 4]]))
    assert np.isnan(function([np.nan, np.nan])).all()
    assert function([]).shape == (0,)
    np.testing.assert_array_equal(p[[0, 2, 4]], [0.01, 0.03, 0.002])  # the caller's array is left alone


@pytest.mark.parametrize("function", [multiplicity.holm, multiplicity.benjamini_yekutieli])
@pytest.mark.parametrize("p", [[-0.1, 0.5], [1.1]])
def test_statistics_are_not_p_values(function, p):
    with pytest.raises(UsageError, match="STATISTIC_INPUT"):
        function(p)


# -- the largest t


def orthogonal(columns, clusters=64):
    """Influences without any correlation."""
    return np.linalg.qr(np.random.default_rng(0).standard_normal((clusters, columns)))[0]


def _tail(critical, df, columns):
    """P(max |T| > c) for independent numerators over one common variance estimate, by integration."""
    inside = integrate.quad(
        lambda s: (
            (2 * stats.norm.cdf(critical * s) - 1) ** columns * stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df)
        ),
        0,
        6,
    )[0]
    return 1 - inside


@pytest.mark.parametrize("df", [4, 19, 200, math.inf])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_hypothesis_is_the_t_quantile(df, level):
    found = multiplicity.max_t(orthogonal(1), df, level, 1)
    assert stats.t.cdf(found.critical, df) * 2 - 1 == pytest.approx(level, abs=0.006)


@pytest.mark.parametrize("columns", [2, 10])
def test_independent_hypotheses_are_sidak(columns):
    found = multiplicity.max_t(orthogonal(columns), math.inf, 0.95, 2)
    assert (2 * stats.norm.cdf(found.critical) - 1) ** columns == pytest.approx(0.95, abs=0.006)
    few = multiplicity.max_t(orthogonal(columns), 19, 0.95, 3).critical
    assert _tail(few, 19, columns) == pytest.approx(0.05, abs=0.006)
    sidak = stats.t.ppf((1 + 0.95 ** (1 / columns)) / 2, 19)
    assert few == pytest.approx(sidak, rel=0.03)
    assert few < sidak + 0.03  # a common variance estimate can only help


def test_repeated_and_opposite_hypotheses_cost_nothing():
    one = orthogonal(1)
    found = multiplicity.max_t(np.hstack([one, 3 * one, -one, one]), 30, 0.95, 4)
    assert found.critical == pytest.approx(stats.t.ppf(0.975, 30), abs=0.04)
    np.testing.assert_allclose(np.abs(found.correlation), 1.0)


def test_adjusted_p_is_the_probability_of_a_larger_maximum():
    statistics = np.array([0.0, 1.0, -2.5, 3.2])
    found = multiplicity.max_t(orthogonal(4), 25, 0.95, 5, statistics)
    expected = [_tail(abs(t), 25, 4) for t in statistics]
    np.testing.assert_allclose(found.p_adjusted, expected, atol=0.012)
    assert found.p_adjusted[0] == 1.0


def test_adjusted_p_and_the_interval_decide_alike():
    rng = np.random.default_rng(6)
    influence = rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6))
    critical = multiplicity.max_t(influence, 20, 0.95, 7).critical
    near = critical + np.array([-0.2, -0.05, 0.05, 0.2, 0.0, 0.0])
    found = multiplicity.max_t(influence, 20, 0.95, 7, near * [1, -1, 1, -1, 1, 1])
    assert (found.p_adjusted[:4] < 0.05).tolist() == [False, False, True, True]


def test_more_hypotheses_than_clusters():
    rng = np.random.default_rng(8)
    influence = rng.standard_normal((5, 40))
    found = multiplicity.max_t(influence, 4, 0.95, 9)
    drawn = rng.standard_normal((20_000, 5)) @ (influence / np.linalg.norm(influence, axis=0))  # the multipliers
    largest = np.abs(drawn).max(axis=1) / np.sqrt(rng.chisquare(4, 20_000) / 4)
    assert found.critical == pytest.approx(np.quantile(largest, 0.95), rel=0.05)
    assert np.linalg.matrix_rank(found.correlation) == 5


def test_scale_of_the_influence_does_not_matter_and_the_seed_repeats():
    influence = np.random.default_rng(10).standard_normal((30, 3))
    first = multiplicity.max_t(influence, 12, 0.95, 11, [1.0, 2.0, 3.0])
    again = multiplicity.max_t(influence * [1e-3, 1.0, 50.0], 12, 0.95, 11, [1.0, 2.0, 3.0])
    assert again.critical == pytest.approx(first.critical)
    np.testing.assert_allclose(again.p_adjusted, first.p_adjusted, atol=2e-4)
    assert multiplicity.max_t(influence, 12, 0.95, 12).critical != first.critical


def test_means_without_variance_take_no_part():
    influence = np.hstack([orthogonal(2), np.zeros((64, 3))])
    found = multiplicity.max_t(influence, 30, 0.95, 13, [2.0, 2.0, 0.0, np.inf, np.nan])
    alone = multiplicity.max_t(influence[:, :2], 30, 0.95, 13)
    assert found.critical == pytest.approx(alone.critical, abs=0.05)
    assert found.p_adjusted[2] == 1.0
    assert found.p_adjusted[3] == pytest.approx(1 / 20_001)
    assert math.isnan(found.p_adjusted[4])


@pytest.mark.parametrize("df", [0.0, math.nan])
def test_without_degrees_of_freedom_nothing_is_said(df):
    found = multiplicity.max_t(orthogonal(2), df, statistics=[1.0, 2.0])
    assert math.isnan(found.critical)
    assert np.isnan(found.p_adjusted).all()


def test_no_hypothesis_has_no_critical_value():
    assert math.isnan(multiplicity.max_t(np.empty((10, 0)), 9).critical)


@pytest.mark.parametrize(("influence", "statistics"), [(np.ones(3), ()), (np.ones((3, 2)), [1.0])])
def test_other_shapes_are_refused(influence, statistics):
    with pytest.raises(UsageError, match="STATISTIC_INPUT"):
        multiplicity.max_t(influence, 5, statistics=statistics)


def test_a_family_of_true_null_hypotheses_is_covered():
    """Means of 25 clusters with correlated columns: some interval fails in about 5 % of the families."""
    rng = np.random.default_rng(15)
    mixing, failures = rng.standard_normal((6, 6)), 0
    for repetition in range(600):
        values = rng.standard_normal((25, 6)) @ mixing
        centred = values - values.mean(axis=0)
        t = values.mean(axis=0) / stats.sem(values, axis=0)
        failures += np.abs(t).max() > multiplicity.max_t(centred, 24, 0.95, repetition, draws=3000).critical
    assert 0.02 <= failures / 600 <= 0.08  # 0.05 and three Monte Carlo errors


# -- equivalence


def _interval(low, high, level=0.9):
    return Interval((low + high) / 2, low, high, level, 50, 50, 0.01, 49.0)


@pytest.mark.parametrize(
    ("low", "high", "equivalent"),
    [
        (-0.04, 0.04, True),
        (0.01, 0.04, True),
        (-0.05, 0.04, False),
        (-0.04, 0.06, False),
        (-0.06, -0.01, False),
        (math.nan, math.nan, False),
    ],
)
def test_equivalence_is_the_interval_inside_the_margin(low, high, equivalent):
    assert multiplicity.tost(_interval(low, high), 0.05) is equivalent


def test_equivalence_agrees_with_two_one_sided_t_tests():
    rng = np.random.default_rng(15)
    decisions = set()
    for margin in np.linspace(0.05, 0.8, 30):
        values = rng.standard_normal(30)
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.9)
        p = max(
            stats.ttest_1samp(values, -margin, alternative="greater").pvalue,
            stats.ttest_1samp(values, margin, alternative="less").pvalue,
        )
        decisions.add(p < 0.05)
        assert multiplicity.tost(_interval(low, high), margin) == (p < 0.05)
    assert decisions == {True, False}


@pytest.mark.parametrize(("level", "margin"), [(0.95, 0.05), (0.9, 0.0), (0.9, math.nan)])
def test_an_interval_of_another_level_is_refused(level, margin):
    with pytest.raises(UsageError, match="STATISTIC_INPUT"):
        multiplicity.tost(_interval(-0.01, 0.01, level), margin)
