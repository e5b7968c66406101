"""One chart in its two widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from figureground.reports.figures import style
from figureground.reports.view import Chart, Picture, Table, svg_picture

Draw = Callable[[style.Width], tuple[str, int]]
_WIDTHS: tuple[style.Width, ...] = ("wide", "narrow")


def chart(
    identifier: str,
    title: str,
    draw: Draw,
    *,
    alt: str,
    caption: str,
    tables: Sequence[Table] = (),
    single: bool = False,
    brief: str = "",
) -> Chart:
    """A chart drawn for wide and for narrow screens, with its result in words and its numbers.

    A chart that cannot be drawn leaves its words and its numbers, and says so. Of a ``single`` row, with which there is
    nothing to compare, words and numbers say all; ``brief`` says why nothing is drawn of many.
    """
    if single or brief:
        return Chart(identifier, title, None, None, alt, brief, tuple(tables))
    wide, narrow = (drawn(partial(_picture, draw, width)) for width in _WIDTHS)
    if isinstance(wide, str) or isinstance(narrow, str):
        return Chart(
            identifier,
            title,
            None,
            None,
            alt,
            caption,
            tuple(tables),
            failed=next(one for one in (wide, narrow) if isinstance(one, str)),
        )
    return Chart(identifier, title, wide, narrow, alt, caption, tuple(tables))


def drawn(draw: Callable[[], Picture]) -> Picture | str:
    """What ``draw`` gives, or why it gave nothing."""
    try:
        return draw()
    except MemoryError:
        raise
    except Exception as error:  # a drawing is the least of a report: nothing else may fall with it
        return f"{type(error).__name__}: {error}"


def _picture(draw: Draw, width: style.Width) -> Picture:
    svg, height = draw(width)
    return svg_picture(svg, style.PIXELS[width], height)
