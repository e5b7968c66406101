"""How the p-values of tests between random groups are spread, beside the diagonal that they should follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from scipy import stats

from figureground.reports import numbers
from figureground.reports.figures import style

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


@dataclass(frozen=True)
class Words:
    """What is written on the chart."""

    p: str
    share: str
    alpha: str
    expected: str


def uniformity_chart(
    p_values: Mapping[str, Sequence[float]], alpha: float, words: Words, *, width: style.Width = "wide"
) -> tuple[str, int]:
    """Share of tests at or below each p, by measure; the band is where 95 % of such shares lie if p is uniform.

    Parameters
    ----------
    p_values : mapping of str to sequence of float
        By the name of the measure, in [0, 1]; at most four, none of them empty.
    alpha : float
        Level of the test, drawn as a line.
    words : Words

    Returns
    -------
    str, int
        SVG text, and its height in CSS pixels.
    """
    entries = len(p_values) + 2
    height = 330.0 + 20 * (-(-entries // 2) if width == "wide" else entries)
    with style.themed():
        figure = style.new_figure(style.PIXELS[width], height)
        axes = figure.subplots()
        sns.despine(ax=axes, top=True, right=True)
        _band(axes, max(map(len, p_values.values())), words.expected)
        axes.axvline(alpha, color=style.QUIET, linewidth=1, label=words.alpha)
        for index, (name, values) in enumerate(p_values.items()):
            sns.ecdfplot(
                x=np.asarray(values, dtype=float),
                ax=axes,
                color=style.OKABE_ITO[index],
                linestyle=_DASHES[index],
                linewidth=1.8,
                label=style.shorten(name, 48),
            )
        axes.set(xlabel=words.p, ylabel=words.share, xlim=(0, 1), ylim=(0, 1))
        axes.yaxis.set_major_formatter(lambda value, _: numbers.hundredths(value, 0))
        axes.xaxis.set_major_formatter(lambda value, _: numbers.fixed(value, 1))
        figure.legend(loc="outside upper left", ncols=2 if width == "wide" else 1, borderaxespad=0.2, handlelength=2.6)
        return style.to_svg(figure), round(height)


def _band(axes: Axes, n: int, label: str) -> None:
    at = np.linspace(0, 1, 101)
    low, high = (stats.binom.ppf(tail, n, at) / n for tail in (0.025, 0.975))
    axes.fill_between(at, low, high, color=style.FAINT, alpha=0.7, linewidth=0, label=label)
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1, linestyle=(0, (4, 3)))
