"""How often each class is predicted when only the background differs."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from figureground.reports import numbers
from figureground.reports.figures import style


def swap_chart(frame: pd.DataFrame, *, axis: str, unchanged: str, width: style.Width = "wide") -> tuple[str, int]:
    """One band per class, one dot per background, joined by a line.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns class_name, arm (text; the arm ``unchanged`` is drawn in ink), estimate, ci_low, ci_high
        (shares in [0, 1]).
    axis, unchanged : str
        Words of the value axis, and the name of the arm of untouched images.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    classes, arms = list(dict.fromkeys(frame["class_name"])), list(dict.fromkeys(frame["arm"]))
    band = 22.0 * len(arms) + 16
    columns = min(len(arms), 5 if width == "wide" else 2)
    height = band * len(classes) + 58 + 20 * -(-len(arms) // columns)
    placed = _placed(frame, classes, arms)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        style.quiet_axes(axes)
        _draw(axes, placed, arms, unchanged)
        axes.set_yticks(range(len(classes)), [style.shorten(name, 20) for name in classes])
        axes.set(xlabel=axis, ylabel="", xlim=(-0.01, _end(frame)), ylim=(len(classes) - 0.5, -0.5))
        axes.xaxis.set_major_formatter(lambda value, _: numbers.hundredths(value, 0))
        figure.legend(loc="outside upper left", ncols=columns, borderaxespad=0.2, handletextpad=0.3)
        return style.to_svg(figure), round(height)


def _end(frame: pd.DataFrame) -> float:
    """End of the axis: 100 % where shares are large, nearer where many classes share the images."""
    largest = float(frame[["estimate", "ci_high"]].max().max())
    return 1.01 if largest > 0.5 else max(1.15 * largest, 0.05)


def _placed(frame: pd.DataFrame, classes: list[str], arms: list[str]) -> pd.DataFrame:
    """The frame with the height of every dot: the arms of a class lie one below the other."""
    step = 0.72 / max(len(arms), 1)
    offset = {arm: (index - (len(arms) - 1) / 2) * step for index, arm in enumerate(arms)}
    rows = zip(frame["class_name"], frame["arm"], strict=True)
    return frame.assign(height=[classes.index(name) + offset[arm] for name, arm in rows])


def _draw(axes: Axes, placed: pd.DataFrame, arms: list[str], unchanged: str) -> None:
    for edge in sorted({round(height) + 0.5 for height in placed["height"]})[:-1]:
        axes.axhline(edge, color=style.FAINT, linewidth=1)
    for _, rows in placed[placed["arm"] != unchanged].groupby("class_name", sort=False):
        axes.plot(rows["estimate"], rows["height"], color="#aab2bc", linewidth=1.4, zorder=1)
    others = [arm for arm in arms if arm != unchanged]
    for arm in arms:
        index = others.index(arm) if arm in others else 0
        color = style.OKABE_ITO[index % len(style.OKABE_ITO)] if arm in others else style.INK
        marker = style.MARKERS[index % len(style.MARKERS)] if arm in others else "D"
        rows = placed[placed["arm"] == arm]
        axes.hlines(rows["height"], rows["ci_low"], rows["ci_high"], color=color, linewidth=2.4)
        sns.scatterplot(
            data=rows,
            x="estimate",
            y="height",
            ax=axes,
            s=66,
            zorder=3,
            linewidth=1.5,
            marker=marker,
            edgecolor=color,
            color=color if arm in others else "white",
            label=style.shorten(arm, 32),
            legend=False,
        )
