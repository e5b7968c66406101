"""Levels, halves and the subsample: pure functions of the examples and the seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.audit.keeping.tables import MISSING
from figureground.audit.rows.recipients import split_halves
from figureground.audit.rows.strata import StrataDraw, by_environment, by_label, by_prediction, usable_rows


def examples(n=200, per_cluster=1, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "row_id": rng.choice(2**62, n, replace=False),
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "label": rng.choice(["cat", "dog"], n),
            "environment": rng.choice(["hill", "sea", MISSING], n, p=[0.5, 0.4, 0.1]),
            "object_area": rng.choice([0.3, np.nan, 0.0, 0.99], n),
            "status": rng.choice(["ok", "quarantined"], n, p=[0.9, 0.1]),
        }
    )


def test_rows_without_an_object_to_tell_from_its_ground_are_marked():
    table = examples()
    rows = usable_rows(table).set_index("row_id")
    assert set(rows.index) == set(table.loc[table["status"] == "ok", "row_id"])
    area = table.set_index("row_id")["object_area"].reindex(rows.index)
    assert (rows["masked"] == (area == 0.3)).all()


def test_an_unknown_environment_stands_for_no_level():
    rows = by_environment(examples())
    assert set(rows["stratum"]) == {"hill", "sea"}
    assert by_environment(examples().assign(environment=None)) is None
    assert set(by_label(examples())["stratum"]) == {"cat", "dog"}


def test_answers_to_backgrounds_serve_only_where_every_level_is_populated():
    table = examples()
    rng = np.random.default_rng(1)
    both = pd.Series(rng.choice(["cat", "dog"], len(table)), index=table["row_id"])
    found = by_prediction(table, both, 20)
    assert (found.set_index("row_id")["stratum"] == both.reindex(found["row_id"])).all()
    few = pd.Series("cat", index=table["row_id"])
    few.iloc[:19] = "dog"
    assert by_prediction(table, few, 20) is None
    assert by_prediction(table, both.iloc[:10], 20) is None
    assert by_prediction(table, pd.Series(dtype=object), 20) is None


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 150), per_cluster=st.integers(1, 6), wanted=st.integers(5, 160), seed=st.integers(0, 99))
def test_the_subsample_holds_whole_clusters_and_ignores_the_order(n, per_cluster, wanted, seed):
    rows = by_label(examples(n, per_cluster, seed))
    if rows.empty:
        return
    found = StrataDraw(wanted, seed)(rows, "label")
    again = StrataDraw(wanted, seed)(rows.sample(frac=1, random_state=seed), "label")
    pd.testing.assert_frame_equal(found, again)
    clusters = rows.set_index("row_id")["cluster"].reindex(found["row_id"]).to_numpy()
    assert found["subsample"].groupby(clusters).nunique().eq(1).all()
    assert found["subsample"].sum() <= max(wanted, len(rows) if len(rows) <= wanted else wanted)
    assert found["row_id"].is_monotonic_increasing
    np.testing.assert_array_equal(found["half"], split_halves(rows.sort_values("row_id"), seed))


@pytest.mark.parametrize("wanted", [60, 120])
def test_the_subsample_has_every_cell_in_its_share(wanted):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "row_id": np.arange(1000),
            "cluster": [f"c{i}" for i in range(1000)],
            "label": rng.choice(["cat", "dog"], 1000, p=[0.8, 0.2]),
            "stratum": rng.choice(["hill", "sea"], 1000, p=[0.9, 0.1]),
        }
    )
    found = rows.merge(StrataDraw(wanted, 3)(rows, "environment")[["row_id", "subsample"]], on="row_id")
    assert found["subsample"].sum() == wanted
    for _, cell in found.groupby(["label", "stratum"]):
        assert abs(cell["subsample"].sum() - wanted * len(cell) / 1000) <= 1.5


def test_rows_at_the_edges_of_what_can_be_compared():
    """Areas of 0 and of 0.98 leave nothing to compare, those between do; a broken row takes no part."""
    table = pd.DataFrame(
        {
            "row_id": [9, 3, 5, 1, 7, 2, 4],
            "cluster": list("abcdefg"),
            "label": ["cat", "dog"] * 3 + ["cat"],
            "environment": ["hill", "sea", "hill", "sea", "hill", "sea", MISSING],
            "object_area": [0.5, 0.0, None, 0.98, 0.97, 0.01, 0.4],
            "status": ["ok", "ok", "ok", "ok", "ok", "quarantined", "ok"],
        }
    )
    named, labelled = by_environment(table), by_label(table)
    assert sorted(named.loc[named["masked"], "row_id"]) == [7, 9]  # row 4 has a background of unknown kind
    assert sorted(labelled.loc[labelled["masked"], "row_id"]) == [4, 7, 9]
    assert labelled["stratum"].tolist() == labelled["label"].tolist()
