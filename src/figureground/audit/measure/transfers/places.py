"""Places in the picture: corners, the border, named regions, and the cells of a grid. They need no object mask."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from figureground.audit.measure.transfers.tuples import Composite, Transfer, Tuples, statuses
from figureground.datasets import compose

#: Tags that keep the random words of different purposes apart.
_SHIFT = 0x51
#: The grid over the whole picture has so many rows and columns.
GRID_SIDE = 8


@dataclass(frozen=True)
class PlaceTransfer(Transfer):
    """Donor's pixels in a fixed region, at the same place; control: a region of the same shape elsewhere.

    The control of a corner is another corner, drawn for every row, and that of a frame is the frame just inside it:
    what all corners do alike, as a textured ground does, is no property of one of them.

    Attributes
    ----------
    region : Tensor
        bool ``[H, W]``.
    elsewhere : tuple of Tensor
        Regions that may serve as control, bool ``[H, W]`` each.
    held : Tensor or None
        bool ``[H, W]``: pixels of another cue that stay the recipient's own.
    """

    region: Tensor = field(repr=False)
    elsewhere: tuple[Tensor, ...] = field(repr=False)
    held: Tensor | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The region as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's pixels in the region."""
        return _pasted(tuples, arm, self._kept(self.region).expand(len(tuples), -1, -1))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The same donor's pixels in a region of the same shape elsewhere."""
        return _pasted(tuples, arm, self._kept(self._drawn(tuples)))

    def reference(self, tuples: Tuples) -> None:
        """None: a place's own pixels put back are the picture itself."""
        return

    def _kept(self, where: Tensor) -> Tensor:
        return where if self.held is None else where & ~self.held

    def _drawn(self, tuples: Tuples) -> Tensor:
        choices = self.elsewhere
        return torch.stack([choices[int(rng.integers(len(choices)))] for rng in tuples.rngs(_SHIFT)])


@dataclass(frozen=True)
class RegionTransfer(Transfer):
    """A named region of the data, such as an annotation: it goes where the donor has it.

    All arms exchange the union of the recipient's and all donors' regions, so that a mark of the recipient vanishes
    in every arm and a mark of a donor appears where the donor has it.
    """

    name: str
    held: Tensor | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The region as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's pixels in the union."""
        return self._with(tuples, arm, self._union(tuples))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's pixels in the union, moved to another place."""
        union = self._union(tuples)
        moved = [
            _moved(region, rng, free_shifts(region)) for region, rng in zip(union, tuples.rngs(_SHIFT), strict=True)
        ]
        return self._with(tuples, arm, torch.stack(moved))

    def reference(self, tuples: Tuples) -> None:
        """None: a region's own pixels put back are the picture itself."""
        return

    def _union(self, tuples: Tuples) -> Tensor:
        union = tuples.regions[self.name] | tuples.donor_regions[self.name].any(dim=1)
        grown = compose.dilate(union, 1)
        return grown if self.held is None else grown & ~self.held

    def _with(self, tuples: Tuples, arm: int, where: Tensor) -> Composite:
        made = _pasted(tuples, arm, where)
        absent = ~self._union(tuples).flatten(1).any(dim=1)
        return Composite(made.images, statuses((absent, "region_absent"), n=len(tuples)))


@dataclass(frozen=True)
class GridTransfer(Transfer):
    """Donor's pixels in one cell of a grid over the whole picture; the judge compares cells with each other."""

    height: int
    width: int
    held: Tensor | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[str | None, ...]:
        """Cells, row by row."""
        return tuple(f"r{row}c{column}" for row in range(GRID_SIDE) for column in range(GRID_SIDE))

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's pixels in the cell."""
        cell = grid_cell(part or "r0c0", self.height, self.width)
        where = cell if self.held is None else cell & ~self.held
        return _pasted(tuples, arm, where.expand(len(tuples), -1, -1))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> None:
        """None: another cell of the same picture is the control."""
        return

    def reference(self, tuples: Tuples) -> None:
        """None: a cell's own pixels put back are the picture itself."""
        return


def grid_cell(part: str, height: int, width: int) -> Tensor:
    """bool ``[H, W]``: a cell named ``"r<row>c<column>"`` of the grid over the picture.

    Examples
    --------
    >>> int(grid_cell("r7c0", 64, 64).sum())
    64
    """
    row, column = (int(text) for text in part.removeprefix("r").split("c"))
    cell = torch.zeros(height, width, dtype=torch.bool)
    rows = np.linspace(0, height, GRID_SIDE + 1).round().astype(int)
    columns = np.linspace(0, width, GRID_SIDE + 1).round().astype(int)
    cell[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = True
    return cell


def free_shifts(region: Tensor) -> Tensor:
    """int64 ``[S, 2]``: moves, in pixels down and right, after which a region stays whole and leaves its old place.

    Where nothing leaves it entirely, the moves that overlap it least.
    """
    rows, columns = torch.nonzero(region, as_tuple=True)
    if len(rows) == 0:
        return torch.zeros(1, 2, dtype=torch.int64)
    height, width = region.shape
    down = torch.arange(-int(rows.min()), height - int(rows.max()))
    right = torch.arange(-int(columns.min()), width - int(columns.max()))
    step = max(1, round((len(down) * len(right)) ** 0.5 / 24))  # a few hundred places are choice enough
    moves = torch.cartesian_prod(down[::step], right[::step])
    # Overlap by counting, for every move, the region's pixels that fall on the region.
    moved_rows, moved_columns = rows + moves[:, :1], columns + moves[:, 1:]
    overlap = region[moved_rows, moved_columns].sum(dim=1)
    return moves[overlap == overlap.min()]


def _moved(region: Tensor, rng: np.random.Generator, moves: Tensor) -> Tensor:
    down, right = moves[int(rng.integers(len(moves)))].tolist()
    return region.roll((down, right), (0, 1))


def inner_frame(frame: Tensor) -> Tensor:
    """The frame of the same thickness that lies just inside a frame along the edges."""
    thickness = int(frame[:, frame.shape[1] // 2].sum()) // 2
    inside = torch.zeros_like(frame)
    inside[thickness : frame.shape[0] - thickness, thickness : frame.shape[1] - thickness] = True
    deeper = torch.zeros_like(frame)
    deeper[2 * thickness : frame.shape[0] - 2 * thickness, 2 * thickness : frame.shape[1] - 2 * thickness] = True
    return inside & ~deeper


def _pasted(tuples: Tuples, arm: int, where: Tensor) -> Composite:
    images = compose.paste(tuples.donor_images[:, arm], where, tuples.image)
    return Composite(images, statuses(n=len(tuples)))
