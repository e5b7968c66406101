"""Dot and interval by subgroup: the one chart form for shares, accuracy and contrast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from figureground.reports import numbers
from figureground.reports.figures import style

_ROW_HEIGHT = 25.0
#: Panels side by side; narrower ones are no longer read.
_MAX_COLUMNS = 3


@dataclass(frozen=True)
class Words:
    """What is written on the chart."""

    axis: str
    n: str
    estimate: str
    hollow: str
    area: str = ""
    floor: str = ""
    pooled: str = ""
    limit: str = ""


def interval_chart(
    frame: pd.DataFrame,
    words: Words,
    *,
    pooled: Mapping[str, float] | None = None,
    limits: tuple[float, ...] = (),
    bounds: tuple[float, float] | None = None,
    write: Callable[[float], str] | None = None,
    shapes: bool = False,
    width: style.Width = "wide",
    shares: bool = True,
) -> tuple[str, int]:
    """One row per subgroup, one panel per method.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns panel, group, row (text; ``group`` is the attribute, empty for the overall row), estimate,
        ci_low, ci_high, area, floor (decimals; NaN where there is none), n (int),
        hollow (bool).
    words : Words
        What is written on the chart.
    pooled : mapping
        Panel to the value of the dashed line.
    limits : tuple of float
        Declared limits, drawn as solid lines.
    bounds : tuple of float
        Ends of the value axis; from the data where not given.
    write : callable
        How a value is written at the axis; times 100 where not given. With it, whole numbers are marked only.
    shapes : bool
        Whether each panel has a marker of its own, which then also stands before its name.
    shares : bool
        Whether values are shares or differences of them, which the axis writes as hundredths; otherwise as they are.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels (the width is ``style.PIXELS[width]``).
    """
    panels = list(dict.fromkeys(frame["panel"]))
    positions = _positions(frame)
    columns = min(len(panels), _MAX_COLUMNS) if width == "wide" else 1
    lines = -(-len(panels) // columns)
    between = 64 if width == "narrow" or lines == 1 else 80
    words = replace(words, axis=style.folded(words.axis, {1: 120, 2: 50, 3: 36}[columns] if width == "wide" else 30))
    between += 15 * words.axis.count("\n")
    height = lines * (_ROW_HEIGHT * len(positions) + between) + _legend_height(words, frame, width)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        grid = figure.subplots(lines, columns, squeeze=False, sharey=columns > 1)
        for unused in grid.flat[len(panels) :]:
            unused.set_visible(False)
        for index, (panel, axes) in enumerate(zip(panels, grid.flat, strict=False)):
            part = frame[frame["panel"] == panel]
            at = index % len(style.MARKERS) if shapes else 0
            _panel(axes, part, positions, words, (pooled or {}).get(panel), limits, style.MARKERS[at])
            title = f"{style.GLYPHS[at]} {panel}" if shapes and len(panels) > 1 else panel
            axes.set_title(title, loc="left", fontweight="bold", pad=8)
            axes.set_xlim(*(bounds or _bounds(frame)))
            _write_axis(axes, write, shares)
        _label_rows(grid[:, 0], positions)
        figure.legend(
            handles=_legend(words, frame),
            loc="outside upper left",
            ncols=4 if width == "wide" else 1,
            handlelength=1.6,
            borderaxespad=0.2,
            columnspacing=1.6,
        )
        return style.to_svg(figure), round(height)


def _write_axis(axes: Axes, write: Callable[[float], str] | None, shares: bool) -> None:
    if write is not None:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    say = write or (partial(numbers.hundredths, digits=0) if shares else _tick)
    axes.xaxis.set_major_formatter(lambda value, _: say(value))


def _tick(value: float) -> str:
    return numbers.quantity(round(value, 9) + 0.0)  # no minus before nothing


def _positions(frame: pd.DataFrame) -> dict[tuple[str, str | None], float]:
    """Height of every row, counted downwards; ``(group, None)`` is the heading of a group."""
    positions: dict[tuple[str, str | None], float] = {}
    for group, row in zip(frame["group"], frame["row"], strict=True):
        if group and (group, None) not in positions:
            positions[(group, None)] = float(len(positions)) + 0.12
        positions.setdefault((group, row), float(len(positions)))
    return positions


def _panel(
    axes: Axes,
    part: pd.DataFrame,
    positions: Mapping[tuple[str, str | None], float],
    words: Words,
    pooled: float | None,
    limits: tuple[float, ...],
    marker: str,
) -> None:
    style.quiet_axes(axes)
    heights = [positions[key] for key in zip(part["group"], part["row"], strict=True)]
    data = part.assign(height=heights)
    for value in limits:
        axes.axvline(value, color=style.QUIET, linewidth=1)
    if pooled is not None:
        axes.axvline(pooled, color=style.INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.hlines(data["height"], data["ci_low"], data["ci_high"], color=style.BLUE, linewidth=2.4)
    axes.vlines(data["area"], data["height"] - 0.3, data["height"] + 0.3, color="#8a939e", linewidth=2.6)
    axes.scatter(
        data["floor"],
        data["height"],
        marker="^",
        s=34,
        facecolor="white",
        edgecolor=style.VERMILLION,
        linewidth=1.4,
    )
    for hollow, rows in data.groupby("hollow"):
        face = "white" if hollow else style.BLUE
        sns.scatterplot(
            data=rows,
            x="estimate",
            y="height",
            ax=axes,
            s=58,
            marker=marker,
            color=face,
            edgecolor=style.BLUE,
            linewidth=1.6,
            zorder=3,
            legend=False,
        )
    across = axes.get_yaxis_transform()
    for height, n in zip(heights, data["n"], strict=True):
        axes.text(1.02, height, numbers.count(n), transform=across, va="center", fontsize=11, color=style.QUIET)
    axes.annotate(
        words.n,
        (1.02, 1.0),
        xytext=(0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=11,
        color=style.QUIET,
    )
    axes.set(xlabel=words.axis, ylabel="")
    axes.set_ylim(max(positions.values()) + 0.7, -0.7)


def _label_rows(first: Iterable[Axes], positions: Mapping[tuple[str, str | None], float]) -> None:
    for axes in first:
        names = [style.shorten(group if row is None else row, 24) for group, row in positions]
        axes.set_yticks(list(positions.values()), names)
        for label, (_, row) in zip(axes.get_yticklabels(), positions, strict=True):
            if row is None:
                label.set(fontweight="bold", color=style.QUIET, fontsize=11)


def _bounds(frame: pd.DataFrame) -> tuple[float, float]:
    values = frame[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float).ravel()
    low, high = min(0.0, float(_extreme(values, least=True))), max(0.0, float(_extreme(values, least=False)))
    pad = 0.06 * max(high - low, 0.05)
    return low - pad, high + pad


def _extreme(values: object, *, least: bool) -> float:
    series = pd.Series(values).dropna()
    return 0.0 if series.empty else float(series.min() if least else series.max())


def _legend(words: Words, frame: pd.DataFrame) -> list[Line2D]:
    dot: dict[str, Any] = {
        "marker": "o",
        "markersize": 7.5,
        "markeredgecolor": style.BLUE,
        "markeredgewidth": 1.5,
    }
    handles = [Line2D([], [], color=style.BLUE, linewidth=2.4, label=words.estimate, **dot)]
    if frame["hollow"].any():
        handles.append(Line2D([], [], color="none", markerfacecolor="white", label=words.hollow, **dot))
    tick: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 13}
    if words.area and frame["area"].notna().any():
        handles.append(Line2D([], [], color="#8a939e", markeredgewidth=2.6, label=words.area, **tick))
    if words.floor and frame["floor"].notna().any():
        triangle: dict[str, Any] = {
            "linestyle": "none",
            "marker": "^",
            "markersize": 6.5,
            "markerfacecolor": "white",
        }
        handles.append(Line2D([], [], color=style.VERMILLION, markeredgewidth=1.4, label=words.floor, **triangle))
    if words.pooled:
        handles.append(Line2D([], [], color=style.INK, linewidth=1, linestyle=(0, (4, 3)), label=words.pooled))
    if words.limit:
        handles.append(Line2D([], [], color=style.QUIET, linewidth=1, label=words.limit))
    return handles


def _legend_height(words: Words, frame: pd.DataFrame, width: style.Width) -> float:
    entries = len(_legend(words, frame))
    return 28.0 if width == "wide" else 20.0 * entries + 8
