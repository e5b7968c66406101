"""Several attribution methods as one explainer, which takes no pass twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.ablation import feature_ablation, occlusion
from figureground.audit.explain.anatomy import Anatomies
from figureground.audit.explain.asked import Asked
from figureground.audit.explain.cam import cam
from figureground.audit.explain.explanation import Explanation, MapKey
from figureground.audit.explain.gradients import gradient_shap, integrated_gradients, smoothgrad
from figureground.audit.explain.guided import deconvolution, guided_backprop, guided_gradcam
from figureground.audit.explain.occlusion import Answers, OcclusionMaps
from figureground.audit.explain.own import OwnMethod, own_maps, sign_of
from figureground.audit.explain.relevance import deeplift, lrp
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import BACKWARD_COST, BY_NAME, SPECS, Sign

#: A method that does not come from the single pass: signed maps ``[B, h, w]`` at their own resolution.
Attribution = Callable[[Asked], Tensor]
ATTRIBUTIONS: Mapping[str, Attribution] = {
    "cam": cam,
    "integrated_gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "gradient_shap": gradient_shap,
    "deeplift": deeplift,
    "lrp": lrp,
    "occlusion": occlusion,
    "feature_ablation": feature_ablation,
    "deconvolution": deconvolution,
    "guided_backprop": guided_backprop,
    "guided_gradcam": guided_gradcam,
}
SHARED = tuple(spec.name for spec in SPECS if spec.shared)
_PLACES = {"cam": "what is pooled at the end", "guided_gradcam": "input"}
#: What an own method is taken to cost, where it does not say so.
OWN_COST = 3.0


@dataclass(frozen=True)
class Several:
    """Explain a batch by several methods; those that can share the single pass.

    Attributes
    ----------
    first : SinglePass, OcclusionMaps or Answers
        Gives the logits, and the maps that come with them.
    names : tuple of str
        Methods whose maps are handed over, in this order; saliency is among them only where it is named.
    own : tuple of OwnMethod
        Methods of the caller's.
    options : MethodOptions
    seed : int
        Of noise, together with each picture's own pixels.
    """

    first: SinglePass | OcclusionMaps | Answers
    names: tuple[str, ...]
    own: tuple[OwnMethod, ...] = ()
    options: MethodOptions = field(default_factory=MethodOptions)
    seed: int = 0
    anatomies: Anatomies = field(default_factory=Anatomies, compare=False, repr=False)

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor | None = None) -> Explanation:
        """Explain every image of a batch; arguments and errors as for :class:`SinglePass`, and those of a method.

        Raises
        ------
        UsageError
            A method is not right for this model.
        """
        base = self.first(model, inputs, target)
        with torch.inference_mode(False), torch.enable_grad():
            asked = Asked.of(model, inputs, base, self.options, self.seed, self.anatomies)
            found = {name: ATTRIBUTIONS[name](asked) for name in self.names if name not in base.native}
            added = {each.name: own_maps(each, model, asked.pixels, base.target) for each in self.own}
        size = (int(inputs.shape[-2]), int(inputs.shape[-1]))
        return self._joined(base, {name: values.float() for name, values in (found | added).items()}, size)

    def cost(self, height: int, width: int) -> float:
        """Forward-equivalents for one image of this size."""
        shared = 1.0 + BACKWARD_COST if isinstance(self.first, SinglePass) else self.first.cost(height, width)
        own = sum(float(getattr(each, "cost", OWN_COST)) for each in self.own)
        return shared + own + sum(self._cost(name, height, width) for name in self.part(shared=False).names)

    def part(self, shared: bool) -> Several:
        """The methods that come with the logits, or the other ones."""
        with_logits = SHARED if isinstance(self.first, SinglePass) else ("occlusion",)
        names = tuple(name for name in self.names if (name in with_logits) is shared)
        return replace(self, names=names, own=() if shared else self.own)

    def _cost(self, name: str, height: int, width: int) -> float:
        alone = BY_NAME[name].cost(self.options, height, width)
        return alone - (1.0 + BACKWARD_COST) if name == "guided_gradcam" else alone  # Grad-CAM is there

    def _joined(self, base: Explanation, found: Mapping[str, Tensor], size: tuple[int, int]) -> Explanation:
        maps: dict[MapKey, Tensor] = {}
        signs = {each.name: (sign_of(each),) for each in self.own}
        for name in (*self.names, *signs):
            if name in found:
                kept: tuple[Sign, ...] = signs[name] if name in signs else BY_NAME[name].signs
                maps |= {(name, sign): _kept(found[name], sign, size) for sign in kept}
            else:
                maps |= {key: value for key, value in base.maps.items() if key[0] == name}
        native = {name: found[name] if name in found else base.native[name] for name, _ in maps}
        places = {name: base.layers.get(name, _PLACES.get(name, "input")) for name in native}
        return replace(base, maps=maps, native=native, layers=places)


def _kept(signed: Tensor, sign: Sign, size: tuple[int, int]) -> Tensor:
    # The sign is taken before enlarging: a negative value would eat into its positive neighbours.
    return enlarged(signed.abs() if sign == "absolute" else signed.clamp(min=0), size)


def enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Non-negative maps ``[B, h, w]`` at the input's size, bilinear."""
    if values.shape[-2:] == size:
        return values
    return F.interpolate(values[:, None], size=size, mode="bilinear", align_corners=False)[:, 0].clamp(min=0)
