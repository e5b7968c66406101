"""Places in the frame where shortcuts like to sit: the border and the corners. They need no object mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from figureground.errors import UsageError

BoolArray = npt.NDArray[np.bool_]


def border_frame(height: int, width: int, fraction: float = 0.03) -> BoolArray:
    """The frame along the four edges.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    fraction : float
        Thickness as a share of the shorter side, in (0, 0.5]; rounded, at least one pixel.

    Returns
    -------
    ndarray
        bool, ``[H, W]``.

    Examples
    --------
    >>> int(border_frame(4, 5).sum())
    14
    """
    _check(height, width, fraction)
    thickness = _pixels(fraction, min(height, width))
    frame = np.ones((height, width), dtype=bool)
    frame[thickness : height - thickness, thickness : width - thickness] = False
    return frame


def corners(height: int, width: int, fraction: float = 0.15) -> dict[str, BoolArray]:
    """The four corners, each a rectangle with the image's own aspect.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    fraction : float
        Side as a share of the image's side, in (0, 0.5]; rounded, at least one pixel. Tags, stamps and
        markers are seldom larger than the default.

    Returns
    -------
    dict
        ``corner_top_left``, ``corner_top_right``, ``corner_bottom_left``, ``corner_bottom_right``: bool ``[H,
        W]``.
    """
    _check(height, width, fraction)
    rows, columns = _pixels(fraction, height), _pixels(fraction, width)
    vertical = {"top": slice(0, rows), "bottom": slice(height - rows, height)}
    horizontal = {"left": slice(0, columns), "right": slice(width - columns, width)}
    return {
        f"corner_{row}_{column}": _rectangle(height, width, vertical[row], horizontal[column])
        for row in vertical
        for column in horizontal
    }


def _rectangle(height: int, width: int, rows: slice, columns: slice) -> BoolArray:
    region = np.zeros((height, width), dtype=bool)
    region[rows, columns] = True
    return region


def _pixels(fraction: float, side: int) -> int:
    return max(1, round(fraction * side))


def _check(height: int, width: int, fraction: float) -> None:
    if height < 1 or width < 1 or not 0 < fraction <= 0.5:
        raise UsageError(
            "REGION_SIZE",
            "regions",
            found=f"{height} x {width} px, fraction {fraction}",
            expected="at least 1 x 1 px and a fraction in (0, 0.5]",
            fix="give the size of the model's input",
        )
