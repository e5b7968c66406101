"""What a region looks like in a few hundred numbers: colour, edges by direction and scale, periodicity, compression.

Simple on purpose: they do not depend on the audited model, and a linear score of them reads a texture that raw
pixels do not give away.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from figureground.datasets import look

#: Bins of the soft colour histogram, per channel.
BINS = 6
_DIRECTIONS = 4
_SCALES = (1, 2, 4)
#: Waves of this many pixels, and twice as many.
_PERIOD, _WAVE_SCALES = 3.0, (1, 2)


def describe(images: Tensor, region: Tensor | None = None) -> Tensor:
    """Descriptors of a region.

    Parameters
    ----------
    images : Tensor
        float ``[B, C, H, W]`` in [0, 1].
    region : Tensor, optional
        bool ``[B, H, W]``; by default the whole picture, also where it is empty.

    Returns
    -------
    Tensor
        float32 ``[B, D]``: means and deviations of the channels, soft histograms, logarithms of oriented gradient
        energies at three scales, of Gabor energies at two periods, the sharpness and the blockiness.
    """
    where = torch.ones(images.shape[0], *images.shape[-2:], dtype=torch.bool, device=images.device)
    where = where if region is None else region
    empty = ~where.flatten(1).any(dim=1)
    weight = (where | empty[:, None, None])[:, None].to(images.dtype)
    grey = images.mean(dim=1, keepdim=True)
    parts = [*_colour(images, weight), *_edges(grey, weight), *_waves(grey, weight)]
    parts += [look.sharpness_of(images, where)[:, None], look.blockiness_of(images, where)[:, None]]
    return torch.cat(parts, dim=1).float()


def _pool(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))


def _colour(images: Tensor, weight: Tensor) -> list[Tensor]:
    mean = _pool(images, weight)
    spread = (_pool(images.square(), weight) - mean.square()).clamp(min=0).sqrt()
    centres = torch.linspace(0, 1, BINS, device=images.device)
    bins = [_pool((1 - (images - c).abs() * (BINS - 1)).clamp(min=0), weight) for c in centres]
    return [mean, spread, *bins]


def _edges(grey: Tensor, weight: Tensor) -> list[Tensor]:
    found = []
    for scale in _SCALES:
        small, light = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (grey, weight))
        right = F.pad(small[..., 1:] - small[..., :-1], (0, 1))
        down = F.pad(small[..., 1:, :] - small[..., :-1, :], (0, 0, 0, 1))
        for k in range(_DIRECTIONS):
            angle = math.pi * k / _DIRECTIONS
            along = math.cos(angle) * right + math.sin(angle) * down
            found.append(torch.log(_pool(along.abs(), light.clamp(min=1e-6)) + 1e-4))
    return found


def _waves(grey: Tensor, weight: Tensor) -> list[Tensor]:
    found = []
    kernels = _gabor(_PERIOD).to(grey.device, grey.dtype)
    padding = kernels.shape[-1] // 2
    for scale in _WAVE_SCALES:  # a longer wave is the same wave in a smaller picture, and far cheaper there
        small, light = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (grey, weight))
        answer = F.conv2d(F.pad(small, (padding,) * 4, mode="replicate"), kernels)
        energy = answer[:, 0::2].square() + answer[:, 1::2].square()
        found.append(torch.log(_pool(energy, light.clamp(min=1e-6)) + 1e-6))
    return found


def _gabor(period: float) -> Tensor:
    """Even and odd waves in four directions, ``[8, 1, S, S]``, without response to a flat picture."""
    half = max(2, round(period))
    axis = torch.arange(-half, half + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    envelope = torch.exp(-(x.square() + y.square()) / (2 * (period / 2) ** 2))
    kernels = []
    for k in range(_DIRECTIONS):
        angle = math.pi * k / _DIRECTIONS
        phase = 2 * math.pi / period * (math.cos(angle) * x + math.sin(angle) * y)
        for wave in (torch.cos(phase), torch.sin(phase)):
            kernel = envelope * wave
            kernels.append(kernel - envelope * (kernel.sum() / envelope.sum()))
    return torch.stack(kernels)[:, None]
