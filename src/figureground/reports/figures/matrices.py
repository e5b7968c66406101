"""Counts as small tables of one hue: confusion matrices and the composition of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figureground.reports import numbers
from figureground.reports.figures import style

_CELL = 40.0


@dataclass(frozen=True)
class Matrix:
    """Counts ``[rows, columns]`` with the names of both."""

    title: str
    counts: NDArray[np.int64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def matrix_chart(
    matrices: Sequence[Matrix], *, row_axis: str, column_axis: str, width: style.Width = "wide"
) -> tuple[str, int]:
    """Small multiples; a cell holds the share of its row in percent and the count.

    Parameters
    ----------
    matrices : sequence of Matrix
        At least one.
    row_axis, column_axis : str
        What rows and columns are.

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    wide = width == "wide" and max(len(matrix.columns) for matrix in matrices) <= 6
    columns = min(len(matrices), 3) if wide else 1
    lines = -(-len(matrices) // columns)
    height = lines * (_CELL * max(len(matrix.rows) for matrix in matrices) + 84)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in list(grid.flat)[len(matrices) :]:
            axes.set_axis_off()
        for index, matrix in enumerate(matrices):
            axes = grid.flat[index]
            _draw(axes, matrix)
            axes.set_ylabel(row_axis if index % columns == 0 else "")
            axes.set_xlabel(column_axis)
        return style.to_svg(figure), round(height)


def row_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of every cell in its row; 0 in an empty row.

    >>> row_shares(np.array([[3, 1], [0, 0]])).tolist()
    [[0.75, 0.25], [0.0, 0.0]]
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = counts / np.maximum(totals, 1)
    return shares


def _draw(axes: Axes, matrix: Matrix) -> None:
    shares = row_shares(matrix.counts)
    text = [
        [f"{numbers.percent(s, 0)}\n{numbers.count(n)}" for s, n in zip(*pair, strict=True)]
        for pair in zip(shares, matrix.counts, strict=True)
    ]
    small = len(matrix.columns) > 6
    sns.heatmap(
        shares,
        ax=axes,
        vmin=0,
        vmax=1.7,
        cmap=sns.light_palette(style.BLUE, as_cmap=True),
        cbar=False,
        linewidths=2,
        linecolor="white",
        annot=np.array(text),
        fmt="",
        annot_kws={"fontsize": 8 if small else 11, "color": style.INK},
        xticklabels=[style.shorten(name, 14) for name in matrix.columns],
        yticklabels=[style.shorten(name, 14) for name in matrix.rows],
    )
    axes.set_title(style.shorten(matrix.title, 34), loc="left", fontweight="bold", fontsize=12)
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="y", rotation=0)
    axes.tick_params(axis="x", rotation=45 if small else 0)
