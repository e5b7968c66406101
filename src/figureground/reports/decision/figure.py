"""Sheets as one picture each, for a slide or a file."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figureground.audit.document.sheets import Inside, ModelFacts, Sheet
from figureground.reports import catalogue, numbers
from figureground.reports.decision import inside_page, page
from figureground.reports.decision.page import Tile
from figureground.reports.figures.style import INK, QUIET, shorten, themed

_COLUMNS, _INCHES, _DPI = 4, 3.0, 120
#: Letters that fit over and under a tile.
_TITLE, _LINE = 44, 46


def sheet_png(sheet: Sheet, model: ModelFacts, lang: str = "en") -> bytes:
    """The pictures of a sheet with their words, as a PNG."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        view = page.build(sheet, model, words)
    title = f"{shorten(view.name, 60)}: {shorten(view.headline, 60)}"
    return _png(title, words.say("sheet.png_foot"), [view.maps, view.covered, view.parts])


def inside_png(inside: Inside, model: ModelFacts, lang: str = "en") -> bytes:
    """The pictures of the inside of a network, as a PNG."""
    words = catalogue.load(lang)
    with numbers.written_in(words.style):
        view = inside_page.build(inside, model, words)
    features = [tile for each in view.features for tile in each.tiles[:_COLUMNS]]
    patches = [tile for pair in view.patches for tile in pair]
    filters = [view.filters] if view.filters else []
    return _png(shorten(view.headline, 100), view.stamp, [patches, features, filters])


def _png(title: str, foot: str, groups: Sequence[Sequence[Tile]]) -> bytes:
    tiles = [tile for group in groups for tile in _whole_rows(group)]
    rows = len(tiles) // _COLUMNS
    with themed():
        figure = Figure(figsize=(_COLUMNS * _INCHES, rows * (_INCHES + 0.75) + 1.0), layout="constrained")
        figure.suptitle(title, color=INK, x=0.01, ha="left", fontsize=14, fontweight="bold")
        figure.supxlabel(foot, color=QUIET, x=0.01, ha="left", fontsize=10, wrap=True)
        grid = figure.subplots(rows, _COLUMNS, squeeze=False)
        for at, axes in enumerate(grid.ravel()):
            axes.set_axis_off()
            if (tile := tiles[at]) is not None:
                _draw(axes, tile)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _whole_rows(group: Sequence[Tile]) -> list[Tile | None]:
    return [*group, *[None] * (-len(group) % _COLUMNS)]


def _draw(axes: Axes, tile: Tile) -> None:
    lines = [shorten(tile.title, _TITLE), *(shorten(line, _LINE) for line in tile.lines)]
    lines += [tile.stamp] if tile.stamp else []
    axes.imshow(tile.pixels, interpolation="nearest")
    axes.set_title("\n".join(lines), fontsize=9, loc="left", color=INK)
