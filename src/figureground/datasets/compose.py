"""Put pictures together: dilate, fill, paste, mirror. Pure functions on tensors, batch to batch.

All images are float ``[B, C, H, W]`` in [0, 1]; all masks are bool ``[B, H, W]``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

#: Pixels along the edge that never serve as filling, as a share of the shorter side.
FRAME = 1 / 16


def dilate(mask: Tensor, radius: int) -> Tensor:
    """Mask grown by ``radius`` pixels in the maximum norm; bool ``[B, H, W]``.

    Examples
    --------
    >>> dilate(torch.eye(5, dtype=torch.bool)[None] & (torch.arange(5) == 2), 1).sum().item()
    9
    """
    if radius == 0:
        return mask
    grown = F.max_pool2d(mask[:, None].float(), 2 * radius + 1, stride=1, padding=radius)
    return grown[:, 0] > 0


def fill(images: Tensor, hole: Tensor) -> Tensor:
    """Close a hole with pixels of the same picture.

    Each hole pixel takes the value that stands at its place in a mirrored or shifted copy of the picture,
    from the first copy in a fixed order whose pixel lies outside the hole; what no copy covers takes the mean colour
    of the pixels outside. Texture survives, unlike under a mean or blurred fill, which would weaken the very cue
    that a background swap is to carry. Copies of the same height come first: the
    upper and lower parts of a scene differ more than its left and right.

    The outermost pixels (:data:`FRAME` of the shorter side) are no source: a border or a mark along the edge would
    arrive in the middle, where no picture has one, and a model that has never seen it there may answer anything.

    Parameters
    ----------
    images : Tensor
        float ``[B, C, H, W]``.
    hole : Tensor
        bool ``[B, H, W]``. Where it covers the whole picture, the fill is mid-grey.
    """
    filled, open_, barred = images.clone(), hole.clone(), hole | _frame(hole)
    for copy, covered in zip(_copies(images), _copies(barred[:, None]), strict=True):
        usable = open_ & ~covered[:, 0]
        filled = torch.where(usable[:, None], copy, filled)
        open_ &= ~usable
        if not open_.any():
            return filled
    # Where only the frame is left outside the hole, its mean is better than none.
    nothing = barred.flatten(1).all(dim=1)[:, None, None]
    return torch.where(open_[:, None], _mean_outside(images, torch.where(nothing, hole, barred)), filled)


def paste(images: Tensor, mask: Tensor, backgrounds: Tensor) -> Tensor:
    """The object of ``images`` (where ``mask``) on ``backgrounds``."""
    return torch.where(mask[:, None], images, backgrounds)


def feather(mask: Tensor) -> Tensor:
    """Soft mask, float ``[B, H, W]`` in [0, 1]: the object's outermost pixels let the background through a little.

    A share of each edge pixel's 3 x 3 neighbourhood that is object; nothing outside the mask, so that no pixel of the
    old background comes along.
    """
    share = F.avg_pool2d(F.pad(mask[:, None].float(), (1, 1, 1, 1), mode="replicate"), 3, stride=1)[:, 0]
    return share * mask


def blend(images: Tensor, alpha: Tensor, backgrounds: Tensor) -> Tensor:
    """``alpha * images + (1 - alpha) * backgrounds``; ``alpha`` is float ``[B, H, W]`` in [0, 1]."""
    return torch.lerp(backgrounds, images, alpha[:, None])


def mirror(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return images.flip(-1)


def visible_share(mask: Tensor, hole: Tensor) -> Tensor:
    """Share of the picture that shows true background: neither object nor filled hole; float ``[B]`` in [0, 1]."""
    return (~mask & ~hole).float().mean(dim=(1, 2))


def _frame(mask: Tensor) -> Tensor:
    """bool ``[H, W]``: the pixels along the edge; none in pictures of fewer than 16 pixels."""
    height, width = mask.shape[-2:]
    thick = int(FRAME * min(height, width))
    inside = torch.zeros(height, width, dtype=torch.bool, device=mask.device)
    inside[thick : height - thick, thick : width - thick] = True
    return ~inside


def _copies(images: Tensor) -> Iterator[Tensor]:
    height, width = images.shape[-2:]
    rows, columns = (0, height // 2, height // 4, -(height // 4)), (0, width // 2, width // 4, -(width // 4))
    for down in rows:
        for right in columns:
            shifted = images.roll((down, right), (-2, -1))
            yield shifted.flip(-1)
            if down or right:
                yield shifted
    for right in columns:
        yield images.roll(right, -1).flip(-2)


def _mean_outside(images: Tensor, hole: Tensor) -> Tensor:
    outside = (~hole)[:, None].to(images.dtype)
    count = outside.sum(dim=(2, 3), keepdim=True)
    mean = (images * outside).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1)
    return torch.where(count > 0, mean, torch.full_like(mean, 0.5))
