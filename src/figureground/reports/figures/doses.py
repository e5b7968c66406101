"""Effect by dose: a line with its band for what was changed, a dashed one for as much noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

_PANEL = 190.0


def dose_chart(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    write: Callable[[float], str] | None = None,
    write_x: Callable[[float], str] | None = None,
    width: style.Width = "wide",
) -> tuple[str, int]:
    """One panel per cue, one line per series, each with the band of its intervals and its values at the marks.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns panel, series (text), dashed (bool: a control), dose (share, in [0, 1]), estimate, ci_low, ci_high
        (NaN where there is none).
    x, y : str
        Words of the axes.
    write : callable
        How an effect is written; times 100 where not given.
    write_x : callable
        How a dose is written; times 100 where not given.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    panels, series = list(dict.fromkeys(frame["panel"])), list(dict.fromkeys(frame["series"]))
    columns = min(len(panels), 3) if width == "wide" else 1
    lines = -(-len(panels) // columns)
    legend = 20.0 * -(-len(series) // (4 if width == "wide" else 1))
    height = lines * (_PANEL + 80) + legend
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for unused in grid.flat[len(panels) :]:
            unused.set_visible(False)
        for panel, axes in zip(panels, grid.flat, strict=False):
            _panel(axes, frame[frame["panel"] == panel], series, write or _points, write_x or _points)
            axes.set_title(style.shorten(panel, 34), loc="left", fontweight="bold", fontsize=12)
            axes.set(xlabel=style.folded(x, 36), ylabel="", ylim=_limits(frame))
        for axes in grid[:, 0]:
            axes.set_ylabel(style.folded(y, 28))
        handles = {h.get_label(): h for axes in grid.flat for h in axes.get_lines() if h.get_label() in series}
        figure.legend(
            handles=[handles[name] for name in series if name in handles],
            loc="outside upper left",
            ncols=4 if width == "wide" else 1,
            borderaxespad=0.2,
        )
        return style.to_svg(figure), round(height)


def _points(value: float) -> str:
    return numbers.hundredths(value, 0)


def _panel(
    axes: Axes, part: pd.DataFrame, series: list[str], write: Callable[[float], str], write_x: Callable[[float], str]
) -> None:
    sns.despine(ax=axes, left=True, top=True, right=True)
    axes.grid(visible=False, axis="x")
    axes.set_axisbelow(True)
    axes.axhline(0.0, color=style.QUIET, linewidth=1)
    for name, rows in part.groupby("series", sort=False):
        _series(axes, rows.sort_values("dose"), str(name), series.index(str(name)))
    axes.set_xticks(sorted(set(part["dose"])))
    axes.xaxis.set_major_formatter(lambda value, _: write_x(value))
    axes.yaxis.set_major_formatter(lambda value, _: write(value))


def _series(axes: Axes, rows: pd.DataFrame, name: str, index: int) -> None:
    at = index % len(style.MARKERS)
    dashed = bool(rows["dashed"].iloc[0])
    color = "#707a86" if dashed else style.OKABE_ITO[at]
    look: dict[str, Any] = {"linestyle": (0, (3, 2)) if dashed else "-", "marker": style.MARKERS[at], "markersize": 6.5}
    look |= {"markerfacecolor": "white" if dashed else color, "markeredgecolor": color}
    axes.fill_between(rows["dose"], rows["ci_low"], rows["ci_high"], color=color, alpha=0.16, linewidth=0)
    axes.plot(rows["dose"], rows["estimate"], color=color, linewidth=2, label=name, **look)


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    values = frame[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float).ravel()
    known = pd.Series(values).dropna()
    low, high = (min(0.0, known.min()), max(0.0, known.max())) if len(known) else (0.0, 1.0)
    pad = 0.08 * max(high - low, 1e-6)
    return float(low - pad), float(high + pad)
