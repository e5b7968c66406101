"""One row per subgroup, one mark per arm, joined by a line: what becomes of answers when only one cue differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style

_LANE, _PAD, _HEADING = 15.0, 14.0, 20.0


@dataclass(frozen=True)
class Words:
    """What is written on the chart."""

    axis: str
    n: str


def arms_chart(
    frame: pd.DataFrame,
    words: Words,
    *,
    unchanged: str = "",
    bounds: tuple[float, float] | None = None,
    width: style.Width = "wide",
) -> tuple[str, int]:
    """The arms of a row lie one below the other, in the order in which they first stand in ``frame``.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns group, row, arm (text; ``group`` is the attribute, empty for rows without one), estimate, ci_low,
        ci_high (shares in [0, 1]; NaN where there is none), n (int, of the row's first arm), hollow (bool).
    words : Words
        What is written on the chart.
    unchanged : str
        Name of the arm that is drawn in ink; none where empty.
    bounds : tuple of float
        Ends of the value axis; from the data where not given.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    arms = list(dict.fromkeys(frame["arm"]))
    heights, headings = _heights(frame, len(arms))
    columns = _columns(arms, width)
    bottom = max(heights.values()) + _half(len(arms))
    axis = style.folded(words.axis, 120 if width == "wide" else 30)
    height = bottom + 74 + 20 * -(-len(arms) // columns) + 15 * axis.count("\n")
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        style.quiet_axes(axes)
        _draw(axes, _placed(frame, heights, arms), arms, unchanged)
        _label(axes, frame, heights, headings, words, 24 if width == "wide" else 20)
        axes.set(xlabel=axis, ylabel="", xlim=bounds or _bounds(frame), ylim=(bottom, 0))
        axes.xaxis.set_major_formatter(lambda value, _: numbers.hundredths(value, 0))
        figure.legend(loc="outside upper left", ncols=columns, borderaxespad=0.2, handletextpad=0.3)
        return style.to_svg(figure), round(height)


def _columns(arms: list[str], width: style.Width) -> int:
    """Columns of the legend: all arms in one line where their names fit."""
    if width == "narrow":
        return 1
    return max(1, min(len(arms), int(style.PIXELS[width] / (7 * max(len(arm) for arm in arms) + 40))))


def _half(arms: int) -> float:
    """Half the height of a row, in pixels."""
    return (_LANE * arms + _PAD) / 2


def _heights(frame: pd.DataFrame, arms: int) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Middle of every row, and of the heading of every group, in pixels from above."""
    heights: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    below = 0.0
    for key in dict.fromkeys(zip(frame["group"], frame["row"], strict=True)):
        if key[0] and key[0] not in headings:
            headings[key[0]] = below + _HEADING / 2
            below += _HEADING
        heights[key] = below + _half(arms)
        below += 2 * _half(arms)
    return heights, headings


def _placed(frame: pd.DataFrame, heights: dict[tuple[str, str], float], arms: list[str]) -> pd.DataFrame:
    rows = zip(frame["group"], frame["row"], frame["arm"], strict=True)
    middle = (len(arms) - 1) / 2
    return frame.assign(height=[heights[group, row] + _LANE * (arms.index(arm) - middle) for group, row, arm in rows])


def _draw(axes: Axes, placed: pd.DataFrame, arms: list[str], unchanged: str) -> None:
    known = placed[placed["estimate"].notna()]
    for _, rows in known.groupby(["group", "row"], sort=False):
        _join(axes, rows, unchanged)
    others = [arm for arm in arms if arm != unchanged]
    for arm in arms:
        at = others.index(arm) % len(style.MARKERS) if arm in others else 0
        color = style.OKABE_ITO[at] if arm in others else style.INK
        marker = style.MARKERS[at] if arm in others else "X"
        rows = known[known["arm"] == arm]
        axes.hlines(rows["height"], rows["ci_low"], rows["ci_high"], color=color, linewidth=2.2)
        # An empty frame first, so that the legend shows the filled mark, whichever rows are hollow.
        for hollow, part in ((None, rows.iloc[:0]), *rows.groupby("hollow")):
            axes.scatter(
                part["estimate"],
                part["height"],
                s=50,
                zorder=3,
                linewidth=1.5,
                marker=marker,
                edgecolor=color,
                facecolor="white" if hollow else color,
                label=style.shorten(arm, 56) if hollow is None else None,
            )


def _join(axes: Axes, rows: pd.DataFrame, unchanged: str) -> None:
    """From the unchanged picture to each arm, lane by lane; without one, from arm to arm."""
    quiet: dict[str, Any] = {"color": "#aab2bc", "linewidth": 1.3, "zorder": 1}
    first = rows[rows["arm"] == unchanged]
    if first.empty:
        axes.plot(rows["estimate"], rows["height"], **quiet)
        return
    start = float(first["estimate"].iloc[0])
    axes.vlines(start, rows["height"].min(), rows["height"].max(), linestyle=(0, (2, 2)), **quiet)
    axes.hlines(rows["height"], start, rows["estimate"], **quiet)


def _label(
    axes: Axes,
    frame: pd.DataFrame,
    heights: dict[tuple[str, str], float],
    headings: dict[str, float],
    words: Words,
    limit: int,
) -> None:
    """Names at the left, n at the right."""
    names = [
        *((at, group, True) for group, at in headings.items()),
        *((at, key[1], False) for key, at in heights.items()),
    ]
    axes.set_yticks([at for at, _, _ in names], [style.shorten(name, limit) for _, name, _ in names])
    for label, (_, _, heading) in zip(axes.get_yticklabels(), names, strict=True):
        if heading:
            label.set(fontweight="bold", color=style.QUIET, fontsize=11)
    across = axes.get_yaxis_transform()
    counts = frame.groupby(["group", "row"], sort=False)["n"].first()
    quiet: dict[str, Any] = {"fontsize": 11, "color": style.QUIET}
    for key, n in counts.items():
        axes.text(1.03, heights[key], numbers.count(n), transform=across, va="center", **quiet)  # type: ignore[index]
    axes.annotate(words.n, (1.03, 1.0), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points", **quiet)
    for at in headings.values():
        axes.axhline(at - _HEADING / 2, color=style.FAINT, linewidth=1, zorder=0)
    sns.despine(ax=axes, left=True, top=True, right=True)


def _bounds(frame: pd.DataFrame) -> tuple[float, float]:
    """From 0, as far as the data go: 100 % where shares are large."""
    ends = frame[["estimate", "ci_low", "ci_high"]]
    largest, smallest = float(ends.max().max()), float(ends.min().min())
    return min(-0.01, smallest - 0.02), 1.01 if largest > 0.5 else max(1.15 * largest, 0.05)
