"""Charts by subgroup: the result in words, every number in the table, the rule where not all are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from figureground.audit.declared import plain
from figureground.audit.keeping.tables import ALL, SUBGROUPS, TESTS
from figureground.reports import catalogue, numbers
from figureground.reports.sections import charts, chosen, doses, enrichment, frames, quadrant, rates, swapped
from figureground.reports.sections.context import Context
from figureground.reports.view import Chart, Picture

Row = dict[str, Any]
LANGUAGES = ("en", "fr")


def row(level: str, measure: str, value: float | None, half: float = 0.05, **more: Any) -> Row:
    """A row of ``subgroups``; the level (all) is that of all images."""
    ends = {"ci_low": None, "ci_high": None} if value is None else {"ci_low": value - half, "ci_high": value + half}
    keys = {"attribute": ALL if level == ALL else "environment", "level": level, "label": ALL, "measure": measure}
    counts = {"n_rows": 400, "n": 200, "n_clusters": 100, "ci_level": 0.95}
    return {**keys, **counts, "estimate": value, **ends, "status": "ok", "origin": "declared", **more}


@pytest.fixture
def context(finished: Any) -> Callable[..., Context]:
    """A context that holds these rows and no others."""

    def build(subgroups: list[Row], tests: list[Row] = (), lang: str = "en", **parts: Any) -> Context:  # type: ignore[assignment]
        empty = {name: pd.DataFrame(columns=schema.names) for name, schema in (("s", SUBGROUPS), ("t", TESTS))}
        tables = {
            "subgroups": pd.concat([empty["s"], pd.DataFrame(subgroups)]).astype(object),
            "tests": pd.concat([empty["t"], pd.DataFrame(list(tests))]).astype(object),
        }
        document = finished.document
        performance = document.performance.model_copy(update=parts)
        document = document.model_copy(update={"performance": performance})
        return Context(SimpleNamespace(document=document, **tables), catalogue.load(lang))  # type: ignore[arg-type]

    return build


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawings take time and have tests of their own: here only words and numbers count."""
    monkeypatch.setattr(charts, "_picture", lambda _, width: Picture(width, 1, 1))


def cells(found: Chart) -> list[tuple[str, ...]]:
    return [line for table in found.tables for line in table.rows]


def maps(method: str = "saliency", **values: float) -> Iterator[Row]:
    for level, value in values.items():
        name = ALL if level == "whole" else level
        yield row(name, "ldr", log(value), 0.1, method=method, sign="absolute")


def swaps() -> list[Row]:
    """Changes of both kinds and accuracies of all arms, of all images and two levels, one of them label by label."""
    known = {
        "changed_other_level": (0.5, 0.7, 0.3),
        "changed_same_level": (0.1, 0.1, 0.2),
        "changed_minus_same": (0.4, 0.6, 0.1),
        "accuracy_unchanged": (0.9, 0.8, 0.7),
        "accuracy_same_level": (0.9, 0.8, 0.7),
        "accuracy_other_level": (0.6, 0.3, 0.65),
        "accuracy_object_only": (0.5, 0.5, 0.5),
        "other_level_minus_unchanged": (-0.3, -0.5, -0.05),
        "same_level_minus_unchanged": (0.0, 0.0, 0.0),
        "object_only_minus_unchanged": (-0.4, -0.3, -0.2),
    }
    rows = [
        row(level, measure, value, cue="background")
        for measure, values in known.items()
        for level, value in zip((ALL, "grass", "gravel"), values, strict=True)
    ]
    crossed = {"accuracy_unchanged": 1.0, "accuracy_other_level": 0.125, "other_level_minus_unchanged": -0.875}
    rows += [row("grass", measure, value, cue="background", label="coat") for measure, value in crossed.items()]
    return rows


@pytest.mark.slow
def test_all_of_them_are_drawn_at_both_widths(context: Callable[..., Context]) -> None:
    noise = [
        {"test": plain.ALONE, "cue": "background", "arm": plain.NOISE, "part": part, "dose": dose, "scale": "decision"}
        | {"estimate": 0.6, "ci_low": 0.5, "ci_high": 0.7, "n": 10, "n_clusters": 10}
        for part in (plain.ON_BACKGROUND, plain.ON_OBJECT)
        for dose in (0.1, 0.3)
    ]
    rates_of = [row(level, name, 0.7) for name in ("sensitivity", "specificity") for level in (ALL, "grass")]
    told = context([*maps(whole=2.0, grass=3.0), *swaps(), *rates_of], noise, positive="coat")
    found = [enrichment.build(told), quadrant.build(told), swapped.arms(told), *swapped.flips(told), rates.build(told)]
    for one in [*found, *doses.build(told)]:
        assert one is not None
        assert (one.failed, one.wide is None, one.narrow is None) == ("", False, False)
        assert one.alt
        assert one.caption


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("lang", LANGUAGES)
def test_ratios_of_densities_are_told_as_ratios(context: Callable[..., Context], lang: str) -> None:
    told = context([*maps(whole=2.0, grass=0.5, gravel=4.0)], lang=lang)
    with numbers.written_in(told.words.style):
        found = enrichment.build(told)
    assert found is not None
    point = "," if lang == "fr" else "."
    for value in ("2.00", "0.50", "4.00", "1.81", "2.21"):  # 1.81 to 2.21: exp(log 2 ± 0.1)
        assert value.replace(".", point) in found.alt
    assert [line[4].replace(",", ".") for line in cells(found)] == ["2.00", "0.50", "4.00"]


@pytest.mark.usefixtures("undrawn")
def test_one_row_is_told_in_words_without_a_chart(context: Callable[..., Context]) -> None:
    found = enrichment.build(context([*maps(whole=2.0)]))
    assert found is not None
    assert (found.wide, found.failed) == (None, "")
    assert "2.00" in found.alt
    assert enrichment.build(context([])) is None


@pytest.mark.usefixtures("undrawn")
def test_false_alarms_are_one_minus_specificity_and_the_worst_of_both_is_named(context: Callable[..., Context]) -> None:
    right = [row(ALL, "sensitivity", 0.8), row("grass", "sensitivity", 0.6), row("gravel", "sensitivity", 0.9)]
    wrong = [row(ALL, "specificity", 0.9), row("grass", "specificity", 0.95), row("gravel", "specificity", 0.75)]
    found = rates.build(context([*right, *wrong], positive="coat"))
    assert found is not None
    assert "lowest in environment\u00a0=\u00a0grass with 60.0\u202f%" in found.alt
    assert "highest in environment\u00a0=\u00a0gravel with 25.0\u202f% (interval 20.0 to 30.0" in found.alt
    assert [line[4] for line in cells(found)] == ["80.0", "60.0", "90.0", "10.0", "5.0", "25.0"]


@pytest.mark.usefixtures("undrawn")
def test_of_many_classes_the_recall_of_the_lowest_stands_first(context: Callable[..., Context]) -> None:
    rows = [row(ALL, "accuracy", 0.5 + at / 100, label=f"class {at}") for at in range(20)]
    found = rates.build(context(rows, positive=None))
    assert found is not None
    assert found.alt.startswith("Recall is lowest for class 0 with 50.0")
    assert "12 lowest of 20 classes" in found.caption


@pytest.mark.usefixtures("undrawn")
def test_flips_stand_beside_their_control_and_their_paired_difference(context: Callable[..., Context]) -> None:
    (found,) = swapped.flips(context(swaps()))
    assert "50.0\u202f% of the answers change with another kind and 10.0\u202f% with the same kind" in found.alt
    assert "largest in environment\u00a0=\u00a0grass with 60 points (interval 55.0 to 65.0)" in found.alt
    grass = next(line for line in cells(found) if line[0].endswith("grass"))
    assert grass[1:] == ("200", "100", "70.0 (65.0 to 75.0)", "10.0 (5.0 to 15.0)", "+60.0 (55.0 to 65.0)")


@pytest.mark.usefixtures("undrawn")
def test_arms_name_the_group_that_moves_most_with_the_paired_interval(context: Callable[..., Context]) -> None:
    found = swapped.arms(context(swaps()))
    assert found is not None
    assert "It moves most in environment × label\u00a0=\u00a0grass, coat: 100.0\u202f% unchanged" in found.alt
    assert "12.5\u202f% on another kind; the paired difference has the interval −92.5 to −82.5" in found.alt
    assert ("All images", "object only", "200", "100", "50.0 (45.0 to 55.0)", "−40.0 (−45.0 to −35.0)") in cells(found)


def test_a_paired_interval_is_laid_around_the_arm_and_ends_where_shares_end() -> None:
    arm, change = {"estimate": 0.1}, {"estimate": -0.5, "ci_low": -0.7, "ci_high": -0.4}
    laid = swapped._with_change(arm, change)
    assert (laid["ci_low"], laid["ci_high"]) == pytest.approx((0.0, 0.2))
    assert swapped._with_change(arm, None)["ci_low"] is None


@pytest.mark.usefixtures("undrawn")
def test_a_quadrant_is_decided_only_where_both_intervals_lie_in_it(context: Callable[..., Context]) -> None:
    # gravel's effect of 10 points has the policy's limit of 10 points within its interval
    found = quadrant.build(context([*maps(whole=2.0, grass=3.0, gravel=3.0), *swaps()]))
    assert found is not None
    assert "number of subgroups 2: 2 under “looks and uses”; with both intervals within one quarter: 1." in found.alt
    assert [line[2] for line in cells(found)] == ["looks and uses"] * 2 + ["looks and uses (not decided)"]
    assert "10 points" in found.caption
    assert "neither demonstrates" in found.caption


@pytest.mark.usefixtures("undrawn")
def test_a_quadrant_without_subgroups_is_none(context: Callable[..., Context]) -> None:
    assert quadrant.build(context([*maps(whole=2.0), *swaps()])) is None


def dosed(scale: str) -> list[Row]:
    base = {"cue": "tint", "scale": scale, "n": 180, "n_clusters": 90, "status": "ok"}
    return [
        {**base, "test": test, "part": part, "dose": dose, "estimate": full * dose, "ci_low": 0.0, "ci_high": 0.9}
        for part, full in (("background", 0.45), ("whole", 0.5))
        for dose in plain.DOSES
        for test in (plain.DOSE_RESPONSE, plain.DOSE_CONTROL)
    ]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("scale", "half", "full"), [("decision", "+25.0", "+50.0"), ("log_odds", "0.25", "0.5")])
def test_doses_tell_half_and_full_on_their_own_scale(
    context: Callable[..., Context], scale: str, half: str, full: str
) -> None:
    (found,) = doses.build(context([], dosed(scale)))
    assert f"whole picture: effect {half} at half dose, {full} at full dose" in found.alt


@pytest.mark.usefixtures("undrawn")
def test_every_line_begins_where_nothing_is_changed_and_noise_has_one_line(context: Callable[..., Context]) -> None:
    told = context([], dosed("decision"))
    lines = [line for one in told.tests for line in doses._line(told, one)]
    origins = doses._origins(lines)
    assert {line["series"] for line in origins} == {"background", "whole picture", "noise alone, whole picture"}
    assert all(line["dose"] == line["estimate"] == 0.0 for line in origins)


def test_of_many_subgroups_the_farthest_are_kept_in_stored_order_and_the_rule_is_said(
    context: Callable[..., Context],
) -> None:
    rows = [row(ALL, "ldr", 0.0), row("grass", "ldr", 0.01)]
    rows += [row(f"s{at:02}", "ldr", at / 100, attribute="site") for at in range(60)]
    rows += [row("lost", "ldr", None, attribute="site")]
    told = context(rows)
    for one in rows[2:]:
        one["attribute"] = "site"
    kept = chosen.chosen(told, rows, chosen.estimate)
    names = [one["level"] for one in kept]
    assert len(kept) == frames.MAX_CHART_ROWS
    assert names[:2] == [ALL, "grass"]
    assert names[2:] == [f"s{at:02}" for at in range(38, 60)]
    assert "24 of 63 subgroups" in chosen.told(told, rows, kept)
    assert chosen.told(told, kept, kept) == ""


def test_every_panel_shows_the_same_subgroups(context: Callable[..., Context]) -> None:
    one = [row(ALL, "ldr", 0.0), *(row(f"s{at}", "ldr", at / 10) for at in range(5))]
    other = [row(ALL, "ldr", 0.0), *(row(f"s{at}", "ldr", 1.0 if at == 0 else 0.0) for at in range(5))]
    for line in [*one[1:], *other[1:]]:
        line["attribute"] = "site"
    panels = chosen.across(context(one), [("a", one), ("b", other)], limit=3)
    assert [[line["level"] for line in rows] for _, rows in panels] == [[ALL, "s0", "s4"]] * 2


@pytest.mark.usefixtures("undrawn")
def test_of_many_findings_those_with_the_worst_states_are_drawn_and_the_others_told(
    context: Callable[..., Context],
) -> None:
    told = context([line | {"finding": f"f{at}"} for at in range(6) for line in maps(whole=2.0, grass=3.0)])
    document = told.document
    first, names = document.performance, [f"f{at}" for at in range(6)]
    others = [first.model_copy(update={"finding": name, "others": []}) for name in names[1:]]
    states = ("not_detected", "demonstrated", "inconclusive", "suspected", "not_tested", "error")
    cue = document.verdict.cues[0]
    cues = [cue.model_copy(update={"finding": at, "status": now}) for at, now in zip(names, states, strict=True)]
    parts = {
        "performance": first.model_copy(update={"finding": "f0", "others": others}),
        "verdict": document.verdict.model_copy(update={"cues": cues}),
    }
    told.result.document = document.model_copy(update=parts)
    found = {name: enrichment.build(told.asked(name)) for name in names}
    assert {name for name, one in found.items() if one and one.wide} == {"f1", "f2", "f3", "f5"}
    left = found["f0"]
    assert left is not None
    assert left.caption.startswith("Drawn only for the findings")
    assert "2.00" in left.alt
    assert len(cells(left)) == 2
