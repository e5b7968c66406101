"""BCa beside t on the logit: alike where shares are harmless, apart where one cluster rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.judge.intervals import logit_t
from figureground.audit.judge.resampled import bca_distance, check_shares


def test_the_distance_is_that_of_scipys_bounds():
    values, clusters = np.random.default_rng(0).beta(2, 5, 60), np.arange(60) // 2
    interval = logit_t(values, clusters)
    means = values.reshape(-1, 2).mean(axis=1)
    bca = stats.bootstrap((means,), np.mean, n_resamples=999, method="BCa", rng=0).confidence_interval
    half = (interval.high - interval.low) / 2
    expected = max(abs(bca.low - interval.low), abs(bca.high - interval.high)) / half
    assert bca_distance(interval, values, clusters) == pytest.approx(expected)
    assert expected < 0.5


def test_one_cluster_that_rules_the_mean_is_flagged():
    values = np.array([0.999, *np.full(8, 0.001)])
    assert bca_distance(logit_t(values, np.arange(9)), values, np.arange(9)) > 0.5


@pytest.mark.parametrize("values", [np.full(30, 0.4), [0.1, 0.5, 0.7], np.full(30, np.nan), []])
def test_where_bca_has_no_value_there_is_no_distance(values):
    clusters = np.arange(len(values))
    assert bca_distance(logit_t(values, clusters), values, clusters) is None


def rows(*reasons, **changes):
    table = {"measure": "background_share", "label": "(all)", "status": "ok", "n_clusters": 40, "reason": reasons}
    return pd.DataFrame({**table, **changes})


def test_the_check_says_how_many_intervals_have_another_bound():
    passed, failed = check_shares(rows(None, None)), check_shares(rows(None, "bca_disagrees", None, None))
    assert (passed.status, passed.value, passed.n) == ("passed", 0, 2)
    assert (failed.status, failed.value, failed.n) == ("failed", 0.25, 4)


@pytest.mark.parametrize(
    "changes", [{"measure": "ldr"}, {"label": "cat"}, {"status": "too_small"}, {"n_clusters": 900}]
)
def test_what_was_not_compared_is_no_pass(changes):
    assert check_shares(rows(None, **changes)).status == "not_run"
