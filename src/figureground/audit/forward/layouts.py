"""How the output of a layer is read as a map: channels first, channels last, or one token for each patch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from figureground.audit.declared.config import LAYOUTS, Layout

#: Fewer cells than this cannot tell figure from ground.
MIN_CELLS = 4
#: Strides along the two axes may differ by these factors.
_STRIDE_RATIOS = (0.5, 1.0, 2.0)
#: What padding may add to an axis or take from it, beyond one cell, as a share of the map. More is no map of the image:
#: windows by cells, as the 64 windows of 49 cells in MaxViT's attention.
_PADDING = 0.2
#: A class token and registers may stand before the patches; more tokens than this are something else.
MAX_LEADING_TOKENS = 16

Size = tuple[int, int]


def cells_of(shape: Sequence[int], size: Size, layout: Layout) -> Size | None:
    """Height and width of the map in an output of this shape, or None where it holds none in that layout.

    Parameters
    ----------
    shape : sequence of int
        ``[B, C, h, w]``, ``[B, h, w, C]`` or ``[B, N, D]``, as the layout says.
    size : (int, int)
        Height and width of the image.
    layout : {"NCHW", "NHWC", "tokens"}

    Examples
    --------
    >>> cells_of((1, 7, 7, 768), (224, 224), "NHWC"), cells_of((1, 7, 7, 768), (224, 224), "NCHW")
    ((7, 7), None)
    >>> cells_of((1, 197, 768), (224, 224), "tokens")
    (14, 14)
    """
    if layout == "tokens":
        return _grid(shape[1], size) if len(shape) == 3 and shape[2] > 1 else None
    if len(shape) != 4:
        return None
    found = (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])
    return found if _is_map(found, size) else None


def layout_of(shape: Sequence[int], size: Size) -> Layout | None:
    """The layout in which an output of this shape holds a map closest to the image's proportions; the first of equals.

    >>> layout_of((1, 8, 8, 16), (64, 64)), layout_of((1, 8, 8, 8), (64, 64)), layout_of((1, 8, 8, 16), (64, 128))
    ('NHWC', 'NCHW', 'NCHW')
    """
    found = [(layout, cells_of(shape, size, layout)) for layout in LAYOUTS]
    off = {layout: abs(math.log(cells[0] * size[1] / (cells[1] * size[0]))) for layout, cells in found if cells}
    return min(off, key=lambda layout: off[layout], default=None)


def as_map(output: Tensor, size: Size, layout: Layout) -> Tensor:
    """``[B, C, h, w]`` from an output in which :func:`cells_of` finds a map; tokens before the patches are left out."""
    if layout == "NCHW":
        return output
    if layout == "NHWC":
        return output.permute(0, 3, 1, 2)
    height, width = _grid(output.shape[1], size) or (0, 0)
    patches = output[:, output.shape[1] - height * width :]
    return patches.transpose(1, 2).reshape(len(output), output.shape[2], height, width)


def _is_map(cells: Size, size: Size) -> bool:
    if math.prod(cells) < MIN_CELLS or 0 in (*cells, *size):
        return False
    expected = [cells[1] * size[0] / size[1] * ratio for ratio in _STRIDE_RATIOS]
    return any(abs(cells[0] - rows) <= min(max(1.0, _PADDING * cells[0]), rows / 3) for rows in expected)


def _grid(tokens: int, size: Size) -> Size | None:
    """The finest grid of square patches that so many tokens can be, when those of no patch stand first.

    Patches that do not fill the image to its edge are left out by all patch embeddings, hence the floor.
    """
    grids = ((size[0] // patch, size[1] // patch) for patch in range(1, min(size) // 2 + 1))
    fitting = (grid for grid in grids if tokens - MAX_LEADING_TOKENS <= math.prod(grid) <= tokens)
    found = next(fitting, None)
    return found if found is not None and math.prod(found) >= MIN_CELLS else None
