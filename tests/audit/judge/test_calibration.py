"""The calibration error against torchmetrics' binning, its null by exact arithmetic and simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from figureground.audit.judge import calibration
from figureground.audit.judge.calibration import calibrate


def drawn(n, seed, shift=0.0, per_cluster=1):
    rng = np.random.default_rng(seed)
    groups = n // per_cluster
    stated = np.repeat(rng.uniform(0.3, 0.97, groups), per_cluster)
    truth = np.clip(stated - shift, 0, 1)
    came = np.repeat(rng.random(groups), per_cluster) < truth  # images of a cluster are right or wrong together
    return stated, came.astype(float), np.repeat(np.arange(groups), per_cluster)


def by_hand(stated, came, bins):
    order = np.argsort(stated, kind="stable")
    edges = np.linspace(0, len(stated), bins + 1).astype(int)
    parts = [order[a:b] for a, b in pairwise(edges)]
    return sum(len(p) / len(stated) * abs(came[p].mean() - stated[p].mean()) for p in parts)


@pytest.mark.parametrize(("n", "bins"), [(15, 1), (40, 2), (317, 15), (1000, 15)])
def test_bins_hold_equal_mass_and_are_few(n, bins):
    stated, came, clusters = drawn(n, 0)
    found = calibrate(stated, came, clusters)
    assert found.bins == bins
    assert found.error.estimate == pytest.approx(by_hand(stated, came, bins))


def test_the_null_of_one_bin_is_binomial(monkeypatch):
    monkeypatch.setattr(calibration, "DRAWS", 20_000)
    stated, came = np.full(30, 0.8), np.repeat([1.0, 0.0], [20, 10])
    monkeypatch.setattr(calibration, "UNITS_PER_BIN", 40)
    found = calibrate(stated, came, np.arange(30))
    k = np.arange(31)
    p = stats.binom.pmf(k, 30, 0.8)
    assert found.p == pytest.approx(p[np.abs(k - 24) >= 4 - 1e-9].sum(), abs=0.012)
    assert found.null.estimate == pytest.approx((p * np.abs(k - 24)).sum() / 30, abs=0.002)


@pytest.mark.parametrize(("n", "shown"), [(20, 0.32), (100, 0.11), (300, 0.06)])
def test_fifteen_bins_would_show_an_error_where_there_is_none(n, shown, monkeypatch):
    """Why the bins are few and the null is stated; the sizes hang on the probabilities, the order does not."""
    monkeypatch.setattr(calibration, "UNITS_PER_BIN", 1)
    found = [calibrate(*drawn(n, seed)).null.estimate for seed in range(20)]
    assert np.mean(found) == pytest.approx(shown, abs=0.05)


def test_p_of_a_calibrated_model_is_uniform_also_where_clusters_repeat(monkeypatch):
    monkeypatch.setattr(calibration, "DRAWS", 199)
    for per_cluster in (1, 5):
        p = np.array([calibrate(*drawn(300, seed, per_cluster=per_cluster)).p for seed in range(200)])
        assert (p <= 0.05).mean() <= 0.09
        assert 0.4 < p.mean() < 0.6


def test_a_model_that_is_too_sure_is_found_and_its_error_is_the_shift():
    found = calibrate(*drawn(3000, 1, shift=0.15))
    assert found.p < 0.005
    assert found.error.low < 0.15 < found.error.high
    assert found.error.low > found.null.high > 0


def test_where_the_null_holds_the_interval_reaches_zero():
    found = calibrate(*drawn(300, 3))
    assert found.p > 0.05
    assert found.error.low == 0 < found.error.estimate


def test_the_same_seed_gives_the_same_null_and_the_order_of_rows_does_not_matter():
    stated, came, clusters = drawn(200, 4)
    turn = np.random.default_rng(0).permutation(200)
    first, second = calibrate(stated, came, clusters), calibrate(stated[turn], came[turn], clusters[turn])
    assert first.p == second.p
    assert first.error.estimate == pytest.approx(second.error.estimate)
    assert calibrate(stated, came, clusters, seed=1).null != first.null


def test_design_weights_weigh_the_residuals():
    stated, came, _ = drawn(40, 2)
    weight = np.random.default_rng(5).uniform(0.5, 3, 40)
    found = calibrate(stated, came, np.arange(40), weights=weight)
    assert found.bins == 2
    order = np.argsort(stated, kind="stable")
    halves = np.split(order, 2)
    by_hand = sum(abs((weight[half] * (came[half] - stated[half])).sum()) for half in halves) / weight.sum()
    assert found.error.estimate == pytest.approx(by_hand)
    assert (
        calibrate(stated, came, np.arange(40), weights=np.full(40, 3.0)).error
        == calibrate(stated, came, np.arange(40)).error
    )


@pytest.mark.slow
def test_p_of_a_calibrated_model_is_uniform_with_design_weights(monkeypatch):
    monkeypatch.setattr(calibration, "DRAWS", 199)
    p = []
    for seed in range(200):
        stated, came, clusters = drawn(200, seed)
        weight = np.where(stated > np.median(stated), 3.0, 0.5)
        p.append(calibrate(stated, came, clusters, weights=weight).p)
    assert stats.kstest(p, "uniform").pvalue > 0.001
