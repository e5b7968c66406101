"""Reliability diagrams: stated probabilities beside what came true, one panel for each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

_PANEL = 270.0


@dataclass(frozen=True)
class Panel:
    """One group: its name, a line of numbers, and a frame of bins (stated, estimate, ci_low, ci_high as shares)."""

    title: str
    line: str
    bins: pd.DataFrame = field(repr=False)


def reliability_chart(
    panels: Sequence[Panel], *, stated: str, observed: str, width: style.Width = "wide"
) -> tuple[str, int]:
    """Bins as dots with intervals; on the diagonal, what is stated comes true as often as stated.

    Parameters
    ----------
    panels : sequence of Panel
        At least one.
    stated, observed : str
        Words of the two axes.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    columns = min(len(panels), 2) if width == "wide" else 1
    lines = -(-len(panels) // columns)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], lines * (_PANEL + 70))
        grid = figure.subplots(lines, columns, squeeze=False)
        for unused in grid.flat[len(panels) :]:
            unused.set_visible(False)
        for index, panel in enumerate(panels):
            axes = grid.flat[index]
            _draw(axes, panel)
            axes.set(xlabel=stated, ylabel=observed if index % columns == 0 else "")
        return style.to_svg(figure), round(lines * (_PANEL + 70))


def _draw(axes: Axes, panel: Panel) -> None:
    sns.despine(ax=axes, top=True, right=True)
    axes.set_axisbelow(True)
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1, linestyle=(0, (4, 3)))
    bins = panel.bins.dropna(subset=["ci_low", "ci_high"])
    axes.vlines(bins["stated"], bins["ci_low"], bins["ci_high"], color=style.BLUE, linewidth=2)
    sns.scatterplot(
        data=panel.bins,
        x="stated",
        y="estimate",
        ax=axes,
        s=44,
        color=style.BLUE,
        edgecolor="white",
        linewidth=1,
        zorder=3,
        legend=False,
    )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: numbers.hundredths(value, 0))
    axes.set_title(
        f"{style.shorten(panel.title, 40)}\n{panel.line}", loc="left", fontsize=11, linespacing=1.5, color=style.INK
    )
