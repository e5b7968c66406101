"""Move, scale and exchange objects: pure functions on tensors, one geometry for picture and mask.

Images are float ``[B, C, H, W]`` in [0, 1], masks bool ``[B, H, W]`` with at least one pixel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def boxes(mask: Tensor) -> Tensor:
    """Bounding boxes ``[B, 4]``: first row, first column, row after the last, column after the last; int64.

    Examples
    --------
    >>> boxes(torch.eye(4, dtype=torch.bool)[None]).tolist()
    [[0, 0, 4, 4]]
    """
    rows, columns = mask.any(dim=2).int(), mask.any(dim=1).int()
    height, width = mask.shape[-2:]
    return torch.stack(
        [
            rows.argmax(dim=1),
            columns.argmax(dim=1),
            height - rows.flip(1).argmax(dim=1),
            width - columns.flip(1).argmax(dim=1),
        ],
        dim=1,
    )


def centroids(mask: Tensor) -> Tensor:
    """Mean row and column of the object's pixels, float ``[B, 2]``, in pixels; 0 for an empty mask."""
    height, width = mask.shape[-2:]
    weight = mask.float()
    total = weight.sum(dim=(1, 2)).clamp(min=1)
    row = (weight.sum(dim=2) * torch.arange(height, device=mask.device)).sum(dim=1) / total
    column = (weight.sum(dim=1) * torch.arange(width, device=mask.device)).sum(dim=1) / total
    return torch.stack([row, column], dim=1)


def shifted(values: Tensor, moves: Tensor) -> Tensor:
    """Each ``[..., H, W]`` of a batch rolled by its own whole pixels, int64 ``[B, 2]``: down and right."""
    return torch.stack([v.roll((int(d), int(r)), (-2, -1)) for v, (d, r) in zip(values, moves.tolist(), strict=True)])


def move_within(mask: Tensor, wanted: Tensor) -> Tensor:
    """Whole pixels, int64 ``[B, 2]``, that bring an object's centroid nearest to ``wanted`` while it stays whole.

    Parameters
    ----------
    mask : Tensor
    wanted : Tensor
        Row and column, float ``[B, 2]``.
    """
    height, width = mask.shape[-2:]
    box = boxes(mask)
    move = (wanted - centroids(mask)).round().long()
    low = -box[:, :2]
    high = torch.tensor([height, width], device=mask.device) - box[:, 2:]
    return torch.maximum(torch.minimum(move, high), low)


def fitting_scale(mask: Tensor, scale: Tensor) -> Tensor:
    """The scale ``[B]``, made smaller where the object would not fit into the picture any more."""
    height, width = mask.shape[-2:]
    box = boxes(mask)
    limit = torch.minimum(height / (box[:, 2] - box[:, 0]), width / (box[:, 3] - box[:, 1]))
    return torch.minimum(scale, limit)


def scaled(images: Tensor, mask: Tensor, scale: Tensor, *, back: bool = False) -> tuple[Tensor, Tensor]:
    """Objects scaled about the middle of their boxes, moved only where they would leave the picture.

    Parameters
    ----------
    images : Tensor
    mask : Tensor
    scale : Tensor
        float ``[B]``, sizes multiplied by it; as :func:`fitting_scale` gives it.
    back : bool
        Scale there and back again: the same loss of detail at the old size.

    Returns
    -------
    tuple of Tensor
        Images, and the soft mask float ``[B, H, W]`` in [0, 1].
    """
    theta, inverse = _theta(mask, scale)
    layers = torch.cat([images, mask[:, None].to(images.dtype)], dim=1)
    moved = _warp(layers, theta, scale)
    if back:
        moved = _warp(moved, inverse, 1 / scale)
    return moved[:, :-1].clamp(0, 1), moved[:, -1].clamp(0, 1)


def aligned(images: Tensor, mask: Tensor, onto: Tensor) -> tuple[Tensor, Tensor]:
    """Objects stretched so that their boxes lie on those of ``onto``, bool ``[B, H, W]``; images and hard masks."""
    height, width = mask.shape[-2:]
    source, target = boxes(mask).float(), boxes(onto).float()
    size_s, size_t = source[:, 2:] - source[:, :2], target[:, 2:] - target[:, :2]
    ratio = size_s / size_t
    middle_s, middle_t = (source[:, :2] + source[:, 2:]) / 2, (target[:, :2] + target[:, 2:]) / 2
    theta = _affine(ratio, middle_s, middle_t, height, width)
    layers = torch.cat([images, mask[:, None].to(images.dtype)], dim=1)
    moved = F.grid_sample(layers, F.affine_grid(theta, list(layers.shape), align_corners=False), align_corners=False)
    return moved[:, :-1].clamp(0, 1), moved[:, -1] > 0.5


def _theta(mask: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    height, width = mask.shape[-2:]
    box = boxes(mask).float()
    middle = (box[:, :2] + box[:, 2:]) / 2
    half = scale[:, None] * (box[:, 2:] - box[:, :2]) / 2
    frame = torch.tensor([height, width], device=mask.device, dtype=torch.float32)
    goal = torch.maximum(torch.minimum(middle, frame - half), half)
    ratio = (1 / scale)[:, None].expand(-1, 2)
    forward = _affine(ratio, middle, goal, height, width)
    return forward, _affine(1 / ratio, goal, middle, height, width)


def _affine(ratio: Tensor, source: Tensor, target: Tensor, height: int, width: int) -> Tensor:
    """Matrices for ``affine_grid``: output pixel p shows input pixel ``source + (p - target) * ratio``.

    In its coordinates the picture reaches from -1 to 1, columns first.
    """
    frame = torch.tensor([height, width], device=ratio.device, dtype=torch.float32)
    to_unit = 2 / frame
    offset = (source - target * ratio) * to_unit + ratio - 1
    zero = torch.zeros(len(ratio), device=ratio.device)
    return torch.stack(
        [
            torch.stack([ratio[:, 1], zero, offset[:, 1]], dim=1),
            torch.stack([zero, ratio[:, 0], offset[:, 0]], dim=1),
        ],
        dim=1,
    )


def _warp(layers: Tensor, theta: Tensor, scale: Tensor) -> Tensor:
    # Made smaller, a picture needs its finest details taken off first, or they come back as others.
    smaller = scale < 0.75
    if smaller.any():
        layers = layers.clone()
        layers[smaller] = F.avg_pool2d(F.pad(layers[smaller], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    grid = F.affine_grid(theta, list(layers.shape), align_corners=False)
    # The picture goes on beyond its frame, its mask does not: else objects at the frame get a dark rim.
    images = F.grid_sample(layers[:, :-1], grid, padding_mode="border", align_corners=False)
    mask = F.grid_sample(layers[:, -1:], grid, align_corners=False)
    return torch.cat([images, mask], dim=1)
