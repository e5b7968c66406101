"""Bins of stated probabilities against scikit-learn, and which groups are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve

from figureground.audit.declared.config import Policy
from figureground.audit.judge.answers import Answers
from figureground.audit.judge.calibration import calibrate
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.measures import PerformanceTable
from figureground.audit.judge.reliability import bins_of, reliability


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    stated = rng.uniform(0.02, 0.98, n)
    return stated, (rng.random(n) < stated**1.5).astype(float)


@pytest.mark.parametrize("n", [300, 60, 37])
def test_bins_are_those_of_scikit_learn(n):
    stated, came = drawn(n)
    found = bins_of(stated, came, np.arange(n), Policy())
    true, mean = calibration_curve(came, stated, n_bins=len(found), strategy="quantile")
    if n % len(found) == 0:  # else its edges fall elsewhere
        assert [one.observed.estimate for one in found] == pytest.approx(true.tolist())
        assert [one.stated for one in found] == pytest.approx(mean.tolist())
    assert sum(one.observed.n for one in found) == n
    assert all(one.low <= one.stated <= one.high for one in found)


def test_intervals_are_wilsons_and_the_error_is_that_of_the_bins():
    stated, came = drawn(300)
    found = bins_of(stated, came, np.arange(300), Policy())
    for one in found:
        k = round(one.observed.estimate * one.observed.n)
        interval = stats.binomtest(k, one.observed.n).proportion_ci(0.95, "wilson")
        assert (one.observed.ci_low, one.observed.ci_high) == pytest.approx((interval.low, interval.high))
    error = sum(one.observed.n / 300 * abs(one.observed.estimate - one.stated) for one in found)
    assert calibrate(stated, came, np.arange(300)).error.estimate == pytest.approx(error)


def test_copies_widen_intervals_and_weights_move_the_means():
    stated, came = drawn(80)
    plain = bins_of(stated, came, np.arange(80), Policy())
    four = bins_of(*(np.repeat(one, 4) for one in (stated, came, np.arange(80))), Policy())
    assert len(plain) == len(four)
    widths = [one.observed.ci_high - one.observed.ci_low for one in four]
    # Copies are no evidence: the intervals are no narrower than a quarter as many images would give, but for t.
    assert all(
        wide >= 0.95 * (one.observed.ci_high - one.observed.ci_low) for wide, one in zip(widths, plain, strict=True)
    )
    weighed = bins_of(stated, came, np.arange(80), Policy(), np.linspace(1, 3, 80))
    first = np.argsort(stated, kind="stable")[:20]
    assert weighed[0].stated == pytest.approx(np.average(stated[first], weights=np.linspace(1, 3, 80)[first]))


def test_all_images_then_the_worst_groups_and_the_best():
    n = 600
    rng = np.random.default_rng(3)
    site = rng.choice(["a", "b", "c", "d", "e"], n)
    off = pd.Series(site).map({"a": 0.0, "b": 0.05, "c": 0.3, "d": 0.45, "e": 0.1}).to_numpy()
    stated = rng.uniform(0.5, 0.98, n)
    label = (rng.random(n) < stated - off).astype(int)
    rows = pd.DataFrame({"label": np.where(label == 1, "yes", "no"), "cluster": [str(i) for i in range(n)]})
    answers = Answers(
        ("no", "yes"),
        label,
        rows["cluster"].to_numpy(dtype=object),
        np.ones(n),
        stated,
        np.column_stack([1 - stated, stated]),
    )
    groups = [Group("site", "declared", tuple("abcde"), pd.Series(site))]
    table = PerformanceTable(Policy())(rows, groups, answers)
    found = reliability(rows, groups, answers, table, Policy())
    assert [one.level for one in found[:3]] == ["(all)", "d", "c"]
    assert found[3].level in ("a", "b", "e")
    assert len(found) == 4
    mine = table[(table["measure"] == "calibration_error") & (table["level"] == "d")].iloc[0]
    assert found[1].error.estimate == mine["estimate"]
    assert sum(one.observed.n for one in found[1].bins) == int((site == "d").sum())
    later = reliability(rows, [groups[0]], answers, table.assign(origin="exploratory"), Policy())
    assert later == []
