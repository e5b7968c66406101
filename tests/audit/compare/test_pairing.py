"""Which rows two audits have in common, against counting by hand."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.audit.compare.pairing import pair


def table(pictures, **columns):
    n = len(pictures)
    frame = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "sha256": list(pictures),
            "label": "cat",
            "cluster": [f"c{i}" for i in range(n)],
            "status": "ok",
            "weight": 1.0,
            "mask_sha256": [f"mask of {name}" for name in pictures],
        }
    )
    return frame.assign(**columns)


def test_rows_are_matched_by_picture_and_label():
    found = pair(table("abcd"), table("dcbx", label=["cat", "dog", "cat", "cat"]))
    assert list(zip(found.rows["first"], found.rows["second"], strict=True)) == [(1, 2), (3, 0)]
    assert (found.other_label, found.only_first, found.only_second) == (1, 1, 1)
    assert found.clusters == 2


def test_rows_that_were_set_aside_are_no_rows():
    found = pair(table("abc", status=["ok", "quarantined", "filtered"]), table("abc"))
    assert (len(found), found.only_first, found.only_second) == (1, 0, 2)


def test_masks_are_compared_where_both_audits_know_them():
    other = table("abc", mask_sha256=["mask of a", "redrawn", None])
    assert pair(table("abc"), other).rows["same_mask"].tolist() == [True, False, False]
    bare = [table("abc", mask_sha256=None), table("abc", mask_sha256=None)]
    assert pair(*bare).rows["same_mask"].all()
    old = pair(table("abc").drop(columns="mask_sha256"), other)
    assert not old.masks_recorded
    assert old.rows["same_mask"].all()


def test_the_same_picture_twice_is_matched_with_its_own_mask():
    first = table("aa", mask_sha256=["left", "right"])
    found = pair(first, table("aa", mask_sha256=["right", "left"])).rows
    assert list(zip(found["first"], found["second"], strict=True)) == [(0, 1), (1, 0)]
    assert found["same_mask"].all()


def test_units_that_share_a_picture_in_either_audit_are_one():
    found = pair(table("abcd", cluster=["p", "p", "q", "r"]), table("abcd", cluster=["x", "y", "y", "z"]))
    assert found.rows["cluster"].nunique() == 2  # p, q, x and y hang together; r is z
    assert found.first_clusters.nunique() == 2


def test_without_labels_pictures_alone_are_matched():
    other = table("ab", label=["dog", "dog"])
    assert len(pair(table("ab"), other)) == 0
    assert len(pair(table("ab"), other, labelled=False)) == 2


@pytest.mark.parametrize(
    ("weights", "kind", "expected"),
    [
        (([1.0, 2.0], [1.0, 2.0]), "same", [1.0, 2.0]),
        (([1.0, 2.0], [4.0, 1.5]), "larger", [4.0, 2.0]),
        (([2.0, 2.0], [3.0, 3.0]), "none", None),
    ],
)
def test_a_row_counts_with_the_larger_of_its_weights(weights, kind, expected):
    found = pair(*(table("ab", weight=values) for values in weights))
    assert found.weights == kind
    if expected is not None:
        assert found.rows["weight"].tolist() == expected


@settings(max_examples=20)
@given(st.lists(st.sampled_from("abcdef"), max_size=12), st.lists(st.sampled_from("abcdef"), max_size=12), st.randoms())
def test_as_many_rows_are_common_as_pictures_and_in_whatever_order(first, second, random):
    left = table(first) if first else table("a").head(0)
    right = table(second) if second else table("a").head(0)
    found = pair(left, right)
    assert len(found) == sum((Counter(first) & Counter(second)).values())
    assert found.only_first == len(first) - len(found)
    assert found.only_second == len(second) - len(found)
    assert found.rows["first"].is_unique
    assert found.rows["second"].is_unique
    order = list(range(len(right)))
    random.shuffle(order)
    again = pair(left, right.iloc[order])
    pd.testing.assert_frame_equal(again.rows, found.rows)
