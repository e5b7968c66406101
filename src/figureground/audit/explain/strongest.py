"""Where a channel answers most strongly over a data set, and which channels never answer: memory does not grow."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from figureground.audit.document.sheets import Patch
from figureground.audit.explain.covering import pixels
from figureground.audit.explain.units import Met, UnitLayer, projection, seen_by
from figureground.datasets.transforms import Preprocess


@dataclass(frozen=True, order=True)
class Spot:
    """The strongest place of one picture; of equal ones the picture with the lower position goes first.

    Attributes
    ----------
    activation : float
    before : int
        Minus the picture's position in its source.
    cell : (int, int)
    """

    activation: float
    before: int
    cell: tuple[int, int] = field(compare=False)
    name: str = field(default="", compare=False)
    image: Tensor | None = field(default=None, compare=False, repr=False)


class Surveyed:
    """A layer's outputs, seen batch by batch; what is kept is ``top`` places and two numbers for each channel."""

    def __init__(self, channel: int | None, top: int) -> None:
        self.channel, self.top, self.n = channel, top, 0
        self.heap: list[Spot] = []
        self.low: Tensor | None = None
        self.high: Tensor | None = None

    def add(self, values: Tensor, named: Iterable[tuple[int, str, Tensor]]) -> None:
        """One batch: outputs ``[B, C, h, w]``, and of each picture its position, name and pixels ``[C, H, W]``."""
        low, high = values.amin((0, 2, 3)), values.amax((0, 2, 3))
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)
        self.n += len(values)
        if self.channel is not None:
            for found, (position, name, image) in zip(values[:, self.channel], named, strict=True):
                self._add(found, position, name, image)

    def _add(self, found: Tensor, position: int, name: str, image: Tensor) -> None:
        at = int(found.argmax())
        spot = Spot(float(found.flatten()[at]), -position, divmod(at, found.shape[1]), name, image)
        if len(self.heap) < self.top:
            heapq.heappush(self.heap, spot)
        else:
            heapq.heappushpop(self.heap, spot)

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels that had one and the same value everywhere: after a ReLU, those that were never active."""
        if self.low is None or self.high is None:
            return ()
        return tuple((self.low == self.high).nonzero().ravel().tolist())

    @property
    def channels(self) -> int:
        """Channels of the layer; 0 before the first batch."""
        return 0 if self.low is None else len(self.low)

    def spots(self) -> list[Spot]:
        """Strongest first."""
        return sorted(self.heap, reverse=True)


def patch_of(
    module: nn.Module, layer: UnitLayer, preprocess: Preprocess, channel: int, spot: Spot
) -> tuple[Patch, Met]:
    """What the unit sees at a spot, with its projection; and what was met on the way back."""
    if spot.image is None:
        raise ValueError("a spot without its picture")
    box = seen_by(module, layer, spot.image.shape, spot.cell)
    found, met = projection(module, layer, preprocess.normalize(spot.image[None]), (channel, *spot.cell))
    top, left, bottom, right = box
    return Patch(
        spot.name,
        spot.activation,
        box,
        pixels(spot.image)[top:bottom, left:right],
        found[:, top:bottom, left:right].numpy(),
    ), met
