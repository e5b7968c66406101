"""Relative foreground sensitivity against hand computation, and its interval against scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from figureground.audit.judge.plain_noise import relative_sensitivity, sensitivities

ACCURACY = st.floats(0, 1)


def answers(background, figure, clusters):
    return pd.DataFrame({"background": background, "object": figure, "cluster": clusters}, dtype=object).astype(
        {"background": float, "object": float}
    )


def drawn(n_clusters, seed=0, size=4, background=0.8, figure=0.55):
    """Answers whose clusters share a difficulty."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(0, 0.15, n_clusters)[:, None]
    right = [(rng.random((n_clusters, size)) < p + shift).astype(float).ravel() for p in (background, figure)]
    return answers(*right, np.repeat([f"c{i}" for i in range(n_clusters)], size))


@pytest.mark.parametrize(
    ("background", "figure", "expected"),
    [
        (0.9, 0.7, 0.2 / (2 * 0.2)),  # mean 0.8: room 0.2
        (0.3, 0.1, 0.2 / (2 * 0.2)),  # mean 0.2: room 0.2
        (0.5, 0.75, -0.25 / (2 * 0.375)),
        (1.0, 0.6, 1.0),  # as far apart as this mean allows
        (0.0, 0.4, -1.0),
        (0.6, 0.6, 0.0),
        (1.0, 1.0, np.nan),
        (0.0, 0.0, np.nan),
    ],
)
def test_by_hand(background, figure, expected):
    assert float(relative_sensitivity(background, figure)) == pytest.approx(expected, nan_ok=True)


@given(ACCURACY, ACCURACY)
def test_it_is_antisymmetric_bounded_and_the_same_for_errors(background, figure):
    found = relative_sensitivity(background, figure)
    room = min(background + figure, 2 - background - figure)
    if room <= 1e-9:
        return
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert relative_sensitivity(figure, background) == pytest.approx(-found)
    assert relative_sensitivity(1 - figure, 1 - background) == pytest.approx(found, abs=1e-6)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1))
def test_it_rises_with_the_one_and_falls_with_the_other(background, figure, step):
    b, f, more = background / 10, figure / 10, step / 10
    assert relative_sensitivity(b + more, f) >= relative_sensitivity(b, f) - 1e-12
    assert relative_sensitivity(b, f + more) <= relative_sensitivity(b, f) + 1e-12


def test_estimate_n_and_clusters_are_those_of_the_rows():
    rows = drawn(40)
    found = sensitivities(rows, 0.95).interval
    assert found.estimate == pytest.approx(relative_sensitivity(rows["background"].mean(), rows["object"].mean()))
    assert (found.n, found.n_clusters) == (160, 40)


def test_the_interval_is_that_of_a_cluster_bootstrap():
    rows = drawn(120)
    found = sensitivities(rows, 0.95).interval
    sums = rows.groupby("cluster")[["background", "object"]].sum()

    def statistic(background, figure, axis):
        return relative_sensitivity(background.sum(axis) / 4 / 120, figure.sum(axis) / 4 / 120)

    again = stats.bootstrap(
        (sums["background"].to_numpy(), sums["object"].to_numpy()),
        statistic,
        paired=True,
        n_resamples=4000,
        rng=np.random.default_rng(0),
        method="percentile",
    )
    assert found.standard_error == pytest.approx(again.standard_error, rel=0.08)
    assert found.low == pytest.approx(again.confidence_interval.low, abs=0.03)
    assert found.high == pytest.approx(again.confidence_interval.high, abs=0.03)


def test_clusters_that_agree_widen_the_interval():
    rows = drawn(40)
    alike = rows.groupby("cluster").transform("first").assign(cluster=rows["cluster"])
    single = alike.assign(cluster=np.arange(len(alike)))
    clustered, naive = (sensitivities(one, 0.95).interval for one in (alike, single))
    assert clustered.high - clustered.low > 1.6 * (naive.high - naive.low)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_is_undefined_with_its_reason(value):
    found = sensitivities(answers([value] * 30, [value] * 30, range(30)), 0.95)
    assert np.isnan(found.interval.estimate)
    assert found.why == {"status": "not_estimable", "reason": "rfs_undefined"}
    assert found.interval.n == 30


def test_at_the_edge_the_interval_has_width():
    """All right with noise on the background: RFS is 1 whatever is left out, which is not certainty."""
    figure = [1.0] * 20 + [0.0] * 10
    found = sensitivities(answers([1.0] * 30, figure, range(30)), 0.95).interval
    assert found.estimate == found.high == 1.0
    assert 0 < found.low < 0.9


def test_one_cluster_has_no_interval_and_none_has_no_estimate():
    one = sensitivities(answers([1.0, 0.0], [1.0, 1.0], ["a", "a"]), 0.95).interval
    assert one.estimate == pytest.approx(-1.0)
    assert np.isnan(one.low)
    nothing = sensitivities(answers([], [], []), 0.95).interval
    assert nothing.n == 0
    assert np.isnan(nothing.estimate)


@pytest.mark.slow
@pytest.mark.parametrize(("background", "figure"), [(0.8, 0.55), (0.6, 0.6), (0.35, 0.5)])
def test_coverage_at_thirty_clusters(background, figure):
    runs = [drawn(30, seed, background=background, figure=figure) for seed in range(600)]
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 0.15, 400_000)
    truth = relative_sensitivity(*(np.clip(p + shift, 0, 1).mean() for p in (background, figure)))
    found = [sensitivities(run, 0.95).interval for run in runs]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.925 <= covered <= 0.985  # 600 runs: a standard error of 0.9 points
