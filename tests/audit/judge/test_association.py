"""Cramér's V against scipy, its correction against the formula, its interval against simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association as scipy_association

from figureground.audit.declared.config import Policy
from figureground.audit.judge.association import associations, cramers_v, phi_squared
from figureground.audit.judge.grouping import Group


def bergsma(table):
    """The corrected measure from scipy's own: its Cramér's V without a correction gives phi squared."""
    rows, columns = table.shape
    n = table.sum()
    phi2 = scipy_association(table, method="cramer") ** 2 * (min(table.shape) - 1)
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    rows, columns = rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)
    return np.sqrt(phi2 / (min(rows, columns) - 1))


def rows_of(table):
    at = [(i, j) for i, line in enumerate(table) for j, n in enumerate(line) for _ in range(n)]
    first, second = np.array(at).T
    return first.astype(str), second.astype(str)


@pytest.mark.parametrize(
    "table",
    [[[30, 10], [8, 44]], [[5, 1, 9], [2, 7, 3]], [[12, 3, 0, 1], [2, 9, 4, 4], [0, 1, 17, 2]], [[10, 11], [12, 10]]],
)
def test_the_estimate_is_scipys_with_the_correction(table):
    table = np.array(table)
    first, second = rows_of(table)
    found = cramers_v(first, second, np.arange(len(first)))
    assert found.estimate == pytest.approx(bergsma(table), abs=1e-12)
    plain = np.sqrt(phi_squared(table[None])[0] / (min(table.shape) - 1))
    assert plain == pytest.approx(scipy_association(table, method="cramer"))
    assert found.low <= found.estimate <= found.high


def drawn(rng, strength, n, per_cluster=1):
    label = rng.integers(0, 2, n)
    level = np.where(rng.random(n) < strength, label, rng.integers(0, 2, n))
    return tuple(np.repeat(values, per_cluster) for values in (label, level, np.arange(n)))


@pytest.mark.parametrize(("strength", "per_cluster"), [(0.4, 1), (0.4, 4), (0.7, 3)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(strength, per_cluster):
    rng = np.random.default_rng(5)
    found = [cramers_v(*drawn(rng, strength, 120, per_cluster), seed=i) for i in range(100)]
    assert np.mean([one.low <= strength <= one.high for one in found]) >= 0.89
    assert np.mean([one.estimate for one in found]) == pytest.approx(strength, abs=0.03)


def test_four_copies_of_a_row_are_one_unit():
    rng = np.random.default_rng(1)
    label, level, cluster = drawn(rng, 0.3, 80, 4)
    together, apart = cramers_v(label, level, cluster), cramers_v(label, level, np.arange(320))
    assert together.n_clusters == 80
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_a_complete_association_has_no_interval():
    label = np.repeat(["a", "b"], 40)
    found = cramers_v(label, label, np.arange(80))
    assert found.estimate == pytest.approx(1.0)
    assert np.isnan(found.low)


def test_many_clusters_are_joined_and_say_the_same():
    rng = np.random.default_rng(2)
    found = cramers_v(*drawn(rng, 0.5, 9_000, 2))
    assert found.n_clusters == 9_000
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.05


def test_attributes_with_one_level_have_none():
    rows = pd.DataFrame({"label": ["a", "b"] * 30, "cluster": range(60)})
    values = {"site": pd.Series(["x", "y", "y"] * 20), "one": pd.Series(["x"] * 60)}
    groups = [Group(name, "declared", tuple(sorted(set(one))), one) for name, one in values.items()]
    found = associations(rows, groups, Policy(), 0)
    assert [one.attribute for one in found] == ["site"]
    assert found[0].cramers_v.n == 60
    assert found[0].cramers_v.min_detectable is None
