"""How far two maps of one picture agree: pure numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from figureground.audit.document.sheets import Agreement, Map, MapShown

#: The strongest cells that are compared.
TOP_SHARE = 0.1


def agreements(maps: tuple[MapShown, ...]) -> tuple[Agreement, ...]:
    """Every pair of maps, compared; what is illustration only agrees with nothing that would count."""
    counted = [shown for shown in maps if not shown.illustration]
    return tuple(agreement(one, other) for one, other in combinations(counted, 2))


def agreement(one: MapShown, other: MapShown) -> Agreement:
    """Two maps, compared cell by cell on the grid of the coarser one.

    Pixels of an enlarged map are copies of its neighbours, so that a number of pixels would say more than was seen.
    """
    grid = min(one.cells.shape, other.cells.shape, key=lambda shape: (shape[0] * shape[1], shape))
    first, second = (on_grid(shown, (grid[0], grid[1])).ravel() for shown in (one, other))
    constant = any(np.ptp(values) == 0 for values in (first, second))
    return Agreement(
        one.method,
        other.method,
        None if constant else float(spearmanr(first, second).statistic),
        None if constant else top_overlap(first, second),
        int(first.size),
    )


def on_grid(shown: MapShown, grid: tuple[int, int]) -> Map:
    """The map as means over the cells of a grid ``[h, w]``; its own cells where it has that grid."""
    return shown.cells if shown.cells.shape == grid else cell_means(shown.values, grid)


def cell_means(values: Map, grid: tuple[int, int]) -> Map:
    """Means of ``[H, W]`` over ``[h, w]`` cells; pixels on a border belong to the cell that holds their centre.

    Examples
    --------
    >>> cell_means(np.array([[1, 3, 5], [1, 3, 5]], dtype=np.float32), (1, 3)).tolist()
    [[1.0, 3.0, 5.0]]
    """
    for axis, cells in enumerate(grid):
        at = ((np.arange(values.shape[axis]) + 0.5) * cells / values.shape[axis]).astype(int)
        sums = np.stack([np.take(values, np.flatnonzero(at == cell), axis).sum(axis) for cell in range(cells)], axis)
        counts = np.maximum(np.bincount(at, minlength=cells), 1)
        values = (sums / np.expand_dims(counts, 1 - axis)).astype(np.float32)
    return values


def top_overlap(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Share of the strongest tenth (rounded up) of ``[n]`` cells that both have, in [0, 1].

    Cells that tie at the border are in by the share of them that fits: what random breaking of ties gives on average.

    Examples
    --------
    >>> top_overlap(np.arange(20, dtype=np.float32), np.arange(20, dtype=np.float32))
    1.0
    """
    chosen = -(-first.size // round(1 / TOP_SHARE))
    return float((_membership(first, chosen) * _membership(second, chosen)).sum() / chosen)


def _membership(values: npt.NDArray[np.float32], chosen: int) -> npt.NDArray[np.float64]:
    border = np.sort(values)[-chosen]
    above, tied = values > border, values == border
    return np.asarray(above + tied * (chosen - above.sum()) / tied.sum(), dtype=np.float64)
