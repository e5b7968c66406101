"""One chart in its two widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from figureground.reports.figures import style
from figureground.reports.view import Chart, Table, svg_picture

Draw = Callable[[style.Width], tuple[str, int]]


def chart(identifier: str, title: str, draw: Draw, *, alt: str, caption: str, tables: Sequence[Table] = ()) -> Chart:
    """A chart drawn for wide and for narrow screens, with its result in words and its numbers."""
    (wide, wide_height), (narrow, narrow_height) = draw("wide"), draw("narrow")
    return Chart(
        identifier,
        title,
        svg_picture(wide, style.PIXELS["wide"], wide_height),
        svg_picture(narrow, style.PIXELS["narrow"], narrow_height),
        alt,
        caption,
        tuple(tables),
    )
