"""The draw: whole clusters, seeded, every level with its share, and weights that make the population again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.datasets.sampling import POOLED, ClusterDraw
from figureground.errors import UsageError


def table(n=3000, per=1, masks=1.0, sites=(0.6, 0.3, 0.09, 0.01), rare=0.1, seed=0):
    """Rows of a data table with clusters of 1 to ``2 per - 1`` rows."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n), rng.integers(1, 2 * per, n))
    return pd.DataFrame(
        {
            "row_id": np.arange(len(g)),
            "cluster": [f"c{i}" for i in g],
            "label": rng.choice(["a", "b"], n)[g],
            "environment": rng.choice(["grass", "gravel"], n, p=[1 - rare, rare])[g],
            "masked": (rng.random(n) < masks)[g],
            "site": rng.choice(list("ABCDEFGH")[: len(sites)], n, p=sites)[g],
        }
    )


def sites_of(rows):
    return [(rows["site"] == site).to_numpy() for site in sorted(rows["site"].unique())]


def test_a_table_smaller_than_what_is_wanted_is_used_whole():
    rows = table(800)
    for draw in (ClusterDraw(0, 859, 20), ClusterDraw(0, None), ClusterDraw(0, None, 20, len(rows))):
        drawn = draw(rows, sites_of(rows))
        assert drawn.weight.eq(1.0).all()
        assert drawn.strata["clusters"].tolist() == drawn.strata["drawn"].tolist()


def test_a_draw_that_would_leave_out_little_leaves_out_nothing():
    assert ClusterDraw(0, 900)(table(1000)).weight.eq(1.0).all()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    per=st.sampled_from([1, 3]),
    masks=st.sampled_from([0.0, 0.15, 1.0]),
    rare=st.sampled_from([0.0, 0.02, 0.5]),
    units=st.integers(60, 500),
)
def test_clusters_are_whole_levels_are_reached_and_weights_make_the_population(seed, per, masks, rare, units):
    rows = table(1500, per, masks, rare=rare, seed=seed)
    levels = sites_of(rows)
    drawn = ClusterDraw(seed, units, 20)(rows, levels)
    taken = drawn.weight.notna()
    assert taken.groupby(rows["cluster"]).nunique().eq(1).all()
    assert drawn.weight[taken].groupby(rows["cluster"]).nunique().eq(1).all()
    first = rows["cluster"].drop_duplicates().index
    assert drawn.weight[first].sum() == pytest.approx(1500)
    for level in levels:
        for kind in (level, level & rows["masked"].to_numpy()):
            given_units = rows.loc[kind, "cluster"].nunique()
            assert rows.loc[kind & taken.to_numpy(), "cluster"].nunique() >= min(20, given_units)
    weights = drawn.weight[first].dropna()
    for kind in (rows["masked"], ~rows["masked"]):
        part = weights[kind[weights.index]]
        if len(part):  # no less precise than a simple random sample of the size that was wanted, but for rounding
            assert part.sum() ** 2 / (part**2).sum() >= 0.93 * min(units, rows.loc[kind, "cluster"].nunique())


@settings(max_examples=25)
@given(seed=st.integers(0, 999), limit=st.integers(12, 900), masks=st.sampled_from([0.2, 1.0]))
def test_never_more_rows_than_asked_for_and_hardly_fewer(seed, limit, masks):
    rows = table(600, 3, masks, seed=seed)
    drawn = ClusterDraw(seed, None, 20, limit)(rows, sites_of(rows))
    n = drawn.weight.notna().sum()
    assert min(limit, len(rows)) - 5 <= n <= limit or n == len(rows)
    lines = drawn.strata
    assert lines["clusters"].sum() == 600
    assert (lines["drawn"] * lines["weight"]).sum() + lines.loc[lines["drawn"] == 0, "clusters"].sum() == (
        pytest.approx(600)
    )


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    rows = table(2000, 2)
    expected = ClusterDraw(1, 300, 20)(rows).weight
    turned = rows.sample(frac=1, random_state=3)
    pd.testing.assert_series_equal(ClusterDraw(1, 300, 20)(turned).weight.sort_index(), expected)
    assert not ClusterDraw(2, 300, 20)(rows).weight.equals(expected)


def test_a_rare_cell_gets_at_least_half_of_an_equal_share():
    rows = table(20_000, rare=0.02)
    drawn = ClusterDraw(0, 800)(rows)
    lines = drawn.strata.groupby(["label", "environment"])["drawn"].sum()
    assert lines["a", "gravel"] >= 99
    assert lines["a", "grass"] > 350


def test_strata_in_which_nobody_is_expected_are_pooled():
    rows = table(5000)
    rows["environment"] = np.random.default_rng(0).integers(0, 400, len(rows)).astype(str)
    drawn = ClusterDraw(0, 200)(rows)
    assert POOLED in set(drawn.strata["environment"])
    assert (drawn.strata["drawn"] > 0).all()


def test_one_whole_cluster_that_does_not_fit_is_told():
    rows = table(40).assign(cluster="p1")
    with pytest.raises(UsageError, match="room for 10 images") as caught:
        ClusterDraw(0, None, 0, 10)(rows)
    assert "--max-images 40" in str(caught.value)


def test_weighted_shares_are_those_of_the_population():
    """Over repeated draws the weighted mean has no bias, although rare cells are drawn more often."""
    rows = table(4000, rare=0.05)
    value = (rows["environment"] == "gravel") * 0.8 + (rows["site"] == "D") * 0.2
    found = []
    for seed in range(60):
        weight = ClusterDraw(seed, 200, 20)(rows, sites_of(rows)).weight
        found.append(float((value * weight).sum() / weight.sum()))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - value.mean()) < 4 * error + 1e-3
    unweighted = value[ClusterDraw(0, 200, 20)(rows, sites_of(rows)).weight.notna()].mean()
    assert unweighted > value.mean() + 0.02
