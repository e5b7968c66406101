"""Columns of an estimate, and p where there is no variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.intervals import Interval, mean_t
from figureground.audit.judge.rows import as_estimate, estimate_columns, p_value

NAN = math.nan


def status(interval):
    return estimate_columns(interval, min_clusters=20, alpha=0.05)["status"]


def test_the_status_says_what_an_estimate_can_carry():
    assert status(Interval(NAN, NAN, NAN, 0.95, 0, 0, NAN, 0)) == "absent"
    assert status(Interval(NAN, NAN, NAN, 0.95, 4, 4, NAN, 0)) == "not_estimable"
    assert status(Interval(0.5, 0.4, 0.6, 0.95, 80, 19, 0.05, 18)) == "too_small"
    assert status(Interval(0.5, 0.4, 0.6, 0.95, 80, 20, 0.05, 19)) == "ok"


def test_what_is_unknown_is_null_and_never_nan():
    found = as_estimate(Interval(0.3, NAN, NAN, 0.95, 1, 1, NAN, 0), min_clusters=20, alpha=0.05)
    assert (found.estimate, found.ci_low, found.ci_high, found.min_detectable) == (0.3, None, None, None)
    assert "20 needed" in found.reason


def test_p_is_that_of_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, 25)
    expected = stats.ttest_1samp(values, 0)
    found = mean_t(values, np.arange(25))
    assert p_value(found) == pytest.approx(expected.pvalue)
    assert found.statistic() == pytest.approx(expected.statistic)
    assert p_value(Interval(0.3, NAN, NAN, 0.95, 1, 1, NAN, 0)) is None


@pytest.mark.parametrize("groups", [2, 5, 6, 30])
def test_unanimous_clusters_give_the_p_of_the_sign_test_and_never_0(groups):
    found = multiway_mean(np.ones(groups), np.arange(groups))
    assert p_value(found) == pytest.approx(stats.binomtest(groups, groups).pvalue)
    assert (p_value(found) < 0.05) == (found.low > 0)
    assert found.statistic() == math.inf
    assert p_value(multiway_mean(np.zeros(groups), np.arange(groups))) == 1


@pytest.mark.parametrize("value", [0.1, 0.4, 1.3])
def test_unanimous_p_and_bounds_agree_on_any_span(value):
    for groups in range(2, 80, 7):
        found = multiway_mean(np.full(groups, value), np.arange(groups), bounds=(-2, 2))
        assert (p_value(found, 2.0) < 0.05) == (found.low > 0)
