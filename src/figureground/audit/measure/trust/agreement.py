"""Do two families of methods point at the same places?"""

from __future__ import annotations

import math

import numpy as np
import torch
from captum.attr import Occlusion
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.classify.subject import evaluating
from figureground.audit.explain.layers import model_dtype
from figureground.audit.measure.masked_maps import FloatArray, ObjectMasks, Shape
from figureground.audit.measure.trust.estimates import Estimated, correlation_of, mean_of, rank_correlations
from figureground.audit.measure.trust.lines import NO_MASKS, TOO_FEW, Line, at_least, not_run
from figureground.audit.measure.trust.maps import FloatMaps, points_somewhere
from figureground.audit.measure.trust.masks import density_ratios

NAME = "agreement"
#: Cells along a side that occlusion covers one at a time.
OCCLUSION_CELLS = 8
#: Rows that are occluded: 64 forward passes each.
OCCLUSION_ROWS = 16


def pooled(values: FloatMaps, shape: Shape) -> FloatMaps:
    """Maps ``[N, H, W]`` averaged over the cells of a coarser grid, ``[N, h, w]``."""
    coarse = F.adaptive_avg_pool2d(torch.from_numpy(np.array(values, dtype=np.float32))[:, None], shape)
    return np.asarray(coarse[:, 0].numpy(), dtype=np.float32)


def map_agreement(left: FloatMaps, right: FloatMaps, shape: Shape) -> FloatArray:
    """Spearman's correlation of each pair of maps over the cells of ``shape``, NaN where one says nothing; ``[N]``."""
    sound = points_somewhere(left) & points_somewhere(right)
    return np.where(sound, rank_correlations(pooled(left, shape), pooled(right, shape)), np.nan)


def agreement(
    names: str,
    maps: tuple[FloatMaps, FloatMaps],
    shapes: tuple[Shape, Shape],
    masks: ObjectMasks,
    limit: float,
    min_rows: int,
) -> tuple[Line, ...]:
    """Agreement of two methods: of their maps on the coarser grid of the two, and of their LDR over the images."""
    per_image = mean_of(map_agreement(*maps, min(shapes, key=math.prod)))
    ldr = correlation_of(*(density_ratios(one, masks, shape) for one, shape in zip(maps, shapes, strict=True)))
    told = ("the two point at different places", "the two rank the images differently")
    first = (
        at_least(names, f"{NAME}_maps", per_image, limit, told[0])
        if per_image.n >= min_rows
        else not_run(names, f"{NAME}_maps", TOO_FEW, per_image.n)
    )
    return first, ldr_line(names, f"{NAME}_ldr", ldr, masks, limit, min_rows, told[1])


def ldr_line(
    method: str, check: str, found: Estimated, masks: ObjectMasks, limit: float, min_rows: int, reason: str
) -> Line:
    """A correlation of density ratios against a limit; not run without masks or with too few of them."""
    if not (masks.n_object > 0).any():
        return not_run(method, check, NO_MASKS)
    if found.n < min_rows:
        return not_run(method, check, TOO_FEW, found.n)
    return at_least(method, check, found, limit, reason)


def occlusion_maps(module: nn.Module, inputs: Tensor, target: Tensor) -> tuple[FloatMaps, float]:
    """How far the target's logit falls when one of 8 x 8 windows is covered with the image's mean colour.

    Captum's occlusion (Zeiler & Fergus, ECCV 2014), forward passes only; the positive part, float32 ``[N, H, W]``,
    and the forward passes spent.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    pixels = inputs.to(device, model_dtype(module))
    window = (inputs.shape[1], *(max(1, -(-size // OCCLUSION_CELLS)) for size in inputs.shape[-2:]))
    mean = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    with evaluating(module), torch.no_grad():
        found = Occlusion(module).attribute(
            pixels, sliding_window_shapes=window, strides=window, baselines=mean, target=target.to(device)
        )
    steps = math.prod(-(-size // side) for size, side in zip(inputs.shape[-2:], window[1:], strict=True))
    falls = found.detach().float().cpu().sum(dim=1).clamp(min=0)
    return np.asarray(falls.numpy(), dtype=np.float32), float((steps + 1) * len(inputs))
