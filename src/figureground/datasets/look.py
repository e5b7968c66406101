"""Properties of a whole picture, and how to give them to another: tint, brightness, sharpness, compression.

Pure functions on tensors. Images are float ``[B, C, H, W]`` in [0, 1]; regions are bool ``[B, H, W]`` and say where a
property is *read*; it is *given* to the whole picture. A picture can be made less sharp or more compressed, never the
reverse: what is lost is not invented.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

#: Gains are kept within this factor of 1.
MAX_GAIN = 2.0
#: Standard deviations, in pixels, of the blurs that are tried.
SIGMAS = (0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5, 1.9, 2.4, 3.0)
#: JPEG qualities that are tried, best first.
QUALITIES = (90, 75, 60, 45, 35, 27, 20, 15, 11, 8)
_EPS = 1e-4


def mean_colour(images: Tensor, region: Tensor) -> Tensor:
    """Mean of each channel over the region, float ``[B, C]``; over the whole picture where the region is empty."""
    where = _or_all(region)[:, None].to(images.dtype)
    return (images * where).sum(dim=(2, 3)) / where.sum(dim=(2, 3))


def tint_of(images: Tensor, region: Tensor) -> Tensor:
    """Share of each channel in the mean colour, times the number of channels: float ``[B, C]``, 1 for grey."""
    mean = mean_colour(images, region).clamp(min=_EPS)
    return mean / mean.mean(dim=1, keepdim=True)


def brightness_of(images: Tensor, region: Tensor) -> Tensor:
    """Mean over channels and region, float ``[B]`` in [0, 1]."""
    return mean_colour(images, region).mean(dim=1)


def retint(images: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
    """Channel gains ``wanted / own`` (``[B, C]``), with the brightness of the whole picture kept."""
    gain = (wanted / own).clamp(1 / MAX_GAIN, MAX_GAIN)[:, :, None, None]
    tinted = images * gain
    before, after = images.mean(dim=(1, 2, 3)), tinted.mean(dim=(1, 2, 3)).clamp(min=_EPS)
    return (tinted * (before / after)[:, None, None, None]).clamp(0, 1)


def relight(images: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
    """One gain ``wanted / own`` (``[B]``) for all channels."""
    gain = (wanted.clamp(min=_EPS) / own.clamp(min=_EPS)).clamp(1 / MAX_GAIN, MAX_GAIN)
    return (images * gain[:, None, None, None]).clamp(0, 1)


def sharpness_of(images: Tensor, region: Tensor) -> Tensor:
    """Natural log of the energy of the finest details over that of the next coarser ones, float ``[B]``.

    A ratio of neighbouring bands: contrast cancels, and so does most of what is shown. Blurring lowers it, since it
    takes the finest details first.
    """
    grey = images.mean(dim=1, keepdim=True)
    fine, coarse = blur(grey, 0.6), blur(grey, 1.4)
    where = _or_all(region)[:, None].to(images.dtype)
    first = ((grey - fine).abs() * where).sum(dim=(1, 2, 3))
    second = ((fine - coarse).abs() * where).sum(dim=(1, 2, 3))
    return torch.log((first + _EPS) / (second + _EPS))


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, edges reflected."""
    size = 2 * max(1, int(np.ceil(3 * sigma))) + 1
    limit = 2 * (min(images.shape[-2:]) // 2) - 1  # reflection needs more pixels than the kernel's half
    size = max(1, min(size, limit))
    blurred: Tensor = tv.gaussian_blur(images, [size, size], [sigma, sigma])
    return blurred


def blurred_to(images: Tensor, region: Tensor, wanted: Tensor) -> Tensor:
    """Each picture blurred just so much that its sharpness, read in the region, is at most ``wanted`` (``[B]``)."""
    result, open_ = images.clone(), sharpness_of(images, region) > wanted
    for sigma in SIGMAS:
        if not open_.any():
            return result
        tried = blur(images[open_], sigma)
        result[open_] = tried
        still = sharpness_of(tried, region[open_]) > wanted[open_]
        open_ = open_.clone()
        open_[open_.clone()] = still
    return result


def blockiness_of(images: Tensor, region: Tensor) -> Tensor:
    """Natural log of the steps across the lines of the 8-pixel grid over the steps elsewhere, float ``[B]``; 0 = none.

    The traces of JPEG at the picture's own grid (Wang, Sheikh & Bovik, ICIP 2002, measure the same steps).
    """
    grey, where = images.mean(dim=1), _or_all(region)
    return (_grid_steps(grey, where) + _grid_steps(grey.transpose(1, 2), where.transpose(1, 2))) / 2


def compressed_to(images: Tensor, region: Tensor, wanted: Tensor) -> Tensor:
    """Each picture compressed just so much that its blockiness in the region is at least ``wanted`` (``[B]``)."""
    result, open_ = images.clone(), blockiness_of(images, region) < wanted
    for quality in QUALITIES:
        if not open_.any():
            return result
        tried = jpeg(images[open_], quality)
        result[open_] = tried
        still = blockiness_of(tried, region[open_]) < wanted[open_]
        open_ = open_.clone()
        open_[open_.clone()] = still
    return result


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Through JPEG and back at this quality (1 to 95), without colour subsampling, on the picture's own grid."""
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    through = np.stack([_through_jpeg(picture, quality) for picture in pixels])
    return torch.from_numpy(through).to(images.device).permute(0, 3, 1, 2).to(images.dtype) / 255


def with_noise(images: Tensor, amount: Tensor, noise: Tensor) -> Tensor:
    """White noise of root mean square ``amount`` (``[B]``) added; ``noise`` is standard normal ``[B, C, H, W]``."""
    return (images + noise * amount[:, None, None, None]).clamp(0, 1)


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    grey = picture.shape[2] == 1
    stream = io.BytesIO()
    Image.fromarray(picture[..., 0] if grey else picture).save(stream, "JPEG", quality=quality, subsampling=0)
    stream.seek(0)
    with Image.open(stream) as image:
        found = np.array(image)
    return found[..., None] if grey else found


def _grid_steps(grey: Tensor, where: Tensor) -> Tensor:
    step = (grey[:, :, 1:] - grey[:, :, :-1]).abs()
    both = (where[:, :, 1:] & where[:, :, :-1]).to(grey.dtype)
    on_line = torch.zeros(step.shape[-1], device=grey.device, dtype=grey.dtype)
    on_line[7::8] = 1
    line = (step * both * on_line).sum(dim=(1, 2)) / (both * on_line).sum(dim=(1, 2)).clamp(min=1)
    rest = (step * both * (1 - on_line)).sum(dim=(1, 2)) / (both * (1 - on_line)).sum(dim=(1, 2)).clamp(min=1)
    return torch.log((line + _EPS) / (rest + _EPS))


def _or_all(region: Tensor) -> Tensor:
    empty = ~region.flatten(1).any(dim=1)
    return region | empty[:, None, None]
