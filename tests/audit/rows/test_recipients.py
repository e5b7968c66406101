"""Who takes part, and two halves that share no cluster."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.audit.rows.recipients import HALVES, has_environment, split_halves

EXAMPLES = pd.DataFrame(
    {
        "row_id": [9, 3, 5, 1, 7, 2, 4],
        "cluster": list("abcdefg"),
        "label": ["cat", "dog"] * 3 + ["cat"],
        "environment": ["hill", "sea", "hill", "sea", "hill", "sea", "(missing)"],
        "object_area": [0.5, 0.0, None, 0.98, 0.97, 0.01, 0.4],
        "status": ["ok", "ok", "ok", "ok", "ok", "quarantined", "ok"],
    }
)


@pytest.mark.parametrize("without", [EXAMPLES.drop(columns="environment"), EXAMPLES.assign(environment=None)])
def test_an_environment_is_there_only_where_a_row_names_one(without):
    assert not has_environment(without)
    assert has_environment(EXAMPLES)


@st.composite
def tables(draw):
    cells = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 25))
    rows = draw(st.lists(cells, min_size=1, max_size=60))
    frame = pd.DataFrame(rows, columns=["label", "stratum", "cluster"])
    return frame.assign(cluster=frame["cluster"].map("c{}".format), row_id=np.arange(len(rows)) * 7)


@settings(max_examples=30, deadline=None)
@given(rows=tables(), seed=st.integers(0, 2**62), data=st.data())
def test_halves_share_no_cluster_are_balanced_and_ignore_the_order(rows, seed, data):
    half = split_halves(rows, seed)
    assert set(half) <= set(HALVES)
    assert pd.Series(half).groupby(rows["cluster"].to_numpy()).nunique().eq(1).all()
    first = rows.assign(half=half).sort_values(["cluster", "row_id"]).drop_duplicates("cluster")
    assert abs((first["half"] == "a").sum() - (first["half"] == "b").sum()) <= 1
    for _, cell in first.groupby(["label", "stratum"]):
        assert abs((cell["half"] == "a").sum() - (cell["half"] == "b").sum()) <= 1
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    np.testing.assert_array_equal(split_halves(rows.iloc[order], seed), half[order])


def test_the_seed_decides_which_half():
    rows = pd.DataFrame({"row_id": range(40), "cluster": [f"c{n}" for n in range(40)], "label": "a", "stratum": "x"})
    assert split_halves(rows, 1).tolist() == split_halves(rows, 1).tolist()
    assert split_halves(rows, 1).tolist() != split_halves(rows, 2).tolist()
