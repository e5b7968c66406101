"""Where the maps look against what the answers follow: one mark per subgroup, the four readings in the corners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

#: With more marks than this, only the outermost are named.
_NAMED = 8
#: With more, they are small.
_DENSE = 16


@dataclass(frozen=True)
class Corners:
    """The reading of each quarter: upper right, lower right, upper left, lower left."""

    looks_and_uses: str
    looks_only: str
    uses_only: str
    neither: str


def quadrant_chart(
    frame: pd.DataFrame,
    corners: Corners,
    *,
    x: str,
    y: str,
    limit: float,
    write: Callable[[float], str],
    legend: tuple[str, str],
    width: style.Width = "wide",
) -> tuple[str, int]:
    """One panel per method; the lines are 0 across (no preference) and ``limit`` upwards.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns panel, name (text), x, x_low, x_high (logarithm to base 2 of a ratio), y, y_low, y_high (difference of
        shares), whole (bool: all images), hollow (bool: too few to judge). NaN where an interval is missing.
    corners : Corners
        What each quarter means.
    x, y : str
        Words of the axes.
    limit : float
        The policy's limit on ``y``.
    write : callable
        How a value of ``x`` is written.
    legend : (str, str)
        Words for all images, and for one subgroup.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    panels = list(dict.fromkeys(frame["panel"]))
    columns = min(len(panels), 2) if width == "wide" else 1
    lines = -(-len(panels) // columns)
    height = lines * 345.0 + 28 + (0 if width == "wide" else 20)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        grid = figure.subplots(lines, columns, squeeze=False)
        for unused in grid.flat[len(panels) :]:
            unused.set_visible(False)
        for panel, axes in zip(panels, grid.flat, strict=False):
            part = frame[frame["panel"] == panel]
            _lines(axes, limit)
            _marks(axes, part, legend)
            axes.set(
                xlabel=style.folded(x, 40), ylabel=style.folded(y, 36), xlim=_across(frame), ylim=_upwards(frame, limit)
            )
            _corners(axes, corners, 32 if width == "wide" and columns == 1 else 18)
            _names(axes, part[~part["whole"]])
            axes.set_title(panel, loc="left", fontweight="bold", pad=8)
            axes.xaxis.set_major_formatter(lambda value, _: write(value))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.set_major_formatter(lambda value, _: numbers.hundredths(value, 0))
        handles, names = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=2 if width == "wide" else 1, borderaxespad=0.2)
        return style.to_svg(figure), round(height)


def _lines(axes: Axes, limit: float) -> None:
    sns.despine(ax=axes, left=True, top=True, right=True)
    axes.tick_params(axis="y", length=0, labelsize=11)
    axes.set_axisbelow(True)
    axes.axvline(0.0, color=style.QUIET, linewidth=1.2)
    axes.axhline(limit, color=style.QUIET, linewidth=1.2)


def _marks(axes: Axes, part: pd.DataFrame, legend: tuple[str, str]) -> None:
    dense = len(part) > _DENSE
    for whole in (True, False):
        rows = part[part["whole"] == whole]
        thin = 0.6 if dense and not whole else 1.2
        color, marker = (style.INK, "D") if whole else (style.BLUE, "o")
        axes.hlines(rows["y"], rows["x_low"], rows["x_high"], color=color, linewidth=thin, alpha=0.75)
        axes.vlines(rows["x"], rows["y_low"], rows["y_high"], color=color, linewidth=thin, alpha=0.75)
        for hollow in (False, True):
            chosen = rows[rows["hollow"] == hollow]
            axes.scatter(
                chosen["x"],
                chosen["y"],
                s=62 if whole else 18 if dense else 44,
                marker=marker,
                edgecolor=color,
                facecolor="white" if hollow else color,
                linewidth=1.5,
                zorder=3,
                label=None if hollow else legend[0 if whole else 1],
            )


def _corners(axes: Axes, words: Corners, fold: int) -> None:
    """Each reading in the outer corner of its own quarter."""
    places = {
        (0.99, 0.985): words.looks_and_uses,
        (0.99, 0.015): words.looks_only,
        (0.01, 0.985): words.uses_only,
        (0.01, 0.015): words.neither,
    }
    for (x, y), text in places.items():
        sides: dict[str, Any] = {"ha": "right" if x > 0.5 else "left", "va": "top" if y > 0.5 else "bottom"}
        axes.text(
            x,
            y,
            style.folded(text, fold),
            transform=axes.transAxes,
            fontsize=11,
            fontstyle="italic",
            color=style.QUIET,
            **sides,
        )


def _names(axes: Axes, part: pd.DataFrame) -> None:
    """Names beside the marks: of all where they are few, otherwise of those farthest out."""
    known = part[part["x"].notna() & part["y"].notna()]
    if len(known) > _NAMED:
        ends = [known[column].idxmax() for column in ("x", "y")] + [known[column].idxmin() for column in ("x", "y")]
        known = known.loc[list(dict.fromkeys(ends))]
    left, right = axes.get_xlim()
    for _, row in known.iterrows():
        far = row["x"] > left + 0.62 * (right - left)
        axes.annotate(
            style.shorten(row["name"], 22),
            (row["x"], row["y"]),
            xytext=(-7 if far else 7, 5),
            textcoords="offset points",
            ha="right" if far else "left",
            fontsize=11,
        )


def _across(frame: pd.DataFrame) -> tuple[float, float]:
    """The same distance on both sides of no preference, so that both halves have their corner."""
    reach = max(1.0, 1.12 * float(frame[["x", "x_low", "x_high"]].abs().max().max()))
    return -reach, reach


def _upwards(frame: pd.DataFrame, limit: float) -> tuple[float, float]:
    values = frame[["y", "y_low", "y_high"]]
    low, high = min(0.0, float(values.min().min())), max(2.0 * limit, float(values.max().max()))
    pad = 0.2 * (high - low)  # room for the words in the corners
    return low - pad, high + pad
