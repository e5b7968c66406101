"""The background of a donor behind the recipient's own object."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from figureground.audit.measure.transfers.tuples import Composite, Transfer, Tuples, statuses
from figureground.datasets import compose
from figureground.datasets.columns import GROUND, OBJECT

#: Masks grow by this share of the shorter side before their object is removed: edges and shadows go with it.
DILATION = 0.02
#: A composite that shows less background than this is no test of the background.
MIN_VISIBLE = 0.05

#: Gives a donor's picture (``[B, C, H, W]``) the recipient's value of another cue.
Equalise = Callable[[Tuples, int], Tensor]


@dataclass(frozen=True)
class BackgroundTransfer(Transfer):
    """Swaps backgrounds; the control has one background in all arms, each with the hole of its own donor.

    The dilated union of all donors' masks is filled in every arm, so that no arm shows a hole of another shape: a
    class-shaped hole alone moves predictions.

    Attributes
    ----------
    held_region : callable or None
        Pixels, bool ``[B, H, W]``, that stay the recipient's own because they belong to another cue.
    equalise : callable or None
        Makes the donor's picture equal to the recipient's in another cue first.
    """

    held_region: Callable[[Tuples], Tensor] | None = field(default=None, repr=False)
    equalise: Equalise | None = field(default=None, repr=False)

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The background as a whole."""
        return (None,)

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The donor's background, the holes of all donors filled."""
        return self._behind(tuples, arm, _holes(tuples).any(dim=1))

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """One background of the recipient's own level in all arms, with the hole of this arm's donor."""
        holes = _holes(tuples)
        return self._behind(tuples, -1, holes[:, arm] | holes[:, -1])

    def reference(self, tuples: Tuples) -> Composite:
        """The own background, the own hole filled, mirrored: how much compositing as such upsets the model."""
        hole = compose.dilate(tuples.mask != GROUND, dilation_radius(tuples.image))
        background = compose.mirror(compose.fill(tuples.image, hole))
        return self._composite(tuples, background, compose.mirror(hole))

    def _behind(self, tuples: Tuples, arm: int, hole: Tensor) -> Composite:
        donor = tuples.donor_images[:, arm] if self.equalise is None else self.equalise(tuples, arm)
        # What is held must not arrive by the fill either, which copies from elsewhere in the picture.
        closed = hole if self.held_region is None else hole | self.held_region(tuples)
        return self._composite(tuples, compose.fill(donor, closed), hole)

    def _composite(self, tuples: Tuples, background: Tensor, hole: Tensor) -> Composite:
        figure = tuples.mask == OBJECT
        if self.held_region is not None:
            background = compose.paste(tuples.image, self.held_region(tuples), background)
        images = compose.blend(tuples.image, compose.feather(figure), background)
        hidden = compose.visible_share(figure, hole) < MIN_VISIBLE
        return Composite(
            images, statuses((~tuples.masked, "mask_absent"), (hidden, "no_visible_background"), n=len(tuples))
        )


def dilation_radius(images: Tensor) -> int:
    """Pixels by which masks grow: :data:`DILATION` of the shorter side, at least 1."""
    return max(1, math.ceil(DILATION * min(images.shape[-2:])))


def _holes(tuples: Tuples) -> Tensor:
    return tuples.once("holes", lambda: _grown(tuples))


def _grown(tuples: Tuples) -> Tensor:
    radius = dilation_radius(tuples.image)
    return torch.stack([compose.dilate(mask != GROUND, radius) for mask in tuples.donor_masks.unbind(1)], dim=1)
