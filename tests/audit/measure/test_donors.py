"""The plan of the donor contrast: who may lend to whom, how often, and that only rows and seed decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw, assign
from figureground.audit.rows.recipients import split_halves


def table(sizes, labels=2, per_cluster=1, seed=0):
    """Rows with ``sizes[level]`` rows each, in clusters of ``per_cluster``; shuffled, with 63-bit ids."""
    rng = np.random.default_rng(seed)
    levels = [f"level{i}" for i, size in enumerate(sizes) for _ in range(size)]
    n = len(levels)
    rows = pd.DataFrame(
        {
            "row_id": rng.choice(2**62, n, replace=False),
            "cluster": [f"{level}-{i // per_cluster}" for i, level in enumerate(levels)],
            "label": [f"label{i % labels}" for i in range(n)],
            "stratum": levels,
        }
    )
    return halved(rows)


def halved(rows):
    """Rows with their half, in sorted ``row_id``."""
    rows = rows.sort_values("row_id").reset_index(drop=True)
    return rows.assign(half=split_halves(rows, 0))


def joined(plan, rows):
    """The plan with the clusters, levels and halves of recipients and donors."""
    look = rows.set_index("row_id")
    half = look["half"]
    return plan.assign(
        own_cluster=look.loc[plan["row_id"], "cluster"].to_numpy(),
        donor_cluster=look.loc[plan["donor_row_id"], "cluster"].to_numpy(),
        donor_level=look.loc[plan["donor_row_id"], "stratum"].to_numpy(),
        own_half=[half[row] for row in plan["row_id"]],
        donor_half=[half[row] for row in plan["donor_row_id"]],
    )


def check(plan, rows, max_reuse):
    """Everything that must hold of any plan."""
    full = joined(plan, rows)
    levels = sorted(rows["stratum"].unique())
    assert (full["own_cluster"] != full["donor_cluster"]).all()
    assert (full["own_half"] == full["donor_half"]).all()
    assert (full["half"] == full["own_half"]).all()
    proper = full[full["arm"] != SAME_LEVEL]
    assert (proper["donor_level"] == proper["arm"]).all()
    second = full[full["arm"] == SAME_LEVEL]
    assert (second["donor_level"] == second["stratum"]).all()
    arms = plan.groupby(["row_id", "pass"])["arm"].agg(sorted)
    assert all(found == sorted([*levels, SAME_LEVEL]) for found in arms)
    reuse = plan.groupby(["half", "arm", "pass", "donor_row_id"]).size()
    assert reuse.empty or reuse.max() <= max_reuse
    # the second donor of the own level shares no cluster with the first
    first = proper[proper["arm"] == proper["stratum"]].set_index(["row_id", "pass"])["donor_cluster"]
    assert (
        second.set_index(["row_id", "pass"])["donor_cluster"]
        != first.reindex(second.set_index(["row_id", "pass"]).index)
    ).all()


def test_every_recipient_gets_one_donor_of_every_level_in_every_pass():
    rows = table([40, 40, 40])
    plan = DonorDraw(passes=3)(rows)
    check(plan, rows, 5)
    assert len(plan) == 120 * 3 * 4
    assert set(plan["row_id"]) == set(rows["row_id"])
    assert not plan.duplicated(["row_id", "pass", "arm"]).any()


def test_halves_share_no_cluster_although_clusters_hold_several_rows():
    rows = table([60, 60], per_cluster=4)
    full = joined(DonorDraw()(rows), rows)
    by_half = {name: set(part["own_cluster"]) | set(part["donor_cluster"]) for name, part in full.groupby("half")}
    assert set(by_half) == {"a", "b"}
    assert by_half["a"].isdisjoint(by_half["b"])


def test_donors_are_used_as_evenly_as_can_be():
    rows = table([60, 20])
    plan = DonorDraw(passes=2)(rows)
    counts = plan[plan["arm"] != SAME_LEVEL].groupby(["half", "pass", "arm", "donor_row_id"]).size()
    spread = counts.groupby(level=[0, 1, 2]).agg(lambda used: used.max() - used.min())
    assert (spread <= 1).all()
    assert counts.max() <= 5


@pytest.mark.parametrize("max_reuse", [1, 2, 5])
def test_where_a_level_is_too_small_recipients_are_subsampled(max_reuse):
    rows = table([80, 8])
    plan = DonorDraw(passes=1, max_reuse=max_reuse)(rows)
    check(plan, rows, max_reuse)
    scarce = plan[plan["arm"] == "level1"]
    assert scarce.groupby("donor_row_id").size().max() == max_reuse
    in_half = joined(plan, rows).groupby("half")["row_id"].nunique()
    assert (in_half <= max_reuse * 4).all()
    assert in_half.sum() < len(rows)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=4),
    per_cluster=st.integers(1, 5),
    max_reuse=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_no_ragged_strata_break_a_rule(sizes, per_cluster, max_reuse, seed):
    rows = table(sizes, per_cluster=per_cluster, seed=seed)
    plan = DonorDraw(passes=2, max_reuse=max_reuse)(rows)
    check(plan, rows, max_reuse)
    shuffled = rows.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(plan, DonorDraw(passes=2, max_reuse=max_reuse)(shuffled))


def test_a_level_of_a_single_cluster_lends_to_the_others_only_within_its_half():
    rows = halved(pd.concat([table([40]), table([3]).assign(stratum="rare", cluster="only", row_id=[1, 2, 3])]))
    plan = DonorDraw()(rows)
    check(plan, rows, 5)
    assert plan["half"].nunique() == 1  # the other half has no donor of that level
    assert not set(plan["row_id"]) & {1, 2, 3}  # a second donor of the own level does not exist for them


def test_the_same_seed_gives_the_same_plan_and_another_another():
    rows = table([30, 30])
    plan = DonorDraw(seed=4)(rows)
    pd.testing.assert_frame_equal(plan, DonorDraw(seed=4)(rows))
    assert not plan.equals(DonorDraw(seed=5)(rows))


def test_passes_draw_anew():
    plan = DonorDraw(passes=2)(table([50, 50]))
    wide = plan.pivot(index=["row_id", "arm"], columns="pass", values="donor_row_id")
    assert (wide[0] == wide[1]).mean() < 0.2


def test_assign_says_where_none_fits():
    pool = pd.DataFrame({"row_id": [7], "cluster": ["x"]})
    found = assign(pool, np.array(["x", "y"], dtype=object), np.random.default_rng(0))
    assert found.tolist() == [-1, 7]
    assert assign(pool.iloc[:0], np.array(["y"], dtype=object), np.random.default_rng(0)).tolist() == [-1]


@pytest.mark.parametrize("seed", range(10))
def test_assign_exchanges_until_nobody_borrows_from_itself(seed):
    pool = pd.DataFrame({"row_id": np.arange(6), "cluster": list("abcdef")})
    found = assign(pool, np.array(list("abcdef"), dtype=object), np.random.default_rng(seed))
    assert sorted(found) == list(range(6))
    assert (found != np.arange(6)).all()


def test_recipients_may_be_fewer_than_those_who_lend():
    rows = table([60, 60])
    chosen = pd.Series(np.arange(len(rows)) % 3 == 0, index=rows.index)
    plan = DonorDraw(passes=1)(rows, chosen)
    check(plan, rows, 5)
    assert set(plan["row_id"]) == set(rows.loc[chosen, "row_id"])
    assert len(set(plan["donor_row_id"]) - set(plan["row_id"])) > 20


def test_one_level_lends_nothing():
    assert DonorDraw()(table([30])).empty
    assert DonorDraw()(table([30, 30]).iloc[:0]).empty
