"""Differences between groups against scipy, Simpson's paradox, and the size of the permutation test."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.judge.differences import difference, make_units, permute


def frame(n=120, seed=0, levels=("A", "B"), per_cluster=1, shift=0.0, labels=("cat", "dog")):
    rng = np.random.default_rng(seed)
    groups = n // per_cluster
    level = rng.choice(levels, groups).repeat(per_cluster)
    value = rng.normal(size=groups).repeat(per_cluster) + 0.1 * rng.normal(size=n) + shift * (level == levels[0])
    return pd.DataFrame(
        {
            "level": level,
            "label": rng.choice(labels, groups).repeat(per_cluster),
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "value": value,
        }
    )


def units_of(rows, *columns):
    return make_units(rows["level"], rows["label"], rows["cluster"], rows[list(columns or ("value",))])


def test_with_one_label_it_is_welchs_test_and_that_of_brunner_and_munzel():
    rows = frame(labels=("cat",), shift=0.5)
    found = difference(units_of(rows), 0, 0, 0.95)
    a, b = (rows.loc[rows["level"] == name, "value"] for name in "AB")
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert found.mean.estimate == pytest.approx(a.mean() - b.mean())
    assert (found.mean.low, found.mean.high) == pytest.approx(tuple(welch.confidence_interval()))
    assert found.delta.estimate == pytest.approx(2 * stats.mannwhitneyu(a, b).statistic / len(a) / len(b) - 1)
    assert found.delta_p == pytest.approx(stats.brunnermunzel(a, b).pvalue)
    assert (found.mean.n, found.mean.n_clusters, found.labels) == (120, min(len(a), len(b)), 1)


def test_labels_count_the_same_and_simpson_is_gone():
    """Dogs lie two above cats and are frequent in A only; within labels the levels are alike."""
    rng = np.random.default_rng(3)
    rows = pd.concat(
        [
            pd.DataFrame({"level": level, "label": label, "value": rng.normal(2.0 * (label == "dog"), 1, n)})
            for (level, label), n in {("A", "dog"): 90, ("A", "cat"): 10, ("B", "dog"): 10, ("B", "cat"): 90}.items()
        ],
        ignore_index=True,
    ).assign(cluster=lambda table: [f"c{i}" for i in table.index])
    found = difference(units_of(rows), 0, 0, 0.95)
    means = rows.groupby(["label", "level"])["value"].mean().unstack("level")
    assert found.mean.estimate == pytest.approx((means["A"] - means["B"]).mean())
    assert found.mean.low < 0 < found.mean.high
    plain = rows.groupby("level")["value"].mean()
    assert plain["A"] - plain["B"] > 1
    assert permute(units_of(rows), [0], 0, 499).single[0, 0] > 0.05


def test_the_permutation_test_is_the_exact_one_of_a_small_sample():
    rows = frame(n=10, labels=("cat",), seed=5)
    units = units_of(rows)
    values, inside = rows.set_index("cluster").loc[units.cluster, "value"].to_numpy(), units.level == 0

    def t(member):
        return abs(stats.ttest_ind(values[member], values[~member], equal_var=False).statistic)

    masks = [np.isin(np.arange(10), chosen) for chosen in combinations(range(10), int(inside.sum()))]
    exact = np.mean([t(mask) >= t(inside) - 1e-9 for mask in masks])
    assert permute(units, [0], 0, 4000).single[0, 0] == pytest.approx(exact, abs=0.03)


def test_under_no_difference_p_is_uniform_and_the_largest_is_not_found_too_often():
    p = [
        permute(units_of(frame(n=90, seed=seed, levels=("A", "B", "C", "D"), per_cluster=2)), range(4), seed, 99)
        for seed in range(120)
    ]
    single, any_level = np.array([one.single[0, 0] for one in p]), np.array([one.any_level[0] for one in p])
    for found in (single, any_level):
        assert (found <= 0.05).mean() <= 0.11
        assert 0.38 < found.mean() < 0.62
    largest = np.array([one.largest.min() for one in p])
    np.testing.assert_allclose(largest, any_level)


def test_one_level_that_differs_is_found_and_named():
    rows = frame(n=400, levels=("A", "B", "C", "D"), shift=0.8)
    found = permute(units_of(rows), range(4), 0, 999)
    assert found.any_level[0] == found.single[0, 0] == 0.001
    assert found.largest[0, 0] < 0.01
    assert found.single.argmin() == 0


def test_copies_of_a_cluster_are_no_evidence():
    rows = frame(n=60, shift=0.4)
    often = pd.concat([rows] * 4)
    once, again = (difference(units_of(part), 0, 0, 0.95) for part in (rows, often))
    assert (again.mean.low, again.mean.high) == pytest.approx((once.mean.low, once.mean.high))
    assert again.delta_p == pytest.approx(once.delta_p)
    assert again.mean.n == 4 * once.mean.n
    found = [permute(units_of(part), [0], 0, 199).single[0, 0] for part in (rows, often)]
    assert found[0] == found[1]


def test_several_measures_are_what_each_is_alone_and_missing_values_are_left_out():
    rows = frame(n=150).assign(other=lambda table: table["value"] ** 2)
    rows.loc[:30, "other"] = np.nan
    both, alone = units_of(rows, "value", "other"), units_of(rows, "other")
    assert difference(both, 0, 1, 0.95) == difference(alone, 0, 0, 0.95)
    assert difference(alone, 0, 0, 0.95).mean.n == 119
    found = permute(both, [0], 0, 199)
    assert found.single[0, 1] == permute(alone, [0], 0, 199).single[0, 0]


def test_ragged_groups_give_no_number_rather_than_a_wrong_one():
    rows = frame(n=40, labels=("cat",))
    rows.loc[rows["level"] == "B", "value"] = np.nan
    nothing = difference(units_of(rows), 0, 0, 0.95)
    assert np.isnan(nothing.mean.estimate)
    assert (nothing.labels, nothing.delta_p) == (0, None)
    found = permute(units_of(rows), [0], 0, 49)
    assert np.isnan([found.single[0, 0], found.any_level[0]]).all()
    apart = rows.assign(value=(rows["level"] == "A").astype(float))
    clear = difference(units_of(apart), 0, 0, 0.95)
    assert clear.delta.estimate == 1
    assert clear.delta.low < 1
    assert permute(units_of(apart), [0], 0, 199).single[0, 0] == 0.005
    same = permute(units_of(rows.assign(value=1.0)), [0], 0, 49)
    assert same.single[0, 0] == 1


def test_a_label_that_only_one_side_has_is_left_out():
    rows = frame(n=200)
    rows.loc[(rows["level"] == "B") & (rows["label"] == "dog"), "label"] = "cat"
    found = difference(units_of(rows), 0, 0, 0.95)
    cats = rows[rows["label"] == "cat"].groupby("level")["value"].mean()
    assert found.labels == 1
    assert found.mean.estimate == pytest.approx(cats["A"] - cats["B"])


@pytest.mark.slow
@pytest.mark.parametrize("per_cluster", [1, 4])
def test_intervals_cover_the_true_difference(per_cluster):
    hits = 0
    for seed in range(500):
        rows = frame(n=60 * per_cluster, seed=seed, per_cluster=per_cluster, shift=0.3)
        interval = difference(units_of(rows), 0, 0, 0.95).mean
        hits += interval.low <= 0.3 <= interval.high
    assert 0.92 <= hits / 500 <= 0.98


def weighed(rows, weight, *columns):
    values = rows[list(columns or ("value",))]
    return make_units(rows["level"], rows["label"], rows["cluster"], values, weight)


def test_the_difference_with_design_weights_is_that_of_weighted_means():
    rows = frame(shift=0.5)
    weight = np.random.default_rng(4).uniform(0.5, 3, len(rows))
    found = difference(weighed(rows, weight), 0, 0, 0.95).mean
    by_hand = []
    for label in ("cat", "dog"):
        of = (rows["label"] == label).to_numpy()
        a, b = (
            np.average(rows["value"][of & inside], weights=weight[of & inside])
            for inside in ((rows["level"] == "A").to_numpy(), (rows["level"] == "B").to_numpy())
        )
        by_hand.append(a - b)
    assert found.estimate == pytest.approx(np.mean(by_hand))


def test_equal_weights_are_none_in_interval_and_p():
    rows = frame(shift=0.3, levels=("A", "B", "C"), per_cluster=2)
    plain, equal = units_of(rows), weighed(rows, np.full(len(rows), 2.5))
    for level in range(3):
        one, other = (difference(units, level, 0, 0.95) for units in (plain, equal))
        assert other.mean.estimate == pytest.approx(one.mean.estimate)
        assert other.mean.standard_error == pytest.approx(one.mean.standard_error)
        assert other.delta.estimate == pytest.approx(one.delta.estimate)
    first, second = (permute(units, range(3), 0, 199) for units in (plain, equal))
    np.testing.assert_allclose(first.single, second.single)
    np.testing.assert_allclose(first.largest, second.largest)


@pytest.mark.slow
def test_with_weights_under_no_difference_p_is_uniform():
    p = []
    for seed in range(150):
        rows = frame(seed=seed, n=80)
        weight = np.random.default_rng(seed).choice([0.5, 1.0, 4.0], len(rows))
        p.append(permute(weighed(rows, weight), [0], seed, 99).single[0, 0])
    assert stats.kstest(p, "uniform").pvalue > 0.001
