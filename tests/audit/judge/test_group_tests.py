"""Rows of the tests between groups: keyed, bounded in number, and right on a model with a known difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.declared.config import Policy
from figureground.audit.judge import differences, group_tests
from figureground.audit.judge.families import adjust_in_turn, benjamini_hochberg
from figureground.audit.judge.group_tests import OTHERS, GroupTests, not_compared
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.multiplicity import benjamini_yekutieli
from figureground.audit.keeping.tables import TESTS, conform

KEY = ["cue", "test", "scale", "arm", "reference", "method", "attribute"]


def world(n=300, seed=0):
    """Site C looks at the background; sexes and devices are alike."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "label": rng.choice(["cat", "dog"], n),
            "site": rng.choice(["A", "B", "C"], n),
            "sex": rng.choice(["f", "m"], n),
            "device": rng.choice(list("vwxyz"), n),
            "environment": None,
            "cluster": [f"c{i // 2}" for i in range(n)],
            "correct": (rng.random(n) < 0.8).astype(float),
            "object_area": rng.uniform(0.1, 0.4, n),
        }
    )
    maps = []
    for method, sign in (("saliency", "absolute"), ("gradcam", "positive")):
        ldr = rng.normal(size=n) + 1.5 * (rows["site"] == "C")
        share = 1 / (1 + np.exp(-ldr))
        columns = {"ldr": ldr, "background_share": share, "object_eccentricity": rng.uniform(0, 0.5, n)}
        maps.append(pd.DataFrame({"row_id": rows["row_id"], "method": method, "sign": sign, **columns}))
    return rows, pd.concat(maps, ignore_index=True)


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "PERMUTATIONS", 499)
        rows, maps = world()
        groups = group_rows(rows, ["site", "sex", "device"], None).groups
        yield GroupTests(Policy(), 0, maps)(rows, groups)


def of(table, test, **keys):
    chosen = table[table["test"] == test]
    for name, value in keys.items():
        chosen = chosen[chosen[name] == value]
    return chosen


def test_every_level_is_compared_once_in_every_measure(found):
    assert not found.duplicated(KEY).any()
    assert len(of(found, "group_difference")) == len(of(found, "cliffs_delta")) == (3 + 1 + 5) * 5
    assert len(of(found, "any_group_differs")) == 3 * 5
    assert set(of(found, "group_difference", attribute="sex")["reference"]) == {"m"}
    assert set(of(found, "group_difference", attribute="site")["reference"]) == {OTHERS}
    assert set(conform(found, TESTS).column_names) == set(TESTS.names)


def test_the_site_that_differs_is_found_with_its_size_and_the_others_are_not(found):
    line = of(found, "any_group_differs", attribute="site", scale="ldr", method="saliency").iloc[0]
    assert line["arm"] == "C"
    assert line["ci_low"] < 1.5 < line["ci_high"]
    assert line["p_raw"] == 0.002
    assert line["p_adjusted"] < 0.01
    others = found[(found["test"] == "any_group_differs") & (found["attribute"] != "site")]
    assert (others["p_adjusted"] > 0.02).all()  # the site is at the smallest p that there is


def test_adjusted_p_are_those_of_scipy(found):
    for test, method in (("any_group_differs", "bh"), ("cliffs_delta", "by")):
        chosen = of(found, test)
        expected = stats.false_discovery_control(chosen["p_raw"].astype(float), method=method)
        np.testing.assert_allclose(chosen["p_adjusted"].astype(float), expected)
    single = of(found, "group_difference")
    assert (single["p_adjusted"] >= single["p_raw"] - 1e-12).all()


def test_differences_that_are_there_have_a_confounder_block_and_others_none(found):
    adjusted = of(found, "group_difference_adjusted")
    assert set(adjusted["scale"]) == {"ldr"}
    clear = of(found, "group_difference", scale="ldr")
    clear = clear[(clear["ci_low"] > 0) | (clear["ci_high"] < 0)]
    assert len(adjusted) == len(of(found, "group_difference_correct")) == len(clear) >= 2
    line = of(found, "group_difference_adjusted", arm="C", method="gradcam").iloc[0]
    assert line["estimate"] == pytest.approx(1.5, abs=0.4)
    assert line["reason"] is None


def test_without_attributes_or_levels_there_is_no_row():
    rows, maps = world()
    assert GroupTests(Policy(), 0, maps)(rows, []).empty
    single = group_rows(rows, ["site"], ["site"]).groups
    assert GroupTests(Policy(), 0, maps)(rows[rows["site"] == "A"], single).empty


def test_a_small_side_carries_no_verdict_and_a_measure_without_values_is_left_out():
    rows, maps = world(n=60)
    rows.loc[3:, "sex"] = "m"
    rows.loc[:3, "sex"] = "f"
    table = GroupTests(Policy(), 0, maps.assign(ldr=np.nan))(rows, group_rows(rows, ["sex"], ["sex"]).groups)
    assert set(table["scale"]) == {"accuracy", "background_share"}
    assert set(table["status"]) <= {"too_small", "not_estimable", "absent"}


def test_what_is_beyond_the_limit_is_said_to_be_not_compared(monkeypatch):
    monkeypatch.setattr(group_tests, "MAX_ATTRIBUTES", 1)
    monkeypatch.setattr(differences, "PERMUTATIONS", 19)
    rows, maps = world(n=80)
    groups = group_rows(rows, ["site", "sex"], None).groups
    assert set(GroupTests(Policy(), 0, maps)(rows, groups)["attribute"]) == {"site"}
    assert [item.subject for item in not_compared(groups)] == ["sex"]


def test_what_was_asked_before_does_not_pay_for_what_is_asked_later():
    p, later = np.array([0.01, 0.04, 0.02, np.nan]), [False, False, True, False]
    for adjust in (benjamini_hochberg, benjamini_yekutieli):
        found = adjust_in_turn(p, later, adjust)
        np.testing.assert_allclose(found[:2], adjust(p[:2]))
        assert found[2] == adjust(p)[2]
        assert np.isnan(found[3])
