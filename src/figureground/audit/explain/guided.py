"""Deconvolution and guided backpropagation: pictures of what drives a network of ReLUs, and no evidence.

Both change the way back through a ReLU. What they show hardly depends on the weights of the upper layers (Adebayo et
al., "Sanity checks for saliency maps", NeurIPS 2018), so that an audit does not rest on them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from figureground.audit.explain.asked import Asked, cannot
from figureground.audit.explain.rectified import Deconvolved, Guided, Rectifying

_WOULD_DO = "saliency,input_x_gradient,integrated_gradients"


def deconvolution(asked: Asked) -> Tensor:
    """Size of what a deconvolutional network projects back, the largest over channels; ``[B, H, W]``.

    Only positive signals pass back through a ReLU, wherever it was open (Zeiler & Fergus, "Visualizing and
    understanding convolutional networks", ECCV 2014). Max pooling passes them to where the maximum was.
    """
    return _modified_gradient(asked, Deconvolved, "deconvolution").abs().amax(dim=1)


def guided_backprop(asked: Asked) -> Tensor:
    """Size of the guided gradient, the largest over channels; ``[B, H, W]``.

    Only positive signals pass back, and only where the ReLU was open (Springenberg et al., "Striving for simplicity",
    ICLR workshop 2015).
    """
    return _modified_gradient(asked, Guided, "guided_backprop").abs().amax(dim=1)


def guided_gradcam(asked: Asked) -> Tensor:
    """Guided gradient times the positive, enlarged Grad-CAM, the largest over channels; ``[B, H, W]``."""
    cam = asked.base.native["gradcam"].clamp(min=0)[:, None]
    grown = F.interpolate(cam, size=asked.pixels.shape[-2:], mode="bilinear", align_corners=False)
    return (_modified_gradient(asked, Guided, "guided_gradcam") * grown.to(asked.pixels.dtype)).abs().amax(dim=1)


def _modified_gradient(asked: Asked, rule: type[torch.autograd.Function], name: str) -> Tensor:
    """Gradient of the target's logit with another rule for every ReLU, ``[B, C, H, W]``.

    Raises
    ------
    UsageError
        No ReLU runs, or the network answers otherwise when its ReLUs are replaced.
    """
    if not asked.anatomy.relus:
        raise cannot(name, "a network in which no ReLU runs", "a network of ReLUs", _WOULD_DO)
    pixels = asked.pixels.clone().requires_grad_()
    with Rectifying(rule):
        logits = asked.answer(pixels)
    check_same(name, logits, asked, _WOULD_DO)
    chosen = logits.gather(1, asked.target[:, None]).sum()
    return torch.autograd.grad(chosen, pixels)[0].detach()


def check_same(method: str, logits: Tensor, asked: Asked, instead: str) -> None:
    """Refuse where a changed network no longer gives the logits of the model itself."""
    own = asked.base.logits.to(logits.dtype)
    loose = 1e-3 if _is_wide(asked) else 0.1
    near = torch.isclose(logits, own, rtol=loose, atol=loose * float(own.nan_to_num(0, 0, 0).abs().max()))
    if not bool((near | ~torch.isfinite(own)).all()):
        found = "a network that answers otherwise when its activations are replaced"
        raise cannot(method, found, "activations whose result alone is used", instead)


def _is_wide(asked: Asked) -> bool:
    parameters = [each for each in asked.model.parameters() if each.is_floating_point()]
    return all(each.dtype in (torch.float32, torch.float64) for each in parameters)
