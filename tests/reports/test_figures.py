"""Charts: valid SVG, deterministic, and every number that was given is drawn."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from figureground.reports.figures import style
from figureground.reports.figures.frequency import frequency_chart
from figureground.reports.figures.intervals import Words, interval_chart
from figureground.reports.figures.matrices import Matrix, matrix_chart
from figureground.reports.figures.swap import swap_chart

WORDS = Words("axis", "n", "mean", "few", "area", "floor", "pooled", "limit")
WIDTHS: tuple[style.Width, ...] = ("wide", "narrow")


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def groups(panels: int = 2, levels: int = 3) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for panel, level in itertools.product(range(panels), range(levels)):
        value = 0.3 + 0.1 * level
        rows.append(
            {
                "panel": f"panel {panel}", "group": "site" if level else "", "row": f"level {level}",
                "estimate": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "area": 0.6,
                "floor": np.nan, "n": 1000 + level, "hollow": level == 2,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("width", WIDTHS)
def test_intervals_name_every_subgroup_and_its_n(width: style.Width) -> None:
    svg, height = interval_chart(groups(), WORDS, pooled={"panel 0": 0.4}, limits=(0.0, 0.1), width=width)
    found = texts(svg)
    assert {
        "panel 0",
        "panel 1",
        "level 0",
        "level 2",
        "site",
        "1,000",
        "1,002",
        "few",
        "area",
        "pooled",
    } <= set(found)
    assert "floor" not in found  # nothing of it was measured
    assert f'viewBox="0 0 {style.PIXELS[width]} ' in svg
    assert height > 100


def test_intervals_without_any_estimate_are_still_drawn() -> None:
    empty = groups().assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan, area=np.nan)
    svg, _ = interval_chart(empty, WORDS)
    assert "level 1" in texts(svg)


@pytest.mark.parametrize("width", WIDTHS)
def test_swaps_name_classes_and_backgrounds(width: style.Width) -> None:
    frame = pd.DataFrame(
        [
            {"class_name": name, "arm": arm, "estimate": 0.4, "ci_low": 0.3, "ci_high": 0.5}
            for name in ("coat", "$\\alpha$")
            for arm in ("unchanged", "on grass", "on gravel", "on 草地")
        ]
    )
    svg, _ = swap_chart(frame, axis="share", unchanged="unchanged", width=width)
    assert {"coat", "$\\alpha$", "unchanged", "on grass", "on gravel", "on 草地", "share"} <= set(texts(svg))


@pytest.mark.parametrize(("share", "filled"), [(0.0, 0), (0.062, 6), (0.41, 41), (1.0, 100)])
def test_as_many_dots_are_filled_as_the_share_says(share: float, filled: int) -> None:
    svg, _, _ = frequency_chart(pd.DataFrame([{"title": "t", "share": share, "strong": True}]))
    assert svg.count("<use ") == 100
    (look,) = re.findall(rf"\.(s\d+)\{{fill:{style.VERMILLION.lower()}", svg) or ["none"]
    assert svg.count(f'class="{look}"') == filled


@pytest.mark.parametrize("width", WIDTHS)
def test_matrices_hold_every_count(width: style.Width) -> None:
    rng = np.random.default_rng(0)
    for k in (1, 7):
        names = tuple(f"c{i}" for i in range(k))
        counts = rng.integers(0, 2000, (k, k))
        svg, _ = matrix_chart([Matrix("all", counts, names, names)] * 2, row_axis="r", column_axis="c", width=width)
        written = " ".join(texts(svg))
        assert all(f"{n:,}" in written for n in counts.ravel())


def test_same_numbers_same_bytes_and_no_trace_of_the_clock() -> None:
    first, second = interval_chart(groups(), WORDS)[0], interval_chart(groups(), WORDS)[0]
    assert first == second
    assert "dc:date" not in first
    assert "DejaVu" not in first  # measured in it, not asked for


def test_style_of_the_caller_is_left_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    interval_chart(groups(), WORDS)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("panels", [1, 3, 4, 7])
def test_many_methods_stand_in_rows_of_three_at_the_height_that_this_takes(panels: int) -> None:
    svg, height = interval_chart(groups(panels), WORDS)
    found = texts(svg)
    assert [text for text in found if text.startswith("panel ")] == [f"panel {number}" for number in range(panels)]
    lines = -(-panels // 3)
    assert found.count("level 1") == lines, "each line names its rows once"
    single = interval_chart(groups(1), WORDS)[1]
    assert height >= lines * (single - 30)
