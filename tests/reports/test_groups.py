"""Who is affected, on the page: every number of the tables, in words, with n and interval."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from figureground.audit.keeping.tables import ALL
from figureground.reports import catalogue
from figureground.reports.html import render_html
from figureground.reports.sections import data, groups
from figureground.reports.sections.context import Context


def estimate(value: float | None, half: float = 0.05, **more: Any) -> dict[str, Any]:
    bounds = {"ci_low": None, "ci_high": None} if value is None else {"ci_low": value - half, "ci_high": value + half}
    whole = {"n": 402, "n_clusters": 201, "estimate": value, **bounds, "ci_level": 0.95, "status": "ok", "reason": None}
    return {**whole, "p_raw": None, "p_adjusted": None, "min_detectable": 0.07, "certifiable": 0.073, **more}


def subgroup(level: str, measure: str, value: float | None, **more: Any) -> dict[str, Any]:
    attribute = ALL if level == ALL else more.pop("attribute", "ground")
    keys = {"attribute": attribute, "level": level, "label": ALL, "measure": measure, "origin": "declared"}
    return {**keys, "n_rows": 402, **estimate(value, **more)}


def compared(test: str, scale: str, value: float, arm: str = "grass", **more: Any) -> dict[str, Any]:
    keys = {"test": test, "scale": scale, "attribute": "ground", "arm": arm, "reference": "gravel", "cue": None}
    return {**keys, "method": more.pop("method", None), "simultaneous": False, **estimate(value, **more)}


@pytest.fixture
def context(make_run: Any, synthetic: Any) -> Context:
    class Rich(synthetic):  # type: ignore[misc]
        def subgroups(self) -> pd.DataFrame:
            rows = [
                subgroup(ALL, "auroc", 0.812, class_name="coat"),
                subgroup("grass", "auroc", 0.774, class_name="coat"),
                subgroup("gravel", "auroc", None, status="not_estimable", reason="one_label"),
                subgroup(ALL, "brier", 0.141),
                subgroup("grass", "calibration_error", 0.081, p_raw=0.02, p_adjusted=0.04),
                subgroup("grass", "calibration_error_null", 0.052, half=0.03),
                subgroup("a × b", "accuracy", 0.4, attribute="ground*lighting", status="too_small", reason="7 units"),
                subgroup("a × b", "accuracy_pooled", 0.6, attribute="ground*lighting"),
            ]
            return pd.concat([super().subgroups(), pd.DataFrame(rows)], ignore_index=True)

        def tests(self) -> pd.DataFrame:
            ldr = {"method": "saliency"}
            rows = [
                compared("group_difference", "ldr", log(2.1), half=0.2, p_raw=0.001, p_adjusted=0.002, **ldr),
                compared("cliffs_delta", "ldr", 0.41, p_raw=0.001, **ldr),
                compared("group_difference_adjusted", "ldr", 0.02, reason="confounded_by_object_size", **ldr),
                compared("group_difference", "accuracy", -0.03, p_raw=0.4, p_adjusted=0.6),
                compared("any_group_differs", "ldr", log(2.1), p_raw=0.001, p_adjusted=0.002, **ldr),
                compared("any_group_differs", "accuracy", -0.03, p_raw=0.4, p_adjusted=0.4),
            ]
            return pd.concat([super().tests(), pd.DataFrame(rows)], ignore_index=True)

    stored = json.loads((Path(__file__).parent / "audit.json").read_text())["performance"]
    stored["worst_bound"] = {"low": 0.31, "level": 0.95, "groups": 9} | {
        "attribute": "ground",
        "group": "gravel",
        "label": "pullover",
    }
    whole = {key: value for key, value in estimate(0.71).items() if not key.startswith("p_")}
    stored["positive"] = "coat"
    stored["averages"] = [
        {"attribute": "ground", "sample_weighted": whole, "group_weighted": whole | {"estimate": 0.64}}
        | {"levels": 2, "left_out": 1}
    ]
    return Context(make_run(Rich(), performance=stored, data=partly_masked(Rich())), catalogue.load("en"))


def partly_masked(run: Any) -> dict[str, Any]:
    fields: dict[str, Any] = run.document().data.model_dump(mode="json")
    whole = {key: value for key, value in estimate(0.71).items() if not key.startswith("p_")}
    nothing = whole | {"estimate": None, "ci_low": None, "ci_high": None, "n": 0, "status": "absent"}
    lines = [
        {"attribute": ALL, "level": ALL, "n": 800, "with_mask": 200, "accuracy_with": whole, "accuracy_without": whole},
        {"attribute": "ground", "level": "grass", "n": 402, "with_mask": 0}
        | {"accuracy_with": nothing, "accuracy_without": whole},
    ]
    return fields | {"with_mask": 200, "mask_coverage": lines}


def texts(table: Any) -> list[str]:
    return [" | ".join(row) for row in table.rows]


def test_the_bound_under_the_worst_group_is_said(context: Context) -> None:
    said = groups.worst(context)
    assert "at least 31.0\u202f%, with 95\u202f% confidence over all 9 groups" in said
    assert "ground\u00a0=\u00a0gravel, label pullover" in said


def test_both_averages_stand_under_their_names(context: Context) -> None:
    table = groups.averages(context)
    assert texts(table) == ["ground | 71.0 (66.0 to 76.0) | 64.0 (66.0 to 76.0) | 2 | 1"]
    assert table.columns[1:3] == ("over images", "over levels")


def test_a_context_without_evidence_has_empty_parts(make_run: Any, synthetic: Any) -> None:
    bare_context = Context(make_run(synthetic.without_evidence()), catalogue.load("en"))
    bare = groups.build(bare_context)
    assert bare == groups.Groups("", None, bare.lead, None, "", None, None, "", None)


def test_measures_stand_with_their_intervals_and_a_missing_one_with_its_reason(context: Context) -> None:
    table = groups.measures(context)
    assert table.columns == ("Subgroup", "n", "AUROC", "Brier score")
    assert texts(table)[0] == "All images | 402 | 81.2 (76.2 to 86.2) | 14.1 (9.1 to 19.1)"
    assert "not estimable: all images have one label" in texts(table)[2]
    assert groups.build(context).positive == "coat counts as positive."


def test_the_calibration_error_never_stands_without_its_null(context: Context) -> None:
    row = "ground\u00a0=\u00a0grass | 402 | 201 | 8.1 (3.1 to 13.1) | 5.2 (2.2 to 8.2) | 0.040"
    assert texts(groups.calibration(context)) == [row]


def test_differences_are_factors_or_points_the_clearest_first_with_what_explains_them(context: Context) -> None:
    first, second = texts(groups.differences(context))
    assert first.startswith("attribution on the background, per area, against the object, Saliency | ground = grass")
    for part in (
        "against gravel",
        "402 | 201",
        "×\u202f2.10",
        "1.72 to 2.56",
        "0.002",
        "0.41",
        "size and place of the objects",
    ):
        assert part in first
    assert "−3.0 | −8.0 to 2.0 | 0.600" in second
    assert "in 1 of 2 comparisons of an attribute and a measure (1 attributes" in groups.differing(context)


def test_crossings_show_the_raw_value_beside_the_pooled_one(context: Context) -> None:
    (row,) = texts(groups.crossings(context))
    assert "too small to judge: 7 units" in row
    assert "40.0 (35.0 to 45.0) | 60.0 (55.0 to 65.0)" in row


def test_rows_with_and_without_masks_are_compared(context: Context) -> None:
    first, second = texts(data.build(context).masks)
    assert first == "All images | 800 | 200 | 25.0 | 71.0 (66.0 to 76.0; n = 402) | 71.0 (66.0 to 76.0; n = 402)"
    assert second.startswith("ground\u00a0=\u00a0grass | 402 | 0 | 0.0 | – |")


def test_all_of_it_is_on_the_page(context: Context) -> None:
    page = render_html(context.result)
    for words in (
        "Beyond accuracy",
        "Differences between groups",
        "Declared crossings",
        "could exclude from",
        "×\u202f2.10",
    ):
        assert words in page
    tests = page[page.index("Every test behind the verdict") : page.index("Where does it look?")]
    assert "Difference between groups" not in tests
