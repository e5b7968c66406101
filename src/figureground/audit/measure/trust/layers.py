"""Does Grad-CAM say the same one resolution earlier?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import evaluating
from figureground.audit.explain.layers import CamLayer, usable_layers

NAME = "second_layer"


def earlier_layer(module: nn.Module, layer: CamLayer, inputs: Tensor) -> CamLayer | None:
    """The last layer before ``layer`` whose map has another resolution; None where there is none.

    "Before" is in order of completion of one forward pass of the first input ``[1 or more, C, H, W]``, among the
    layers of :func:`~figureground.audit.explain.layers.usable_layers`. A vision transformer keeps one resolution from
    its first block to its last, and has none.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with evaluating(module):
        found = usable_layers(module, inputs[:1].to(device), keep=layer)
    names = [each.name for each, _ in found]
    if layer.name not in names:
        return None
    at = names.index(layer.name)
    return next((each for each, cells in reversed(found[:at]) if cells != found[at][1]), None)
