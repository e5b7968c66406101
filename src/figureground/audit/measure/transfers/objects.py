"""The object itself: how large it is, where it stands, and what is on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from figureground.audit.measure.transfers.background import dilation_radius
from figureground.audit.measure.transfers.tuples import Composite, Transfer, Tuples, statuses
from figureground.datasets import compose
from figureground.datasets.columns import GROUND, OBJECT
from figureground.datasets.place_object import (
    aligned,
    boxes,
    centroids,
    fitting_scale,
    move_within,
    scaled,
    shifted,
)

#: Sizes change by at most this factor.
MAX_SCALE = 2.0
#: An object's box is cut into so many rows and columns.
CELLS = 3


@dataclass(frozen=True)
class SizeTransfer(Transfer):
    """The object on its own background, as large as the donor's; control: scaled there and back, at its own size."""

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The object as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's area."""
        return self._scaled(tuples, self._scale(tuples, arm), back=False)

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The same interpolation, and the own size."""
        return self._scaled(tuples, self._scale(tuples, arm), back=True)

    def reference(self, tuples: Tuples) -> Composite:
        """Taken out and put back: what the hole and the seam alone do."""
        return _put_back(tuples)

    def _scale(self, tuples: Tuples, arm: int) -> Tensor:
        own, other = _area(tuples.mask), _area(tuples.donor_masks[:, arm])
        wanted = (other / own.clamp(min=1)).sqrt().clamp(1 / MAX_SCALE, MAX_SCALE)
        return fitting_scale(_object(tuples.mask), torch.where(own > 0, wanted, torch.ones_like(wanted)))

    def _scaled(self, tuples: Tuples, scale: Tensor, *, back: bool) -> Composite:
        figure = _object(tuples.mask)
        image, soft = scaled(tuples.image, figure, scale, back=back)
        images = compose.blend(image, soft, _alone(tuples))
        return Composite(images, statuses(*_faults(tuples), n=len(tuples)))


@dataclass(frozen=True)
class PositionTransfer(Transfer):
    """The object where the donor's stands; control: the background moves as far and the object stays."""

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The object as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's place, as near as the frame allows."""
        move = self._move(tuples, arm)
        figure, image = shifted(_object(tuples.mask), move), shifted(tuples.image, move)
        images = compose.blend(image, compose.feather(figure), _alone(tuples))
        return Composite(images, statuses(*_faults(tuples), n=len(tuples)))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The object in its place before a background that has moved as far."""
        moved = shifted(_alone(tuples), self._move(tuples, arm))
        images = compose.blend(tuples.image, compose.feather(_object(tuples.mask)), moved)
        return Composite(images, statuses(*_faults(tuples), n=len(tuples)))

    def reference(self, tuples: Tuples) -> Composite:
        """Taken out and put back: what the hole and the seam alone do."""
        return _put_back(tuples)

    def _move(self, tuples: Tuples, arm: int) -> Tensor:
        return move_within(_object(tuples.mask), centroids(_object(tuples.donor_masks[:, arm])))


@dataclass(frozen=True)
class InsideTransfer(Transfer):
    """A part of the donor's object on the same part of the recipient's: marks, logos, text on the object.

    Cells are those of the objects' boxes, and the donor's is stretched onto the recipient's; only pixels that are
    object in both change. The judge compares cells with each other.
    """

    @property
    def parts(self) -> tuple[str | None, ...]:
        """Cells of the object's box, row by row."""
        return tuple(f"r{row}c{column}" for row in range(CELLS) for column in range(CELLS))

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's cell."""
        own, other = _object(tuples.mask), _object(tuples.donor_masks[:, arm])
        # Cells run in the outer loop, so every arm keeps its own.
        image, mask = tuples.once(("aligned", arm), lambda: aligned(tuples.donor_images[:, arm], other, own))
        where = own & mask & _cell(own, part or "r0c0")
        images = compose.paste(image, where, tuples.image)
        return Composite(images, statuses(*_faults(tuples), n=len(tuples)))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> None:
        """None: another cell of the same object is the control."""
        return

    def reference(self, tuples: Tuples) -> None:
        """None: a cell's own pixels put back are the picture itself."""
        return


def object_cell(tuples: Tuples, part: str) -> Tensor:
    """bool ``[B, H, W]``: a cell of the recipient's object, and half a cell around it, since a mark may lie across."""
    figure = _object(tuples.mask)
    return figure & _cell(figure, part, margin=0.5)


def _cell(mask: Tensor, part: str, margin: float = 0.0) -> Tensor:
    row, column = (int(text) for text in part.removeprefix("r").split("c"))
    box = boxes(mask).float()
    height, width = mask.shape[-2:]
    size = (box[:, 2:] - box[:, :2]) / CELLS
    down = (torch.arange(height, device=mask.device)[None] - box[:, :1]) / size[:, :1]
    right = (torch.arange(width, device=mask.device)[None] - box[:, 1:2]) / size[:, 1:]
    rows = (down >= row - margin) & (down < row + 1 + margin)
    columns = (right >= column - margin) & (right < column + 1 + margin)
    return rows[:, :, None] & columns[:, None, :]


def _object(mask: Tensor) -> Tensor:
    """Object pixels; where there are none, all pixels, so that boxes exist: such rows are no test anyway."""
    figure = mask == OBJECT
    empty = ~figure.flatten(1).any(dim=1)
    shape = (-1,) + (1,) * (figure.ndim - 1)
    return figure | empty.view(shape)


def _area(mask: Tensor) -> Tensor:
    return (mask == OBJECT).float().sum(dim=(1, 2))


def _alone(tuples: Tuples) -> Tensor:
    """The recipient's background without its object."""
    hole = compose.dilate(tuples.mask != GROUND, dilation_radius(tuples.image))
    return tuples.once("alone", lambda: compose.fill(tuples.image, hole))


def _put_back(tuples: Tuples) -> Composite:
    images = compose.blend(tuples.image, compose.feather(_object(tuples.mask)), _alone(tuples))
    return Composite(images, statuses(*_faults(tuples), n=len(tuples)))


def _faults(tuples: Tuples) -> list[tuple[Tensor, str]]:
    empty = (_area(tuples.mask) == 0) | torch.stack([_area(m) == 0 for m in tuples.donor_masks.unbind(1)]).any(dim=0)
    return [(~tuples.masked, "mask_absent"), (empty, "no_object")]
