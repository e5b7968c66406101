"""The confounder block against scikit-learn and statsmodels, on differences of known origin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import logit
from sklearn.linear_model import LinearRegression

from figureground.audit.declared.config import Policy
from figureground.audit.judge import confounders
from figureground.audit.judge.confounders import Confounders, coefficient, coefficients, redrawn, weights
from figureground.audit.judge.differences import difference, make_units


def world(cause, n=400, seed=0, eccentricity=True):
    """LDR that hangs on the level itself, on the size of objects, which differs by level, or on right answers."""
    rng = np.random.default_rng(seed)
    level = rng.choice(["A", "B"], n)
    area = np.clip(rng.normal(np.where((level == "A") & (cause == "size"), 0.15, 0.3), 0.04), 0.03, 0.9)
    correct = (rng.random(n) < np.where((level == "A") & (cause == "correct"), 0.15, 0.85)).astype(float)
    ldr = 0.3 * rng.normal(size=n)
    ldr += {"level": 0.8 * (level == "A"), "size": -logit(area), "correct": -1.5 * correct}[cause]
    rows = pd.DataFrame(
        {
            "label": rng.choice(["cat", "dog"], n),
            "cluster": [f"c{i // 2}" for i in range(n)],
            "correct": correct,
            "object_area": area,
        }
    )
    if eccentricity:
        rows["object_eccentricity"] = rng.uniform(0, 0.6, n)
    return rows, pd.Series(level), pd.Series(ldr)


def block(rows, level, ldr):
    units = make_units(level, rows["label"], rows["cluster"], pd.DataFrame({0: ldr}))
    one = difference(units, 0, 0, 0.95)
    assert one.mean.low > 0
    found = {line["test"]: line for _, line in Confounders(Policy(), 0)(rows, level, ldr, units, {0: one}, 0)}
    return one, found["group_difference_correct"], found["group_difference_adjusted"]


def test_a_difference_of_the_level_itself_stays():
    one, correct, adjusted = block(*world("level"))
    assert adjusted["reason"] is None
    assert adjusted["estimate"] == pytest.approx(0.8, abs=0.1)
    assert adjusted["ci_low"] < 0.8 < adjusted["ci_high"]
    assert correct["estimate"] == pytest.approx(one.mean.estimate, abs=0.15)
    assert correct["n"] < one.mean.n


def test_a_difference_of_object_sizes_is_named():
    one, _, adjusted = block(*world("size"))
    assert adjusted["reason"] == "confounded_by_object_size"
    assert abs(adjusted["estimate"]) < 0.3 * one.mean.estimate


def test_a_difference_of_right_answers_is_named_and_gone_among_them():
    one, correct, adjusted = block(*world("correct"))
    assert adjusted["reason"] == "confounded_by_correctness"
    assert abs(correct["estimate"]) < 0.3 * one.mean.estimate


def test_without_eccentricity_it_says_so():
    assert block(*world("level", eccentricity=False))[2]["reason"] == "object_size_only"


def test_without_right_answers_or_sizes_there_is_no_number():
    rows, level, ldr = world("level")
    _, correct, adjusted = block(rows.assign(correct=0.0), level, ldr)
    assert (correct["status"], correct["estimate"]) == ("absent", None)
    _, _, adjusted = block(rows.assign(object_area=np.nan), level, ldr)
    assert (adjusted["status"], adjusted["estimate"]) == ("absent", None)


def test_a_redraw_is_a_weighted_regression():
    rng = np.random.default_rng(0)
    x, y, codes = rng.normal(size=(60, 3)), rng.normal(size=60), np.arange(60) // 3
    drawn = weights(20, 0)[:5]
    found = coefficients(x, y, codes, drawn)
    expected = [LinearRegression().fit(x, y, sample_weight=row[codes]).coef_[0] for row in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_error_of_the_redraws_is_that_of_a_clustered_regression(monkeypatch):
    monkeypatch.setattr(confounders, "REDRAWS", 2000)
    monkeypatch.setattr(confounders, "weights", confounders.weights.__wrapped__)
    rng = np.random.default_rng(1)
    codes = np.arange(600) // 3
    shared = rng.normal(size=200)[codes]
    x = rng.normal(size=(600, 2)) + shared[:, None]
    y = x[:, 0] + shared + rng.normal(size=600)
    found = redrawn(x, y, codes, 0.95, 0)
    expected = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert found.estimate == pytest.approx(expected.params[1])
    assert found.standard_error == pytest.approx(expected.bse[1], rel=0.08)
    assert np.isnan(redrawn(x, y, np.zeros(600), 0.95, 0).low)


def test_design_weights_are_those_of_weighted_least_squares():
    rng = np.random.default_rng(6)
    x, mass = rng.normal(size=(90, 2)), rng.uniform(0.5, 3, 90)
    y = x @ [1.0, -2.0] + rng.normal(size=90)
    expected = sm.WLS(y, sm.add_constant(x), weights=mass).fit().params[1]
    assert coefficient(x, y, mass) == pytest.approx(expected)
    every = coefficients(x, y, np.arange(90), np.ones((1, 90)), mass)
    assert every[0] == pytest.approx(expected)
