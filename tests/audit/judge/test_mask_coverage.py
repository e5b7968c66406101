"""Masks for some rows only: counts against pandas, accuracies by hand, and groups without any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.mask_coverage import mask_coverage, without_masks
from figureground.audit.keeping.tables import ALL


def world(n=200, seed=0):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "label": rng.choice(["cat", "dog"], n),
            "site": rng.choice(["A", "B", "D"], n),
            "environment": None,
            "cluster": [f"c{i}" for i in range(n)],
            "correct": rng.integers(0, 2, n).astype(float),
        }
    )
    rows["object_area"] = np.where((rng.random(n) < 0.4) & (rows["site"] != "D"), 0.2, np.nan)
    return rows, group_rows(rows, ["site"], None).groups


def test_counts_and_accuracies_are_those_of_pandas():
    rows, groups = world()
    found = {(line.attribute, line.level): line for line in mask_coverage(rows, groups, Policy())}
    expected = {(ALL, ALL), ("label", "cat"), ("label", "dog"), *(("site", name) for name in "ABD")}
    assert set(found) == expected
    for (attribute, level), line in found.items():
        part = rows if attribute == ALL else rows[rows[attribute] == level]
        masked = part["object_area"].notna()
        assert (line.n, line.with_mask) == (len(part), masked.sum())
        assert line.accuracy_without.estimate == pytest.approx(part.loc[~masked, "correct"].mean())
        if masked.any():
            assert line.accuracy_with.estimate == pytest.approx(part.loc[masked, "correct"].mean())
            assert line.accuracy_with.ci_low < line.accuracy_with.estimate < line.accuracy_with.ci_high


def test_a_site_without_masks_has_no_accuracy_with_and_is_registered():
    rows, groups = world()
    line = next(line for line in mask_coverage(rows, groups, Policy()) if line.level == "D")
    assert (line.with_mask, line.accuracy_with.status, line.accuracy_with.estimate) == (0, "absent", None)
    assert [(item.subject, item.reason) for item in without_masks(rows, groups)] == [("site = D", "no_mask_in_group")]


@pytest.mark.parametrize("area", [0.2, np.nan])
def test_where_all_or_none_have_masks_there_is_nothing_to_compare(area):
    rows, groups = world()
    assert mask_coverage(rows.assign(object_area=area), groups, Policy()) == []
    assert without_masks(rows.assign(object_area=area), groups) == []
