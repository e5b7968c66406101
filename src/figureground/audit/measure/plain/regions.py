"""Where a plain intervention acts, and its controls of the same number of pixels. Pure; masks are ``[B, H, W]``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from figureground.audit.declared.plain import ELSEWHERE, EQUAL_AREA, ON_BACKGROUND, ON_OBJECT, ON_WHOLE
from figureground.audit.measure.transfers.background import MIN_VISIBLE
from figureground.audit.measure.transfers.tuples import statuses
from figureground.datasets import compose
from figureground.datasets.columns import GROUND, IGNORE, OBJECT
from figureground.datasets.place_object import boxes, centroids, move_within, shifted

#: A hole that was to move and still overlaps its old place by more than this share is no other place.
MAX_OVERLAP = 0.75


@dataclass(frozen=True)
class Regions:
    """The parts of B pictures, bool ``[B, H, W]`` by name, and for each why a picture is no test of it, or ``"ok"``."""

    where: dict[str, Tensor] = field(repr=False)
    status: dict[str, tuple[str, ...]]


def regions_of(mask: Tensor, has_mask: Tensor, partner: Tensor, rngs: Iterable[np.random.Generator]) -> Regions:
    """Background, object, and the two controls of the background.

    Parameters
    ----------
    mask : Tensor
        uint8 ``[B, H, W]``: 0 ground, 1 object, 255 ignored.
    has_mask : Tensor
        bool ``[B]``.
    partner : Tensor
        uint8 ``[B, H, W]``: mask of another picture, whose place the hole of ``elsewhere`` takes; empty where there
        is none.
    rngs : iterable of Generator
        One a row; they break ties between pixels equally far from the object's edge.
    """
    places, faults = places_of(mask, has_mask)
    background = places[ON_BACKGROUND]
    elsewhere, stuck = moved_ground(mask, partner)
    equal = torch.stack([equal_area(m, int(b.sum()), rng) for m, b, rng in zip(mask, background, rngs, strict=True)])
    n = len(mask)
    usable = statuses(*faults, n=n)
    return Regions(
        {**places, EQUAL_AREA: equal, ELSEWHERE: elsewhere},
        {
            **dict.fromkeys((ON_BACKGROUND, ON_OBJECT, EQUAL_AREA), usable),
            ELSEWHERE: statuses(*faults, (stuck, "no_other_place"), n=n),
        },
    )


def places_of(mask: Tensor, has_mask: Tensor) -> tuple[dict[str, Tensor], list[tuple[Tensor, str]]]:
    """Background, object and whole picture, and what keeps a row from being a test of the first two."""
    background, figure = mask == GROUND, mask == OBJECT
    empty = ~figure.flatten(1).any(dim=1)
    hidden = background.float().mean(dim=(1, 2)) < MIN_VISIBLE
    places = {ON_BACKGROUND: background, ON_OBJECT: figure, ON_WHOLE: torch.ones_like(figure)}
    return places, [(~has_mask, "mask_absent"), (empty, "no_object"), (hidden, "no_visible_background")]


def equal_area(mask: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """The object grown or eroded to ``count`` pixels, bool ``[H, W]``: from its innermost pixel outwards.

    Ignored pixels never enter. Without an object, any pixels.
    """
    figure = (mask == OBJECT).cpu().numpy()
    outward = distance_transform_edt(~figure) - distance_transform_edt(figure) if figure.any() else np.zeros(mask.shape)
    outward = np.where((mask == IGNORE).cpu().numpy(), np.inf, outward)
    order = np.lexsort((rng.random(outward.size), outward.ravel()))
    found = np.zeros(outward.size, dtype=bool)
    found[order[:count]] = True
    return torch.from_numpy(found.reshape(mask.shape)).to(mask.device)


def moved_ground(mask: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
    """The background with its hole moved to the partner's object, bool ``[B, H, W]``; bool ``[B]``: it hardly moved.

    The hole keeps its shape and stays whole, so the region has as many pixels as the background.
    """
    hole, other = mask != GROUND, partner == OBJECT
    known = hole.flatten(1).any(dim=1) & other.flatten(1).any(dim=1)
    safe = hole | ~known[:, None, None]  # boxes need a pixel
    moved = shifted(hole, move_within(safe, centroids(other)))
    overlap = (moved & hole).float().sum(dim=(1, 2)) / hole.float().sum(dim=(1, 2)).clamp(min=1)
    return ~moved, ~known | (overlap > MAX_OVERLAP)


def holes(mask: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The object's dilated mask and the box around it, bool ``[B, H, W]``; both empty where there is no object."""
    dilated = compose.dilate(mask != GROUND, radius)
    empty = ~dilated.flatten(1).any(dim=1)
    box = boxes(dilated | empty[:, None, None])
    height, width = mask.shape[-2:]
    rows = torch.arange(height, device=mask.device)[None]
    columns = torch.arange(width, device=mask.device)[None]
    tall = (rows >= box[:, :1]) & (rows < box[:, 2:3])
    wide = (columns >= box[:, 1:2]) & (columns < box[:, 3:4])
    return dilated, tall[:, :, None] & wide[:, None, :] & ~empty[:, None, None]
