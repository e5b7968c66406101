"""Charts of arms, doses, quadrants and slopes: every name and number is drawn, in the same bytes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.reports.figures import arms, style
from figureground.reports.figures.arms import arms_chart
from figureground.reports.figures.doses import dose_chart
from figureground.reports.figures.quadrant import Corners, quadrant_chart
from figureground.reports.figures.slimming import slimmed
from figureground.reports.figures.slopes import slope_chart, spread

WIDTHS: tuple[style.Width, ...] = ("wide", "narrow")
LONG = "a name <b>&amp; $x$</b> that goes on and on and on, 7"


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def lanes(levels: int = 3) -> pd.DataFrame:
    """Two arms and the unchanged picture; the last level has no interval, and nothing under one arm."""
    rows: list[dict[str, Any]] = []
    for level in range(levels):
        for at, arm in enumerate(("unchanged", "other kind", "object only")):
            missing = level == levels - 1
            value = np.nan if missing and arm == "object only" else 0.2 + 0.1 * at
            ends = {"ci_low": np.nan, "ci_high": np.nan} if missing else {"ci_low": value - 0.1, "ci_high": value + 0.1}
            row = LONG if level == 1 else f"level {level}"
            rows.append({"group": "site" if level else "", "row": row, "arm": arm, "estimate": value, **ends})
    return pd.DataFrame(rows).assign(n=1234, hollow=lambda frame: frame["row"] == LONG)


def arms_of(width: style.Width) -> tuple[str, int]:
    return arms_chart(lanes(), arms.Words("axis", "n"), unchanged="unchanged", width=width)


def doses_of(width: style.Width) -> tuple[str, int]:
    rows = [
        {"panel": panel, "series": series, "dashed": series == "noise", "dose": dose, "estimate": dose * 0.4}
        for panel in ("tint", LONG)
        for series in ("whole", "noise")
        for dose in (0.0, 0.5, 1.0)
    ]
    frame = pd.DataFrame(rows).assign(ci_low=lambda f: f["estimate"] - 0.1, ci_high=lambda f: f["estimate"] + 0.1)
    frame.loc[4, ["ci_low", "ci_high"]] = np.nan
    return dose_chart(frame, x="dose", y="effect", width=width)


def quadrant_of(width: style.Width, points: int = 3) -> tuple[str, int]:
    rows = [
        {
            "panel": panel, "name": f"level {at}" if at else "All images", "whole": at == 0, "hollow": at == 2,
            "x": at - 1.0, "x_low": at - 1.2, "x_high": np.nan if at == 2 else at - 0.8,
            "y": 0.1 * at, "y_low": 0.1 * at - 0.05, "y_high": 0.1 * at + 0.05,
        }
        for panel in ("Saliency", "Grad-CAM")
        for at in range(points)
    ]  # fmt: skip
    return quadrant_chart(
        pd.DataFrame(rows),
        Corners("both", "looks", "uses", "none of them"),
        x="ratio",
        y="effect",
        limit=0.1,
        write=lambda value: f"2^{value:g}",
        legend=("all", "one"),
        width=width,
    )


def slopes_of(width: style.Width) -> tuple[str, int]:
    frame = pd.DataFrame(
        {
            "name": ["cue", "accuracy", LONG],
            "shape": ["▲", "▽", "○"],
            "state": ["Worse", "Better", "Unchanged"],
            "first": [0.1, 0.5, 0.5],
            "second": [0.4, 0.7, 0.5],
        }
    )
    return slope_chart(frame, before="First", after="Second", axis="%", width=width)


DRAWN: tuple[tuple[Callable[[style.Width], tuple[str, int]], set[str]], ...] = (
    (arms_of, {"unchanged", "other kind", "object only", "site", "level 0", "1,234", "axis", "n"}),
    (doses_of, {"tint", "whole", "noise", "dose", "effect", "50", "100"}),
    (quadrant_of, {"Saliency", "Grad-CAM", "both", "looks", "uses", "none of them", "level 1", "2^1", "ratio"}),
    (slopes_of, {"First", "Second", "10.0", "50.0"}),
)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("draw", "wanted"), DRAWN, ids=["arms", "doses", "quadrant", "slopes"])
def test_everything_that_is_given_is_named_within_the_width(
    draw: Callable[[style.Width], tuple[str, int]], wanted: set[str], width: style.Width
) -> None:
    svg, height = draw(width)
    assert wanted <= set(texts(svg))
    assert f'viewBox="0 0 {style.PIXELS[width]} {height}' in svg
    sizes = [float(size) for size in re.findall(r"font-size:\s?([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= 11
    assert len(base64.b64encode(svg.encode())) < 15_000


def test_a_slope_says_its_state_in_words_on_every_screen() -> None:
    assert "40.0 ▲ cue – Worse" in texts(slopes_of("wide")[0])
    narrow = texts(slopes_of("narrow")[0])
    assert "40.0 ▲ cue" in narrow
    assert {"▲ Worse", "▽ Better", "○ Unchanged"} <= set(narrow)


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert arms_of("wide") == arms_of("wide")


def test_of_many_marks_the_outermost_are_named() -> None:
    found = texts(quadrant_of("wide", 40)[0])
    assert {"level 1", "level 39"} <= set(found)
    assert "level 20" not in found


@given(st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=20), st.floats(0.001, 0.2))
@settings(max_examples=60, deadline=None)
def test_labels_stand_apart_in_the_order_of_their_values(values: list[float], apart: float) -> None:
    placed = spread(values, apart)
    order = sorted(range(len(values)), key=lambda at: (values[at], placed[at]))
    gaps = np.diff([placed[at] for at in order])
    assert (gaps >= apart - 1e-9).all()
    assert abs(np.mean(placed) - np.mean(values)) <= 1e-9  # none is pushed to one side


def test_values_far_apart_are_left_where_they_are() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1) == [0.9, 0.1, 0.5]


TURNED = '<svg><g id="x"><text transform="rotate(-90 1.2345 2)">0.1234 a.b  c</text></g></svg>'


def test_slimming_leaves_shown_text_rotations_and_references_alone() -> None:
    assert slimmed(TURNED) == '<svg><text transform="rotate(-90 1.2 2)">0.1234 a.b  c</text></svg>'
    clip = '<defs><clipPath id="p1"><rect x="1.23456"/></clipPath></defs>'
    clipped = f'<svg>{clip}<g clip-path="url(#p1)"><path d="M 1 2"/></g></svg>'
    assert slimmed(clipped) == clipped.replace("1.23456", "1.2").replace("p1", "i0")


def test_slimming_says_every_style_once() -> None:
    look, name = 'style="fill: none; stroke: red"', '<text>a style="fill: none; stroke: red"</text>'
    drawn = f'<svg><style>*{{a: b}}</style><path d="M 1" {look}/><path d="M 2" {look}/>{name}</svg>'
    rules, marks = ".s0{fill:none;stroke:red}", '<path d="M 1" class="s0"/><path d="M 2" class="s0"/>'
    assert slimmed(drawn) == f"<svg><style>*{{a: b}}{rules}</style>{marks}{name}</svg>"
