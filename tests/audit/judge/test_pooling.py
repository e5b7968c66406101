"""Pooling against statsmodels' DerSimonian-Laird, and that it does what it is for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from figureground.audit.judge.pooling import pool_crossings, shrink
from figureground.audit.keeping.tables import ALL


def test_the_mean_and_the_spread_are_those_of_statsmodels():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.05, 0.3, 8)
    estimates = 0.5 + 0.2 * rng.normal(size=8) + errors * rng.normal(size=8)
    pooled, spread, tau = shrink(estimates, errors)
    reference = combine_effects(estimates, errors**2, method_re="chi2")
    assert tau**2 == pytest.approx(reference.tau2)
    kept = tau**2 / (tau**2 + errors**2)
    np.testing.assert_allclose(pooled, kept * estimates + (1 - kept) * reference.mean_effect_re)
    assert (spread <= np.sqrt(errors**2 + reference.sd_eff_w_re**2)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.5)), min_size=2, max_size=10))
def test_values_move_towards_each_other_and_never_past(cells):
    estimates, errors = np.array(cells).T
    pooled, spread, tau = shrink(estimates, errors)
    assert estimates.min() - 1e-9 <= pooled.min()
    assert pooled.max() <= estimates.max() + 1e-9
    assert np.ptp(pooled) <= np.ptp(estimates) + 1e-9
    assert tau >= 0
    assert (spread > 0).all()


def test_pooled_values_are_nearer_to_the_truth():
    raw, drawn = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        errors = rng.uniform(0.05, 0.4, 12)
        truth = 0.5 + 0.1 * rng.normal(size=12)
        estimates = truth + errors * rng.normal(size=12)
        raw.append(np.mean((estimates - truth) ** 2))
        drawn.append(np.mean((shrink(estimates, errors)[0] - truth) ** 2))
    assert np.mean(drawn) < 0.5 * np.mean(raw)


def cells(**changes):
    table = pd.DataFrame(
        {
            "attribute": "site*sex",
            "level": ["A × f", "A × m", "B × f", "B × m"],
            "label": ALL,
            "measure": "accuracy",
            "method": None,
            "sign": None,
            "cue": None,
            "n": [100, 90, 80, 2],
            "n_clusters": [100, 90, 80, 2],
            "estimate": [0.9, 0.85, 0.6, 0.0],
            "standard_error": [0.03, 0.04, 0.05, 0.0],
            "ci_low": 0.0,
            "ci_high": 1.0,
            "p_raw": 0.01,
            "status": ["ok", "ok", "ok", "too_small"],
        }
    )
    return table.assign(**changes)


def test_a_cell_of_two_is_drawn_far_and_a_large_one_hardly():
    found = pool_crossings(cells(), 0.95).set_index("level")
    moved = (found["estimate"] - cells().set_index("level")["estimate"]).abs()
    assert moved["B × m"] > 0.1 > moved["A × f"]
    assert set(found["measure"]) == {"accuracy_pooled"}
    assert found.loc["B × m", "status"] == "too_small"
    assert (found["ci_low"] >= 0).all()
    assert (found["ci_low"] < found["estimate"]).all()
    assert found["p_raw"].isna().all()


def test_only_crossings_over_all_labels_are_pooled():
    assert pool_crossings(cells(attribute="site"), 0.95).empty
    assert pool_crossings(cells(label="cat"), 0.95).empty
    assert pool_crossings(cells(measure="brier"), 0.95).empty
    assert pool_crossings(cells().iloc[:1], 0.95).empty
    assert pool_crossings(cells(standard_error=0.0), 0.95).empty
