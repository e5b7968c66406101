"""Look of all charts: one type size, quiet axes, Okabe-Ito colours; the same numbers give the same bytes."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib import style as styles
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figureground.reports.figures.slimming import slimmed
from figureground.visible import visible

Width = Literal["wide", "narrow"]
#: Width of a chart in CSS pixels: for a desk, and for a telephone.
PIXELS: dict[Width, int] = {"wide": 880, "narrow": 350}

INK, QUIET, FAINT = "#1d2733", "#5b6673", "#d9dee5"
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
#: Okabe and Ito, Color Universal Design (2008), in the order in which categories take them.
OKABE_ITO = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
#: The same as characters, for titles.
GLYPHS = ("●", "■", "▲", "◆", "▼", "✚")

# Text is measured in DejaVu Sans, which comes with matplotlib and is wider than the fonts that browsers take
# instead: what fits here fits everywhere, and the file is a third of the size of outlined text.
_MEASURED, _SHOWN = "'DejaVu Sans', sans-serif", "system-ui, 'Segoe UI', Roboto, Arial, sans-serif"
_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "figureground",
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "axes.unicode_minus": True,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 12,
    "legend.fontsize": 11,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "axes.edgecolor": FAINT,
    "grid.color": "#e9ecf0",
    "legend.frameon": False,
}


@contextmanager
def themed() -> Iterator[None]:
    """The style within a block; whatever was set before, by the caller or a ``matplotlibrc``, is set again after it."""
    fresh, own = styles.context("default", after_reset=True), mpl.rc_context(cast(Any, _RC))
    with fresh, sns.axes_style("whitegrid"), own, warnings.catch_warnings():
        # A script that DejaVu lacks is only measured badly: the reader's own fonts draw it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def new_figure(width: int, height: float) -> Figure:
    """Empty figure of so many CSS pixels (an SVG unit is 1/72 inch, and is shown as one pixel)."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    figure.patch.set_alpha(0.0)
    return figure


def to_svg(figure: Figure) -> str:
    """SVG text of a figure, free of dates, of random identifiers, and of what XML cannot hold."""
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue()
    return visible(slimmed(text[text.index("<svg") :]).replace(_MEASURED, _SHOWN))


def quiet_axes(axes: Axes) -> None:
    """Only what helps to read a value: vertical grid lines and the base line."""
    sns.despine(ax=axes, left=True, top=True, right=True)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


def folded(text: str, limit: int) -> str:
    """Words of an axis on as many lines as they need; a word that is longer than a line stays whole.

    >>> folded("share of attribution on the background", 20)
    'share of attribution\\non the background'
    """
    return "\n".join(textwrap.wrap(" ".join(text.split()), limit, break_long_words=False)) or text


def shorten(text: str, limit: int) -> str:
    """Text cut to ``limit`` characters in its middle: long names often differ at their ends only.

    >>> shorten("a very long level 7", 10)
    'a ver…el 7'
    """
    flat = " ".join(text.split())
    tail = 2 * limit // 5
    return flat if len(flat) <= limit else f"{flat[: limit - 1 - tail]}…{flat[-tail:]}"
