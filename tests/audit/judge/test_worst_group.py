"""The bound on the worst group, the two averages, and the margins, against simulation, fairlearn and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from figureground.audit.declared.config import Policy
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.intervals import mean_t, unanimous_bounds, wilson
from figureground.audit.judge.margins import certifiable, certifiable_margin
from figureground.audit.judge.worst_group import averages, group_weighted, simultaneous_lows, worst_bound
from figureground.audit.keeping.tables import ALL


def rows_of(n=400, seed=0, per_cluster=1, share=(0.9, 0.7, 0.8)):
    rng = np.random.default_rng(seed)
    site = rng.choice(3, n // per_cluster, p=[0.6, 0.3, 0.1]).repeat(per_cluster)
    return pd.DataFrame(
        {
            "row_id": np.arange(n),
            "label": rng.choice(["cat", "dog"], n),
            "site": np.array(["A", "B", "C"])[site],
            "environment": None,
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "correct": (rng.random(n) < np.array(share)[site]).astype(float),
        }
    )


def test_the_bound_is_the_lowest_of_bounds_that_are_wider_than_single_ones_and_than_bonferroni_narrower():
    rows = rows_of()
    groups = group_rows(rows, ["site"], None).groups
    bound = worst_bound(rows, groups, ["cat", "dog"], Policy())
    cells = [
        part
        for keys in (["site"], ["site", "label"], ["label"])
        for _, part in rows.groupby(keys)
        if part["cluster"].nunique() >= 20
    ]
    assert bound.groups == len(cells)
    single, bonferroni = (
        min(wilson(cell["correct"].sum(), len(cell), level).low for cell in cells)
        for level in (0.90, 1 - 2 * 0.05 / len(cells))
    )
    assert bonferroni - 0.03 < bound.low < single
    assert bound.level == 0.95
    assert (bound.attribute, bound.group) != (ALL, ALL) or bound.label != ALL


def test_small_groups_are_not_in_it_and_without_any_group_there_is_none():
    rows = rows_of(n=60)
    groups = group_rows(rows, ["site"], None).groups
    rows.loc[rows["site"] == "C", "correct"] = 0.0
    assert rows.loc[rows["site"] == "C", "cluster"].nunique() < 20
    bound = worst_bound(rows, groups, ["cat", "dog"], Policy())
    assert bound.group != "C"
    assert worst_bound(rows, groups, ["cat", "dog"], Policy(min_clusters=1000)) is None


def test_unknown_answers_are_left_out():
    rows = rows_of()
    groups = group_rows(rows, ["site"], None).groups
    more = pd.concat([rows, rows.head(30).assign(correct=np.nan)], ignore_index=True)
    again = group_rows(more, ["site"], None).groups
    assert worst_bound(more, again, ["cat", "dog"], Policy()) == worst_bound(rows, groups, ["cat", "dog"], Policy())


def test_copies_of_a_cluster_do_not_raise_the_bound():
    rows = rows_of(n=200)
    members = [(rows["site"] == name).to_numpy() for name in "AB"]
    once = simultaneous_lows(rows["correct"].to_numpy(), rows["cluster"].to_numpy(dtype=object), members, 0.05)
    four = pd.concat([rows] * 4)
    often = simultaneous_lows(
        four["correct"].to_numpy(), four["cluster"].to_numpy(dtype=object), [np.tile(m, 4) for m in members], 0.05
    )
    np.testing.assert_allclose(often, once, atol=0.01)


def test_groups_without_errors_have_a_bound_below_one():
    correct = np.ones(80)
    members = [np.arange(80) < 40, np.arange(80) >= 40]
    lows = simultaneous_lows(correct, np.arange(80).astype(object), members, 0.05)
    z = stats.t.ppf(1 - 0.05 / 2, 39)
    np.testing.assert_allclose(lows, 40 / (40 + z * z))


@pytest.mark.parametrize("share", [0.6, 0.9, 0.97])
def test_the_bound_lies_below_the_worst_accuracy_as_often_as_it_says(share):
    """Ten groups of equal accuracy: the lowest observed one lies below in most draws, the bound in about 5 % above."""
    hits, naive = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        at = rng.integers(0, 10, 400)
        correct = (rng.random(400) < share).astype(float)
        members = [at == group for group in range(10)]
        lows = simultaneous_lows(correct, np.arange(400).astype(object), members, 0.05, seed)
        hits += lows.min() <= share
        naive += min(correct[member].mean() for member in members) <= share
    assert naive > 190
    assert hits / 200 >= 0.92


def test_both_averages_by_their_names():
    rows = rows_of()
    groups = group_rows(rows, ["site"], None).groups
    (found,) = averages(rows, groups, Policy())
    frame = MetricFrame(
        metrics=accuracy_score,
        y_true=np.ones(len(rows)),
        y_pred=rows["correct"],
        sensitive_features=rows["site"].astype(object),
    )
    assert found.sample_weighted.estimate == pytest.approx(frame.overall)
    assert found.group_weighted.estimate == pytest.approx(frame.by_group.mean())
    assert found.group_weighted.estimate == pytest.approx(balanced_accuracy_score(rows["site"], _right(rows)))
    assert (found.levels, found.left_out) == (3, 0)
    sites = [rows.loc[rows["site"] == name, "correct"] for name in "ABC"]
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in sites)) / 3
    low, high, m = found.group_weighted.ci_low, found.group_weighted.ci_high, found.group_weighted.estimate
    assert high - low == pytest.approx(2 * 1.97 * error, rel=0.05)
    assert low < m < high


def _right(rows):
    """The site where the answer is right, another site where it is wrong."""
    return rows["site"].where(rows["correct"] == 1, rows["site"].map({"A": "B", "B": "C", "C": "A"}))


def test_levels_with_too_few_units_are_counted_and_left_out():
    rows = rows_of(n=90)
    rows.loc[rows["site"] == "C", "cluster"] = "one patient"
    (found,) = averages(rows, group_rows(rows, ["site"], None).groups, Policy())
    assert (found.levels, found.left_out) == (2, 1)
    nothing = group_weighted(np.ones(3), np.array(["a", "b", "c"], dtype=object), [], 0.95)
    assert np.isnan(nothing.estimate)
    assert averages(rows.assign(correct=np.nan), group_rows(rows, ["site"], None).groups, Policy()) == []


# -- what an n could have certified


@pytest.mark.parametrize("n", [10, 20, 37, 100, 300])
def test_the_margin_is_that_of_the_power_line(n):
    """method.md 3.2: .93, .65, .48, .29 and .17 SD for 10, 20, 37, 100 and 300 units."""
    expected = {10: 0.93, 20: 0.65, 37: 0.48, 100: 0.29, 300: 0.17}[n]
    assert certifiable_margin(1 / np.sqrt(n), 1e9) == pytest.approx(expected, abs=0.01)
    assert certifiable_margin(1 / np.sqrt(n), n - 1) >= certifiable_margin(1 / np.sqrt(n), 1e9)


def test_the_margin_certifies_zero_with_the_power_promised():
    n, sd = 25, 0.4
    margin = certifiable_margin(sd / np.sqrt(n), n - 1)
    values = np.random.default_rng(0).normal(0, sd, (4000, n))
    half = stats.t.ppf(0.95, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    inside = np.abs(values.mean(axis=1)) + half < margin
    assert inside.mean() == pytest.approx(0.8, abs=0.05)


def test_where_all_agree_the_rule_of_three_is_the_margin():
    agreed = mean_t(np.ones(30), np.arange(30), bounds=(0, 1))
    assert certifiable(agreed) == pytest.approx(1 - 0.05 ** (1 / 30))
    assert certifiable(agreed) == unanimous_bounds(0.0, 30, 0.9, 0.0, 1.0)[1]
    assert certifiable(mean_t([1.0], ["a"])) is None
