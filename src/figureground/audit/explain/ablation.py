"""Maps from answers alone: how far the logit falls when cells or segments show nothing."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, Occlusion
from torch import Tensor

from figureground.audit.explain.asked import Asked
from figureground.errors import UsageError


def occlusion(asked: Asked) -> Tensor:
    """Falls by cell, ``[B, h, w]``: Captum's occlusion with windows that do not overlap."""
    window = (asked.pixels.shape[1], *(asked.options.side(size) for size in asked.pixels.shape[-2:]))
    baseline = asked.baseline
    with torch.no_grad():
        parts = [
            Occlusion(asked.answer).attribute(
                asked.pixels[part],
                sliding_window_shapes=window,
                strides=window,
                baselines=baseline[part],
                target=asked.target[part],
                perturbations_per_eval=_together(asked, part),
            )
            for part in asked.parts()
        ]
    # Every pixel of a window has the window's value, and so has its first.
    return torch.cat(parts).detach()[:, 0, :: window[1], :: window[2]]


def feature_ablation(asked: Asked) -> Tensor:
    """Falls by segment, at every pixel of it, ``[B, H, W]``; by cell, ``[B, h, w]``, where a grid is ablated."""
    segments, baseline = segments_of(asked), asked.baseline
    with torch.no_grad():
        parts = [
            FeatureAblation(asked.answer).attribute(
                asked.pixels[part],
                feature_mask=segments[part][:, None],
                baselines=baseline[part],
                target=asked.target[part],
                perturbations_per_eval=_together(asked, part),
            )
            for part in asked.parts()
        ]
    falls = torch.cat(parts).detach()[:, 0]
    if asked.options.segments == "superpixels":
        return falls
    height, width = (asked.options.side(size) for size in falls.shape[-2:])
    return falls[:, ::height, ::width]


def segments_of(asked: Asked) -> Tensor:
    """Number of the segment of every pixel, int64 ``[B, H, W]``, from 0 in every image."""
    shape = asked.pixels.shape[-2:]
    if asked.options.segments == "superpixels":
        return torch.stack([_superpixels(image, asked.options.superpixels) for image in asked.pixels])
    rows, columns = (torch.arange(size) // asked.options.side(size) for size in shape)
    grid = rows[:, None] * (int(columns.max()) + 1) + columns[None, :]
    return grid.to(asked.pixels.device).expand(len(asked.pixels), *shape)


def _together(asked: Asked, part: slice) -> int:
    images: int = part.stop - part.start
    return max(1, asked.at_once // images)


def _superpixels(image: Tensor, count: int) -> Tensor:
    """SLIC segments of one image (Achanta et al., IEEE TPAMI 34, 2012), at most ``count``."""
    values = image.detach().to("cpu", torch.float64).permute(1, 2, 0).numpy()
    low, high = values.min(), values.max()
    scaled = (values - low) / (high - low if high > low else 1.0)
    found = _slic()(scaled, n_segments=count, start_label=0, channel_axis=2, convert2lab=scaled.shape[2] == 3)
    _, numbered = np.unique(found, return_inverse=True)
    return torch.from_numpy(numbered.reshape(found.shape).astype(np.int64)).to(image.device)


def _slic() -> Any:
    try:
        return importlib.import_module("skimage.segmentation").slic
    except ImportError as error:
        raise UsageError(
            "SUPERPIXELS",
            "method feature_ablation",
            found="superpixels asked for, and no scikit-image",
            expected="scikit-image, which finds them",
            fix='pip install "figureground[superpixels]", or --method-option segments=grid',
        ) from error
