"""Which columns make subgroups, and that none is left out silently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.audit.judge.grouping import BINS, group_rows
from figureground.audit.keeping.tables import MISSING
from figureground.errors import UsageError


def examples(n=60, **columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"label": rng.choice(["cat", "dog"], n), "environment": None, "status": "ok", **columns})


def only(frame, name, by=None):
    found = group_rows(frame, [name], by)
    return next(iter(found.groups), None), {column.column: column.reason for column in found.not_used}


@pytest.mark.fault("E5")
def test_the_text_na_is_a_level_and_an_empty_cell_is_another():
    values = ["NA", None, "EU"] * 20
    group, _ = only(examples(site=values), "site")
    assert set(group.levels) == {"NA", MISSING, "EU"}
    assert group.values.tolist() == [MISSING if value is None else value for value in values]


@pytest.mark.fault("E14")
def test_numbers_are_cut_at_their_quartiles_and_the_edges_are_kept():
    numbers = np.random.default_rng(1).normal(50, 12, 60).round(2)
    group, _ = only(examples(age=[f"{number}" for number in numbers]), "age")
    np.testing.assert_allclose(group.bin_edges, np.quantile(numbers, np.linspace(0, 1, BINS + 1)))
    expected = pd.cut(numbers, group.bin_edges, right=False, include_lowest=True, labels=False)
    expected = np.where(numbers == numbers.max(), BINS - 1, expected).astype(int)  # the last bin is closed
    assert group.values.tolist() == [group.levels[at] for at in expected]
    assert group.levels[0].endswith(")")
    assert group.levels[-1].endswith("]")


@pytest.mark.fault("E14")
def test_numbers_with_empty_cells_have_a_level_for_them():
    numbers = [None if at % 10 == 0 else str(at / 7) for at in range(60)]
    group, _ = only(examples(age=numbers), "age")
    assert group.levels[-1] == MISSING
    assert (group.values == MISSING).sum() == 6


def test_large_numbers_that_differ_late_keep_their_bins_apart():
    group, _ = only(examples(time=[str(1_600_000_000.5 + at) for at in range(60)]), "time")
    assert len(set(group.levels)) == BINS
    assert group.values.value_counts().tolist() == [15] * BINS


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([f"patient-{at}" for at in range(60)], "an identifier, a date or free text"),
        ([f"2024-03-{1 + at % 28:02d}" for at in range(60)], "an identifier, a date or free text"),
        ([str(1000 + at) for at in range(60)], "an identifier"),
        (["one"] * 60, "one level only: one"),
        ([None] * 60, f"one level only: {MISSING}"),
    ],
)
def test_what_makes_no_subgroup_is_listed_with_the_reason(values, word):
    group, not_used = only(examples(column=values), "column")
    assert group is None
    assert word in not_used["column"]


def test_the_same_partition_is_used_once():
    frame = examples()
    frame["environment"] = np.where(np.arange(60) % 2, "a", "b")
    frame["copy"] = np.where(np.arange(60) % 2, "x", "y")
    frame["named"] = frame["label"].str.upper()
    found = group_rows(frame, ["copy", "named"], None)
    assert [group.attribute for group in found.groups] == ["environment"]
    reasons = {column.column: column.reason for column in found.not_used}
    assert reasons == {"copy": "the same partition as environment", "named": "the same partition as label"}


def test_every_column_is_either_used_or_listed():
    frame = examples(a=["x", "y"] * 30, b=[str(at) for at in range(60)], c=[str(at / 3) for at in range(60)])
    found = group_rows(frame, ["a", "b", "c"], None)
    assert {group.attribute for group in found.groups} | {column.column for column in found.not_used} == {
        "a",
        "b",
        "c",
    }
    assert {group.origin for group in found.groups} == {"default"}


def test_a_crossing_has_every_combination_whether_it_occurs_or_not():
    frame = examples(site=["A", "A", "B"] * 20, sex=["f", "m", "f"] * 20)
    (group,) = group_rows(frame, ["site", "sex"], ["site*sex"]).groups
    assert group.levels == ("A × f", "A × m", "B × f", "B × m")
    assert (group.values == "B × m").sum() == 0
    assert group.values.tolist()[:3] == ["A × f", "A × m", "B × f"]
    assert (group.attribute, group.origin) == ("site*sex", "declared")


def test_a_declared_column_is_used_whatever_it_holds():
    frame = examples(who=[f"patient-{at}" for at in range(60)])
    (group,) = group_rows(frame, ["who"], ["who"]).groups
    assert len(group.levels) == 60


@pytest.mark.parametrize("name", ["nowhere", "site*nowhere"])
def test_an_unknown_declared_column_is_an_error(name):
    with pytest.raises(UsageError, match=r"SUBGROUP .*nowhere.*one of site"):
        group_rows(examples(site=["A", "B"] * 30), ["site"], [name])
