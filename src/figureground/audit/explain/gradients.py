"""Maps from many gradients of one image: along a path, or over noise. Evaluated in parts that fit into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from captum.attr import IntegratedGradients, Saliency
from torch import Tensor

from figureground.audit.explain.asked import Asked

#: From an image ``[C, H, W]``, its baseline and a generator: what is shown, and by what its gradient is multiplied.
Draw = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def integrated_gradients(asked: Asked) -> Tensor:
    """Gradients along the straight path from the baseline, times the difference; summed over channels ``[B, H, W]``.

    Captum's, with the Gauss-Legendre rule. The sum over a map is the logit less that of the baseline, up to the error
    of the rule (Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017).
    """
    method, size, baseline = IntegratedGradients(asked.answer), asked.at_once, asked.baseline
    parts = [
        method.attribute(
            asked.pixels[part],
            baselines=baseline[part],
            target=asked.target[part],
            n_steps=asked.options.steps,
            internal_batch_size=size,
        )
        for part in asked.parts()
    ]
    return torch.cat(parts).detach().sum(dim=1)


def smoothgrad(asked: Asked) -> Tensor:
    """Size of the mean gradient over noisy copies, the largest over channels; ``[B, H, W]``.

    The noise is normal, its standard deviation a share of the picture's range of values (Smilkov et al., "SmoothGrad:
    removing noise by adding noise", 2017).
    """
    one = torch.ones((), dtype=asked.pixels.dtype, device=asked.pixels.device)
    mean = _mean_gradient(asked, lambda image, _, drawn: (_noisy(image, asked.options.noise, drawn), one))
    return mean.abs().amax(dim=1)


def gradient_shap(asked: Asked) -> Tensor:
    """Expected gradients at random points between the baseline and noisy copies, times the difference; ``[B, H, W]``.

    Captum's ``GradientShap`` with one baseline (Lundberg & Lee, NeurIPS 2017; Erion et al., Nature Machine
    Intelligence 3, 2021).
    """

    def between(image: Tensor, baseline: Tensor, drawn: torch.Generator) -> tuple[Tensor, Tensor]:
        noisy = _noisy(image, asked.options.noise, drawn)
        at = torch.rand((), generator=drawn, dtype=torch.float64).to(image.device, image.dtype)
        return at * noisy + (1 - at) * baseline, noisy - baseline

    return _mean_gradient(asked, between).sum(dim=1)


def generator_of(image: Tensor, seed: int) -> torch.Generator:
    """A generator that depends on the picture and the seed alone, so that the rest of the batch does not matter."""
    pixels = image.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
    digest = hashlib.sha256(seed.to_bytes(8, "little") + pixels).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


def _noisy(image: Tensor, noise: float, drawn: torch.Generator) -> Tensor:
    spread = noise * (image.max() - image.min())
    # Drawn on the CPU in one dtype: the same numbers on every device.
    return image + spread * torch.randn(image.shape, generator=drawn).to(image.device, image.dtype)


def _mean_gradient(asked: Asked, draw: Draw) -> Tensor:
    """Mean over the samples of gradient times factor, ``[B, C, H, W]``."""
    total, method = torch.zeros_like(asked.pixels), Saliency(asked.answer)
    drawn, size = _drawn(asked, draw), asked.at_once
    while part := list(islice(drawn, size)):
        rows = torch.tensor([row for row, _, _ in part], device=total.device)
        shown = torch.stack([image for _, image, _ in part])
        gradient = method.attribute(shown.requires_grad_(), target=asked.target[rows], abs=False).detach()
        factors = torch.stack([factor.expand_as(total[0]) for _, _, factor in part])
        total.index_add_(0, rows, gradient * factors)
    return total / asked.options.samples


def _drawn(asked: Asked, draw: Draw) -> Iterator[tuple[int, Tensor, Tensor]]:
    for row, (image, baseline) in enumerate(zip(asked.pixels, asked.baseline, strict=True)):
        generator = generator_of(image, asked.seed)
        for _ in range(asked.options.samples):
            yield row, *draw(image, baseline, generator)
