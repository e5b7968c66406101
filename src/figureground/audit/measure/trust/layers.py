"""Does Grad-CAM say the same at the layer that would be chosen next?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import evaluating
from figureground.audit.explain.layers import CamLayer, usable_layers
from figureground.audit.explain.second_choice import second_choice
from figureground.audit.measure.masked_maps import FloatArray, MaskedMaps, ObjectMasks, Shape
from figureground.audit.measure.trust.agreement import ldr_line, map_agreement
from figureground.audit.measure.trust.estimates import correlation_of, mean_of
from figureground.audit.measure.trust.limits import Limits
from figureground.audit.measure.trust.lines import TOO_FEW, Line, at_least, not_run, reference
from figureground.audit.measure.trust.maps import FloatMaps
from figureground.audit.measure.trust.masks import density_ratios

NAME = "second_layer"
_RANKED, _PLACED = "a second layer ranks the images differently", "a second layer points at different places"


def earlier_layer(module: nn.Module, layer: CamLayer, inputs: Tensor) -> CamLayer | None:
    """The :func:`~figureground.audit.explain.second_choice.second_choice` after ``layer``, by one forward pass of the
    first input ``[1 or more, C, H, W]``; None where there is none."""
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with evaluating(module):
        return second_choice(module, layer, usable_layers(module, inputs[:1].to(device), keep=layer))


def compare_layers(
    method: str, maps: tuple[FloatMaps, FloatMaps], shapes: tuple[Shape, Shape], masks: ObjectMasks, limits: Limits
) -> tuple[Line, ...]:
    """The maps of two layers, ``[N, H, W]`` each and NaN where they say nothing: the chosen layer first.

    What decides is whether both rank the images alike by their density ratio; without masks, whether they point at the
    same places.
    """
    own, there = (density_ratios(one, masks, shape) for one, shape in zip(maps, shapes, strict=True))
    told = ldr_line(
        method, f"{NAME}_ldr", correlation_of(own, there), masks, limits.min_agreement, limits.min_rows, _RANKED
    )
    grid = min(shapes, key=lambda shape: shape[0] * shape[1])
    places = _places(method, map_agreement(*maps, grid), limits, decides=told.status == "not_run")
    if told.status == "not_run":
        return (told, places)
    return (told, places, reference(method, f"{NAME}_difference", mean_of(own - there)), *_shares(method, maps, masks))


def _places(method: str, correlations: FloatArray, limits: Limits, *, decides: bool) -> Line:
    found, name = mean_of(correlations), f"{NAME}_maps"
    if not decides:
        return reference(method, name, found)
    if found.n < limits.min_rows:
        return not_run(method, name, TOO_FEW, found.n)
    return at_least(method, name, found, limits.min_agreement, _PLACED)


def _shares(method: str, maps: tuple[FloatMaps, FloatMaps], masks: ObjectMasks) -> Sequence[Line]:
    """The share on the background by either layer and the difference, on the images that have both."""
    shares = [np.asarray(MaskedMaps.of(one, masks).background_share, dtype=np.float64) for one in maps]
    shares = [np.where(masks.n_object > 0, share, np.nan) for share in shares]
    both = np.isfinite(shares[0]) & np.isfinite(shares[1])
    chosen, second = (share[both] for share in shares)
    named = {"share_chosen": chosen, "share_second": second, "share_difference": chosen - second}
    return [reference(method, f"{NAME}_{name}", mean_of(values)) for name, values in named.items()]
