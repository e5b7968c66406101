"""Before and after: one line per number that two audits have, its state as a shape and in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

_ROW, _LABEL = 24.0, 15.0
#: By the shape of a state: new or worse, better, resolved; anything else is grey.
_COLOURS = {"▲": style.VERMILLION, "▽": style.BLUE, "✓": style.BLUE}


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
    key = _key(frame) if width == "narrow" else ""
    height = max(220.0, _ROW * len(frame) + 70) + (16.0 * (key.count("\n") + 1) if key else 0.0)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        sns.despine(ax=axes, left=True, bottom=True, top=True, right=True)
        axes.grid(visible=False)
        low, high, apart = _room(frame, _ROW * max(len(frame), 6))
        axes.set(xlim=(-0.35, 2.25) if width == "wide" else (-0.5, 2.9), ylim=(low, high), ylabel=axis)
        for x in (0.0, 1.0):
            axes.axvline(x, color=style.FAINT, linewidth=1)
        axes.set_xticks([0.0, 1.0], [style.folded(before, 10), style.folded(after, 10)])
        axes.xaxis.tick_top()
        axes.tick_params(axis="both", length=0)
        axes.set_yticks([])
        _lines(axes, frame, apart, width == "narrow")
        if key:
            axes.set_xlabel(key, loc="left", color=style.INK, fontsize=11)
        return style.to_svg(figure), round(height)


def _lines(axes: Axes, frame: pd.DataFrame, apart: float, narrow: bool) -> None:
    places = {side: spread(list(frame[side]), apart) for side in ("first", "second")}
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    for row, at_first, at_second in zip(rows, places["first"], places["second"], strict=True):
        moved = row["shape"] in _COLOURS
        color = _COLOURS.get(row["shape"], "#5b6673")
        style_of: dict[str, Any] = {"linewidth": 2.2} if moved else {"linewidth": 1.3, "linestyle": (0, (4, 2))}
        ends = [row["first"], row["second"]]
        face = color if moved else "white"
        axes.plot([0.0, 1.0], ends, color=color, marker="o", markersize=5.5, markerfacecolor=face, **style_of)
        # A label that had to move is led back to its own end.
        axes.plot([-0.07, 0.0], [at_first, ends[0]], color=style.FAINT, linewidth=1, zorder=1)
        axes.plot([1.0, 1.07], [ends[1], at_second], color=style.FAINT, linewidth=1, zorder=1)
        told: dict[str, Any] = {"va": "center", "fontsize": 11, "color": style.INK}
        words = [
            axes.text(-0.09, at_first, numbers.hundredths(row["first"]), ha="right", **told),
            axes.text(1.09, at_second, _words(row, narrow), ha="left", **told),
        ]
        for text in words:
            text.set_in_layout(False)  # the axis leaves them room, which the layout would take away again


def _words(row: dict[str, Any], narrow: bool) -> str:
    """Value, shape, name and what became of it; on a narrow screen the words of the shapes stand beneath."""
    name = style.shorten(row["name"], 19 if narrow else max(12, 50 - len(row["state"])))
    words = f"{numbers.hundredths(row['second'])} {row['shape']} {name}"
    return words if narrow else f"{words} – {row['state']}"  # a dash, as a colon is not set alike in every language


def _key(frame: pd.DataFrame) -> str:
    """What each shape says."""
    return "\n".join(
        f"{shape} {state}" for shape, state in dict.fromkeys(zip(frame["shape"], frame["state"], strict=True))
    )


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


def _room(frame: pd.DataFrame, height: float) -> tuple[float, float, float]:
    """Ends of the value axis with room for every label, and how far labels stand apart, in its units."""
    values = frame[["first", "second"]]
    low, high = float(values.min().min()), float(values.max().max())
    pad = 0.08 * max(high - low, 0.02)
    low, high = low - pad, high + pad
    for _ in range(4):  # each round widens the axis by less
        apart = _LABEL * (high - low) / height
        places = [place for side in ("first", "second") for place in spread(list(frame[side]), apart)]
        low, high = min(low, min(places) - apart), max(high, max(places) + apart)
    return low, high, apart
