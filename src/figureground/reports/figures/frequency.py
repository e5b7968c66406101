"""A share as a hundred dots: so many of a hundred images."""

from __future__ import annotations

import pandas as pd
import seaborn as sns

from figureground.reports.figures import style

_COLUMNS, _PITCH = 20, 15.0


def frequency_chart(frame: pd.DataFrame) -> tuple[str, int, int]:
    """One block of 100 dots per row, the filled ones first.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns title (text), share (in [0, 1]), strong (bool: drawn in the colour of a finding).

    Returns
    -------
    str, int, int
        SVG text, width and height in CSS pixels.
    """
    rows = 100 // _COLUMNS
    block = rows * _PITCH + 30
    width, height = round(_COLUMNS * _PITCH + 10), round(block * len(frame))
    with style.themed():
        figure = style.new_figure(width, height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        rows_in_order = zip(frame["title"], frame["share"], frame["strong"], strict=True)
        for index, (title, share, strong) in enumerate(rows_in_order):
            axes.text(3, index * block + 18, title, fontsize=12.5, fontweight="bold", va="baseline")
            dots = _dots(float(share), index * block + 26)
            for filled, part in dots.groupby("filled"):
                color = style.VERMILLION if strong else style.BLUE
                sns.scatterplot(
                    data=part,
                    x="x",
                    y="y",
                    ax=axes,
                    s=84,
                    color=color if filled else "white",
                    legend=False,
                    edgecolor=color if filled else "#87919d",
                    linewidth=1,
                )
        return style.to_svg(figure), width, height


def _dots(share: float, top: float) -> pd.DataFrame:
    order = range(100)
    return pd.DataFrame(
        {
            "x": [5 + _PITCH * (index % _COLUMNS + 0.5) for index in order],
            "y": [top + _PITCH * (index // _COLUMNS + 0.5) for index in order],
            "filled": [index < round(100 * share) for index in order],
        }
    )
