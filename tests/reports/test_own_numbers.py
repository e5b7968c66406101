"""Charts and tables of numbers that a run may have or not: calibration, false alarms, agreement, associations."""

from __future__ import annotations

import json
import runpy
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from figureground.audit.judge.intervals import wilson
from figureground.audit.keeping.result import AuditResult
from figureground.reports import catalogue, numbers
from figureground.reports.figures import style
from figureground.reports.figures.differences import agreement_chart, difference_chart
from figureground.reports.figures.matrices import Matrix
from figureground.reports.figures.reliability import Panel, reliability_chart
from figureground.reports.figures.uniformity import Words, uniformity_chart
from figureground.reports.html import render_html
from figureground.reports.sections import alarms, association, confused, known_answers, reliability, sanity
from figureground.reports.sections.context import Context
from figureground.reports.twins.number_sheets import number_rows
from figureground.reports.twins.sheets import numbers_sheets

ROOT = Path(__file__).resolve().parents[2]
WIDTHS: tuple[style.Width, ...] = ("wide", "narrow")
LANGS = ("en", "fr")


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def estimate(value: float, half: float = 0.04, n: int = 800) -> dict[str, Any]:
    """An estimate with a symmetric interval."""
    bounds = {"estimate": value, "ci_low": value - half, "ci_high": value + half, "ci_level": 0.95}
    return {"n": n, "n_clusters": n // 2, **bounds, "status": "ok", "reason": None}


def measure(name: str, value: float, n: int = 16) -> dict[str, Any]:
    return {"name": name, "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "ci_level": 0.95, "n": n}


def check(name: str, status: str = "passed", value: float | None = 0.4, **more: Any) -> dict[str, Any]:
    return {"check": name, "status": status, "value": value, "threshold": 0.6, "n": 64, "reason": None, **more}


def bins() -> list[dict[str, Any]]:
    return [
        {"low": at, "high": at + 0.2, "stated": at + 0.1, "observed": estimate(at + 0.05, n=40)}
        for at in (0.0, 0.2, 0.4, 0.6, 0.8)
    ]


def own(synthetic: Any, **more: Any) -> dict[str, Any]:
    """The parts of a document with every number of these charts."""
    document = synthetic.document().model_dump(mode="json")
    calibrated = {"error": estimate(0.03, half=0.03), "null": estimate(0.03, half=0.02), "bins": bins()}
    off = {"error": estimate(0.2), "null": estimate(0.05, half=0.02), "bins": bins()}
    p = [round((i + 0.5) / 200, 4) for i in range(200)]
    rates = [
        {"measure": "accuracy", "share": estimate(0.05, half=0.02, n=200), "p_values": p},
        {"measure": "ldr", "method": "gradcam", "share": estimate(0.2, half=0.05, n=200), "p_values": [0.01] * 200},
        {"measure": "contrast", "cue": "background", "share": estimate(0.04, n=200), "p_values": p},
    ]
    performance = {
        **document["performance"],
        "reliability": [
            {"attribute": "(all)", "level": "(all)", **calibrated},
            {"attribute": "site", "level": synthetic.levels[0], **off},
        ],
        "false_alarms": {
            "relabellings": 200, "permutations": 199, "alpha": 0.05, "attributes": ["site"], "clusters": 90,
            "sampled": True, "rates": rates,
        },
    }  # fmt: skip
    attribute = document["data"]["composition"][0]["attribute"]
    data = {**document["data"], "associations": [{"attribute": attribute, "cramers_v": estimate(0.31, half=0.1)}]}
    return {"performance": performance, "data": data, **more}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, synthetic: Any) -> AuditResult:
    """A run with all of them, of levels that are no harmless names."""
    made = synthetic(levels=("<b>grass</b>", "gravel & co"))
    return made.write(tmp_path_factory.mktemp("own") / "run", **own(made, trust=TRUST))


@pytest.fixture(scope="module")
def none(tmp_path_factory: pytest.TempPathFactory, synthetic: Any) -> AuditResult:
    """A run of a version that had none."""
    return synthetic.without_evidence().write(tmp_path_factory.mktemp("none") / "run")


METHODS = ("saliency", "gradcam", "integrated_gradients")
PAIRS = (("saliency/gradcam", 0.5), ("saliency/integrated_gradients", -0.2), ("gradcam/integrated_gradients", 0.1))
TRUST = [
    *(check(f"{name}_{method}") for method in METHODS[:2] for name in ("randomised_weights", "repeatability")),
    check("agreement", "failed", 0.1, measures=[measure(*pair) for pair in PAIRS]),
    check("second_layer", "not_run", None),
    check("randomised_weights_integrated_gradients"),
    check("maps_not_empty_gradcam"),
]


def test_the_panel_has_a_state_and_a_word_for_what_was_checked_and_nothing_else(full: AuditResult) -> None:
    found = sanity.panel(Context(full, catalogue.load("en")))
    assert found is not None
    assert found.columns == (
        "Method", "Maps not empty", "Randomised weights", "Repeatability", "Other family", "Second layer",
    )  # fmt: skip
    said = {name: [cell.chip.words if cell.chip else "" for cell in cells] for name, cells in found.rows}
    assert said == {
        "Saliency": ["", "passed", "passed", "failed", ""],
        "Grad-CAM": ["passed", "passed", "passed", "failed", "not run"],
        "Integrated Gradients": ["", "passed", "", "", ""],  # it was checked apart, and compared with no family
    }
    assert [cell.value for cell in found.rows[1][1]] == ["0.4", "0.4", "0.4", "0.1", ""]


def test_three_methods_make_a_matrix_and_two_a_sentence(make_run: Any, synthetic: Any, full: AuditResult) -> None:
    found = sanity.build(Context(full, catalogue.load("en")))
    assert found.pairs is not None
    assert found.sentence == ""
    assert found.pairs.alt.startswith("Most alike: Saliency and Grad-CAM, rank correlation 0.50 (0.40 to 0.60; 16")
    assert [row[2] for row in found.pairs.tables[0].rows] == ["0.50", "0.10", "\u22120.20"]
    two = [check("agreement", measures=[measure("saliency/gradcam", 0.5, 64)])]
    french = catalogue.load("fr")
    with numbers.written_in(french.style):
        told = sanity.build(Context(make_run(synthetic.without_evidence(), trust=two), french))
    assert told.pairs is None
    assert told.panel is None
    assert "0,50" in told.sentence


def test_runs_without_these_numbers_show_none_of_them(none: AuditResult) -> None:
    context = Context(none, catalogue.load("en"))
    assert [part.build(context) for part in (reliability, alarms, association)] == [None, None, None]
    assert association.sentence(context, "site") == ""
    assert numbers_sheets(context) == {}


def test_a_chart_of_calibration_says_who_is_off(full: AuditResult) -> None:
    found = reliability.build(Context(full, catalogue.load("en")))
    assert found is not None
    first, second = found.alt.split(". ")[:2]
    assert "All images: calibration error 3.0 (0.0 to 6.0), no more than" in first + second
    assert "calibration error 20.0 (16.0 to 24.0), more than a calibrated model would show (5.0)" in found.alt
    assert [row[1:4] for row in found.tables[0].rows] == [("800", "3.0", "0.0 to 6.0"), ("800", "20.0", "16.0 to 24.0")]
    assert len(found.tables[1].rows) == 5
    assert "5" in found.tables[1].note  # as many bins of the other group stand elsewhere


def test_a_share_above_the_level_is_said_to_be_above(full: AuditResult) -> None:
    found = alarms.build(Context(full, catalogue.load("en")))
    assert found is not None
    assert "more often than its level of 5\u202f% allows" in found.alt
    assert "20.0\u202f%" in found.alt
    assert "not all images of the run" in found.caption
    names = [row[0] for row in found.tables[0].rows]
    assert names == ["accuracy", "attribution on the background (Grad-CAM)", "effect of the cue: background"]


def test_the_association_stands_in_the_words_of_the_composition(full: AuditResult) -> None:
    context = Context(full, catalogue.load("en"))
    attribute = context.document.data.associations[0].attribute
    assert association.sentence(context, attribute) == "Association with the label: Cramér’s V 0.31 (0.21 to 0.41)."
    found = association.build(context)
    assert found is not None
    assert found.rows[0][3:] == ("0.31", "0.21 to 0.41")


def test_small_rows_of_a_difference_are_blank_and_the_largest_rise_is_told(make_run: Any, synthetic: Any) -> None:
    made = synthetic()
    given = own(made)
    given["performance"]["confusion"] = [
        {"attribute": "(all)", "level": "(all)", "counts": [[90, 10], [20, 80]]},
        {"attribute": "environment", "level": "grass", "counts": [[30, 20], [5, 5]]},
        {"attribute": "environment", "level": "few", "counts": [[9, 1], [2, 8]]},
    ]
    found = confused.build(Context(make_run(made, **given), catalogue.load("en")))
    assert found is not None
    assert "grass: coat is taken for pullover more often than among all images, by 30 points" in found.alt
    assert [row[2:] for row in found.tables[0].rows] == [("50", "\u221230.0", "+30.0"), ("10", "\u2013", "\u2013")]


def test_the_page_has_all_of_it_and_what_users_name_is_escaped(full: AuditResult) -> None:
    page = render_html(full, "fr")
    assert "<b>grass" not in page
    assert all(
        f'id="{name}"' in page for name in ("reliability", "false-alarms", "method-pairs", "confusion-difference")
    )
    assert 'class="sanity"' in page
    assert "no-picture" not in page.split('id="maps"')[1].split('id="trust"')[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_draw_every_number(width: style.Width) -> None:
    whole = Matrix("all", np.array([[90, 10], [20, 80]]), ("cat", "dog"), ("cat", "dog"))
    part = Matrix("grass", np.array([[30, 20], [1, 2]]), ("cat", "dog"), ("cat", "dog"))
    svg, _ = difference_chart([part], whole, fewest=20, row_axis="label", column_axis="said", width=width)
    assert {"\u221230.0", "+30.0", "grass"} <= set(texts(svg))
    assert sum(text[:1] in "+\u2212" for text in texts(svg)) == 2
    values = np.array([[np.nan, 0.51, 0.2], [0.51, np.nan, -0.1], [0.2, -0.1, np.nan]])
    svg, _ = agreement_chart(values, ["one", "two", "three"], width=width)
    assert {"0.51", "0.20", "\u22120.10"} <= set(texts(svg))
    frame = pd.DataFrame({"stated": [0.1, 0.9], "estimate": [0.2, 0.8], "ci_low": [0.1, 0.6], "ci_high": [0.3, 0.9]})
    svg, _ = reliability_chart([Panel("grass", "ECE 10.0", frame)], stated="said", observed="true", width=width)
    assert {"said", "true"} <= set(texts(svg))
    assert any("ECE 10.0" in text for text in texts(svg))
    words = Words("p", "share", "level", "expected")
    svg, _ = uniformity_chart({"accuracy": [0.2, 0.7]}, 0.05, words, width=width)
    assert {"p", "share", "level", "expected", "accuracy"} <= set(texts(svg))


def test_every_number_is_a_row_of_a_sheet(full: AuditResult) -> None:
    context = Context(full, catalogue.load("en"))
    found = number_rows(context.document)
    assert {name: len(rows) for name, rows in found.items()} == {
        "reliability": 10, "false_alarms": 600, "associations": 1, "method_pairs": 3,
    }  # fmt: skip
    assert found["method_pairs"][1]["estimate"] == -0.2
    assert numbers_sheets(context)["reliability.csv"].startswith(b'"finding","attribute","level","bin","stated_low"')


def test_the_pack_says_what_the_published_table_says() -> None:
    """Counted from the rows of the page, not from the sentences that the pack is made of."""
    page = (ROOT / "docs" / "recovery.md").read_text(encoding="utf-8")
    lines = page.split("<!-- table -->")[1].split("<!-- end of table -->")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    truths = [[float(value) for value in row[3].split(",")] for row in rows]
    found = known_answers.pack()
    missed = sum("missed" in row[5] for row in rows)
    asked = sum(value >= found["reliant"] for line in truths for value in line)
    assert found["named"] == {"k": asked - missed, "n": asked}
    assert found["wrong"] == {"k": sum("wrong" in row[5] for row in rows), "n": len(rows)}
    # Rounded to two digits, 0.03 may lie on either side.
    below, at_most = (sum(max(line) <= found["clean"] - less for line in truths) for less in (0.005, 0.0))
    assert below <= found["alarms"]["n"] <= at_most
    made = runpy.run_path(str(ROOT / "scripts" / "recovery_pack.py"))["pack"]
    assert made(page, date.fromisoformat(found["made"]), found["tool_version"]) == found


@pytest.mark.parametrize("lang", LANGS)
def test_known_answers_stand_with_their_n_and_intervals_and_say_of_what_they_are(lang: str, none: AuditResult) -> None:
    context = Context(none, catalogue.load(lang))
    pack = {**known_answers.pack(), "named": {"k": 70, "n": 83}, "tool_version": "0.0.9"}
    found = known_answers.build(context, pack)
    interval = wilson(13, 83)
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    row = [cell.replace(",", ".") for cell in found.table.rows[1]]
    assert row[1:4] == ["13", "83", "15.7"]
    assert low in row[4]
    assert high in row[4]
    assert "0.0.9" in found.version
    run = context.document.audit.tool.version
    assert run in found.version
    same = known_answers.build(context, {**pack, "tool_version": run})
    assert same.version != found.version
    assert json.dumps(found.lead).count("117") == 1
