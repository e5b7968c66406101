"""Before and after: one line per number that two audits have, its state as a shape and in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

_ROW = 21.0
#: By the shape of a state: worse, better, nothing shown, anything else.
_COLOURS = {"▲": style.VERMILLION, "▽": style.BLUE, "✓": style.BLUE}
_LEFT, _RIGHT = 0.0, 1.0


def slope_chart(
    frame: pd.DataFrame, *, before: str, after: str, axis: str, width: style.Width = "wide"
) -> tuple[str, int]:
    """Lines from the first audit's value to the second's.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns name, shape, state (text), first, second (shares or differences of shares).
    before, after, axis : str
        Names of the two audits, and what the values are.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    height = max(220.0, _ROW * len(frame) + 70)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        sns.despine(ax=axes, left=True, bottom=True, top=True, right=True)
        axes.grid(visible=False)
        low, high = _limits(frame)
        axes.set(xlim=(-0.42, 1.9) if width == "wide" else (-0.5, 2.6), ylim=(low, high), ylabel=axis)
        for x, name in ((_LEFT, before), (_RIGHT, after)):
            axes.axvline(x, color=style.FAINT, linewidth=1)
        axes.set_xticks([_LEFT, _RIGHT], [style.shorten(before, 22), style.shorten(after, 22)])
        axes.xaxis.tick_top()
        axes.tick_params(axis="both", length=0)
        axes.set_yticks([])
        _lines(axes, frame, (high - low) * 15.0 / height, 46 if width == "wide" else 22)
        return style.to_svg(figure), round(height)


def _lines(axes: Axes, frame: pd.DataFrame, apart: float, limit: int) -> None:
    places = {side: spread(list(frame[side]), apart) for side in ("first", "second")}
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    for row, at_first, at_second in zip(rows, places["first"], places["second"], strict=True):
        color = _COLOURS.get(row["shape"], "#5b6673")
        moved = row["shape"] in _COLOURS
        axes.plot(
            [_LEFT, _RIGHT],
            [row["first"], row["second"]],
            color=color,
            linewidth=2.2 if moved else 1.3,
            linestyle="-" if moved else (0, (4, 2)),
            marker="o",
            markersize=5.5,
            markerfacecolor=color if moved else "white",
        )
        axes.text(_LEFT - 0.03, at_first, numbers.hundredths(row["first"]), ha="right", va="center", fontsize=11)
        words = f"{numbers.hundredths(row['second'])}  {row['shape']} {style.shorten(row['name'], limit)}: {row['state']}"
        axes.text(_RIGHT + 0.03, at_second, words, ha="left", va="center", fontsize=11, color=style.INK)


def spread(values: list[float], apart: float) -> list[float]:
    """Heights of labels, in the order of the values, at least ``apart`` from each other and near their own.

    >>> spread([0.0, 0.1, 1.0], 0.2)
    [-0.05, 0.15, 1.0]
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    blocks: list[list[float]] = []  # middle, count
    for index in order:
        blocks.append([values[index], 1.0])
        while len(blocks) > 1 and blocks[-1][0] - blocks[-2][0] < apart * (blocks[-1][1] + blocks[-2][1]) / 2:
            (upper, n), (lower, m) = blocks.pop(), blocks.pop()
            blocks.append([(upper * n + lower * m) / (n + m), n + m])
    placed = [middle + apart * (k - (n - 1) / 2) for middle, n in blocks for k in range(int(n))]
    found = dict(zip(order, placed, strict=True))
    return [round(found[index], 12) for index in range(len(values))]


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    values = frame[["first", "second"]]
    low, high = float(values.min().min()), float(values.max().max())
    pad = 0.12 * max(high - low, 0.02)
    return low - pad, high + pad
