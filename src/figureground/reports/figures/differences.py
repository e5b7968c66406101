"""Numbers on a small grid: differences from a whole, and how alike things are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from numpy.typing import NDArray

from figureground.reports import numbers
from figureground.reports.figures import style
from figureground.reports.figures.matrices import Matrix, row_shares

_CELL = 40.0
#: Both ends light enough for ink on them.
_DIVERGING = LinearSegmentedColormap.from_list("difference", ["#7fb8dc", "#ffffff", "#f0a878"])
#: The scale reaches at least this far, so that trifles stay pale.
_LEAST = 0.10


def row_differences(matrix: NDArray[np.int64], whole: NDArray[np.int64], fewest: int) -> NDArray[np.float64]:
    """Share of every cell in its row minus that in ``whole``; NaN in rows of fewer than ``fewest``.

    >>> row_differences(np.array([[8, 2], [1, 0]]), np.array([[10, 10], [9, 1]]), 5).round(2).tolist()
    [[0.3, -0.3], [nan, nan]]
    """
    # So that what is as much above as below is written alike.
    found = np.round(row_shares(matrix) - row_shares(whole), 12)
    few = (matrix.sum(axis=1) < fewest) | (whole.sum(axis=1) == 0)
    return np.where(few[:, None], np.nan, found)


def difference_chart(
    matrices: Sequence[Matrix],
    whole: Matrix,
    *,
    fewest: int,
    row_axis: str,
    column_axis: str,
    width: style.Width = "wide",
) -> tuple[str, int]:
    """Small multiples of row percentages minus those of ``whole``, in points, on one diverging scale centred at 0.

    Parameters
    ----------
    matrices : sequence of Matrix
        At least one.
    whole : Matrix
        All images, with the same rows and columns.
    fewest : int
        Rows of fewer images are left blank.
    row_axis, column_axis : str
        What rows and columns are.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    values = [row_differences(matrix.counts, whole.counts, fewest) for matrix in matrices]
    end = max(_LEAST, *(float(np.nanmax(np.abs(one), initial=0.0)) for one in values))
    columns = min(len(matrices), 3) if width == "wide" and len(whole.columns) <= 6 else 1
    lines = -(-len(matrices) // columns)
    height = lines * (_CELL * len(whole.rows) + 84)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in list(grid.flat)[len(matrices) :]:
            axes.set_axis_off()
        for index, (matrix, found) in enumerate(zip(matrices, values, strict=True)):
            axes = grid.flat[index]
            _cells(axes, found, numbers.signed, matrix.rows, matrix.columns, cmap=_DIVERGING, vmin=-end, vmax=end)
            axes.set_title(style.shorten(matrix.title, 34), loc="left", fontweight="bold", fontsize=12)
            axes.set(ylabel=row_axis if index % columns == 0 else "", xlabel=column_axis)
        return style.to_svg(figure), round(height)


def agreement_chart(
    values: NDArray[np.float64], names: Sequence[str], *, width: style.Width = "wide"
) -> tuple[str, int]:
    """Correlations of every pair ``[M, M]``, NaN where there is none; what is 0 or less has no colour.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    height = (34.0 if width == "wide" else 30.0) * len(names) + 110
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        palette = sns.light_palette(style.BLUE, as_cmap=True)
        # A diagonal of ones would say nothing, and draw the eye.
        shown = np.where(np.tril(np.ones_like(values, dtype=bool), -1), values, np.nan)[1:, :-1]
        _cells(axes, shown, _two, names[1:], names[:-1], cmap=palette, vmin=0.0, vmax=1.7)
        axes.tick_params(axis="x", rotation=35 if width == "wide" else 90)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right" if width == "wide" else "center")
        return style.to_svg(figure), round(height)


def _two(value: float) -> str:
    return numbers.fixed(value, 2)


def _cells(
    axes: Axes,
    values: NDArray[np.float64],
    write: Callable[[float], str],
    rows: Sequence[str],
    columns: Sequence[str],
    **scale: Colormap | float,
) -> None:
    text = [["" if np.isnan(value) else write(value) for value in line] for line in values]
    small = len(columns) > 6
    settings: dict[str, Any] = {**scale, "cbar": False, "linewidths": 2, "linecolor": "white"}
    sns.heatmap(
        values,
        ax=axes,
        annot=np.array(text),
        fmt="",
        annot_kws={"fontsize": 9 if small else 11, "color": style.INK},
        xticklabels=[style.shorten(name, 16) for name in columns],
        yticklabels=[style.shorten(name, 16) for name in rows],
        **settings,
    )
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="y", rotation=0)
    axes.tick_params(axis="x", rotation=45 if small else 0)
    axes.grid(visible=False)
