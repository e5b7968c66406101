"""The rate of false alarms: of the audit's own test as declared, and of tests that are broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.declared.config import Policy
from figureground.audit.judge import relabelled
from figureground.audit.judge.differences import permute
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.relabelled import Relabelled, any_level_differs, check

KEY = ("accuracy", None, None)


def data(n=120, per_cluster=1, seed=0, levels=("x", "y")):
    """Rows whose values are the same within a cluster, two labels, and one attribute."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat([f"c{i:04}" for i in range(n)], per_cluster)
    label = np.repeat(rng.choice(["cat", "dog"], n), per_cluster)
    rows = pd.DataFrame({"cluster": cluster, "label": label})
    value = pd.Series(np.repeat(rng.normal(size=n), per_cluster) + (label == "dog"), index=rows.index)
    level = pd.Series(np.repeat(rng.choice(levels, n), per_cluster), index=rows.index)
    return rows, [Group("site", "declared", tuple(levels), level)], {KEY: value}


@pytest.mark.parametrize(("per_cluster", "levels"), [(1, ("x", "y")), (3, ("x", "y", "z"))])
def test_the_permutation_test_keeps_its_level_and_its_p_is_uniform(per_cluster, levels):
    found = Relabelled(Policy(), 1)(*data(90, per_cluster, levels=levels))
    p = np.array(found.rates[0].p_values)
    assert len(p) == relabelled.RELABELLINGS
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert check(found).status == "passed"
    share = found.rates[0].share
    interval = stats.binomtest(int((p <= 0.05).sum()), len(p)).proportion_ci(0.95, "wilson")
    assert (share.ci_low, share.ci_high) == pytest.approx((interval.low, interval.high))


def test_a_test_whose_p_is_too_small_is_caught():
    found = Relabelled(Policy(), 1, lambda units, seed: any_level_differs(units, seed) ** 2)(*data())
    told = check(found)
    assert told.status == "failed"
    assert told.reason == "too_many_false_alarms"
    assert told.value > told.threshold > found.alpha


def test_a_test_that_takes_images_for_units_is_caught(monkeypatch):
    def naive(units, seed):
        """Every unit as if it were four independent ones."""
        many = {name: np.repeat(getattr(units, name), 4, axis=0) for name in ("level", "cluster", "stratum")}
        more = replace(
            units, **many, **{name: np.repeat(getattr(units, name), 4, axis=0) for name in ("values", "rows")}
        )
        return permute(more, range(1), seed, relabelled.PERMUTATIONS).any_level

    found = Relabelled(Policy(), 1, naive)(*data(60))
    assert check(found).status == "failed"
    assert found.rates[0].share.estimate > 0.2


def test_a_measure_without_spread_raises_no_alarm():
    rows, groups, values = data(60)
    found = Relabelled(Policy())(rows, groups, {KEY: values[KEY] * 0 + 1})
    assert found.rates[0].share.estimate == 0.0
    assert check(found).status == "passed"


def test_clusters_move_together_and_their_order_does_not_matter():
    rows, groups, values = data(50, 3)
    seen = []

    def spy(units, seed):
        seen.append(units)
        return np.array([1.0])

    Relabelled(Policy(), 3, spy)(rows, groups, values)
    assert {len(units.level) for units in seen} == {50}
    sizes = rows.assign(level=groups[0].values).groupby("level")["cluster"].nunique()
    assert all(np.bincount(units.level).tolist() == sizes.tolist() for units in seen)
    order = np.random.default_rng(0).permutation(len(rows))
    first, mixed = (Relabelled(Policy(), 3)(one, groups, values) for one in (rows, rows.iloc[order]))
    assert first == mixed


def test_many_clusters_are_sampled(monkeypatch):
    monkeypatch.setattr(relabelled, "MAX_CLUSTERS", 40)
    found = Relabelled(Policy(), 3)(*data(100, 2))
    assert (found.clusters, found.sampled) == (40, True)


def test_groups_asked_for_later_and_those_of_many_levels_are_left_aside():
    rows, groups, values = data(60)
    later = replace(groups[0], origin="exploratory")
    many = Group("id", "declared", tuple(sorted(rows["cluster"])), rows["cluster"])
    assert Relabelled(Policy())(rows, [later, many], values) is None
    told = check(None)
    assert (told.status, told.reason) == ("not_run", "no_group_to_relabel")


def test_of_many_labels_the_most_frequent_are_taken():
    rows, groups, values = data(300)
    rng = np.random.default_rng(0)
    rows["label"] = [f"l{i:02}" for i in rng.integers(0, 20, 300)]
    rows.loc[:9, "label"] = [f"rare{i}" for i in range(10)]
    found = Relabelled(Policy(), 3, lambda units, _: np.array([float(units.values.shape[1])]))(rows, groups, values)
    assert set(found.rates[0].p_values) == {20.0}
    assert (found.clusters, found.sampled) == (290, True)
