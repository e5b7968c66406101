"""What a plain intervention does to a part of a picture. Pure functions on tensors, batch to batch.

Images are float ``[B, C, H, W]`` in [0, 1]; regions are bool ``[B, H, W]``; outside them a picture stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from figureground.datasets import compose, look

#: Standard deviation of the blur, as a share of the shorter side.
BLUR_SHARE = 1 / 16
#: Rows and columns of tiles that are shuffled.
TILES = 4


def blanked(images: Tensor, region: Tensor) -> Tensor:
    """The region in its own mean colour."""
    return coloured(images, region, look.mean_colour(images, region))


def coloured(images: Tensor, region: Tensor, colour: Tensor) -> Tensor:
    """The region in one colour, float ``[C]`` or ``[B, C]``."""
    ground = colour.expand(len(images), -1)[:, :, None, None].expand_as(images)
    return compose.paste(ground.to(images.dtype), region, images)


def blurred(images: Tensor, region: Tensor) -> Tensor:
    """The region blurred, with nothing of the rest bleeding into it: the rest is first filled from the region."""
    own = compose.fill(images, ~region)
    return compose.paste(look.blur(own, BLUR_SHARE * min(images.shape[-2:])), region, images)


def shuffled(images: Tensor, region: Tensor, orders: Sequence[Sequence[int]]) -> Tensor:
    """The region filled with its own texture in tiles of another order.

    Parameters
    ----------
    orders : sequence of sequences of int
        A permutation of the tiles, row by row, for every picture.
    """
    own = compose.fill(images, ~region)
    mixed = torch.stack([_tiles(image, order) for image, order in zip(own, orders, strict=True)])
    return compose.paste(mixed, region, images)


def noised(images: Tensor, region: Tensor, noise: Tensor, size: float) -> Tensor:
    """White noise of standard deviation ``size`` in the region; ``noise`` is standard normal ``[B, C, H, W]``."""
    return (images + size * noise * region[:, None]).clamp(0, 1)


def noised_total(images: Tensor, region: Tensor, noise: Tensor, size: float) -> Tensor:
    """White noise in the region whose Euclidean norm is ``size`` times the square root of the number of all values.

    The norm is the same however small the region: a small one is disturbed more per pixel.
    """
    inside = noise * region[:, None]
    norm = inside.square().sum(dim=(1, 2, 3)).sqrt().clamp(min=1e-12)
    scale = float(size * images[0].numel() ** 0.5) / norm
    return (images + inside * scale[:, None, None, None]).clamp(0, 1)


def removed(images: Tensor, hole: Tensor) -> Tensor:
    """The hole closed with pixels of the same picture."""
    return compose.fill(images, hole)


def _tiles(image: Tensor, order: Sequence[int]) -> Tensor:
    """Tiles of one picture ``[C, H, W]`` in another order; a rest that is narrower than a tile stays."""
    height, width = image.shape[-2] // TILES, image.shape[-1] // TILES
    result = image.clone()
    for at, source in enumerate(order):
        (row, column), (down, right) = divmod(at, TILES), divmod(int(source), TILES)
        tile = image[:, down * height : (down + 1) * height, right * width : (right + 1) * width]
        result[:, row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return result
