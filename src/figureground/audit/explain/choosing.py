"""Which maps can be had of a model: of its layers, of its gradients, or of its answers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from figureground.audit.declared.config import AuditConfig
from figureground.audit.explain.explanation import Explainer
from figureground.audit.explain.layers import CamLayer, find_layer, model_dtype
from figureground.audit.explain.occlusion import OcclusionMaps
from figureground.audit.explain.own import OwnMethod
from figureground.audit.explain.registry import CAM_METHODS, explainer_for
from figureground.audit.explain.several import Several
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.methods.reported import Access
from figureground.errors import UsageError

#: What a forward pass of somebody else's code raises when the input does not suit it.
FORWARD_ERRORS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)

#: A forward and a backward pass cost about as much as this many forward passes.
SINGLE_PASS_COST = 3.0


@dataclass(frozen=True)
class Explaining:
    """How a model is explained.

    Attributes
    ----------
    explainer : Explainer
    layer : CamLayer or None
        That Grad-CAM looks at; None where it cannot be had, or was left out.
    access : {"layers", "gradients", "answers"}
        What can be had of the model, as it showed itself.
    """

    explainer: Explainer
    layer: CamLayer | None
    access: Access

    @property
    def as_given(self) -> bool:
        """Whether a method looks at the model's own modules, so that no copy with others may take its place."""
        several = self.explainer
        return isinstance(several, Several) and bool(several.own or {"deeplift", "lrp"} & set(several.names))

    @property
    def parts(self) -> tuple[Explaining, ...]:
        """Methods that come with the logits, and methods that take passes of their own; only what there is."""
        if not isinstance(self.explainer, Several):
            return (self,)
        first, rest = (self.explainer.part(shared) for shared in (True, False))
        plain = [replace(self, explainer=first.first)] if first.names else []
        return (*plain, *([replace(self, explainer=rest, layer=None)] if rest.names or rest.own else []))

    def cost(self, height: int, width: int) -> float:
        """Forward-equivalents for one image."""
        if isinstance(self.explainer, OcclusionMaps | Several):
            return self.explainer.cost(height, width)
        return SINGLE_PASS_COST


def choose_explainer(
    module: nn.Module, sample: Tensor, access: Access, config: AuditConfig, own: Sequence[OwnMethod] = ()
) -> Explaining:
    """The explainer for what can be had of a model.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    sample : Tensor
        Float ``[1, C, H, W]``, normalised.
    access : {"layers", "gradients", "answers"}
        As far as its type says; a model whose answers have no gradient is known by its answers.
    config : AuditConfig
        Of which ``methods`` and their settings, ``layer`` and ``layout`` are looked at; by default a layer is chosen.
    own : sequence of OwnMethod
        Methods of the caller's.

    Raises
    ------
    UsageError
        A layer is named, and the model has none that could be looked at; or a method is not right for the model.
    """
    seen = access if access == "answers" or _has_gradient(module, sample) else "answers"
    if seen != "layers" and config.layer is not None:
        raise _no_layers(config.layer, seen)
    looks = seen == "layers" and any(name in CAM_METHODS for name in config.methods)
    layer = find_layer(module, sample, config.layer, config.layout) if looks else None
    plain = set(config.methods) <= {"saliency", "gradcam"} and not own
    if plain and seen != "answers":
        return Explaining(SinglePass.at(layer), layer, seen)
    names = _had(config.methods, seen)
    if plain or (names == ("occlusion",) and not own):
        return Explaining(OcclusionMaps(config.method_options.cells, config.method_options.baseline), None, seen)
    explainer = explainer_for(
        [*names, *own], module, layer, config.method_options, access=seen, seed=config.seed, sample=sample
    )
    return Explaining(explainer, layer, seen)


def _had(methods: Sequence[str], access: Access) -> tuple[str, ...]:
    """The named methods but for those of the default that cannot be had of the model; of answers alone occlusion."""
    if access == "answers":
        asked = tuple(name for name in methods if name not in ("saliency", "gradcam"))
        return asked or ("occlusion",)
    return tuple(name for name in methods if access == "layers" or name != "gradcam")


def _has_gradient(module: nn.Module, sample: Tensor) -> bool:
    """Whether the answers depend on the input in a way that autograd can follow."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            pixels = sample.detach().to(model_dtype(module), copy=True).requires_grad_()
            output = module(pixels.clone())
    except FORWARD_ERRORS:  # told by the probes, which say more
        return True
    return not isinstance(output, Tensor) or not output.is_floating_point() or output.requires_grad


def _no_layers(layer: str, access: Access) -> UsageError:
    had = "its answers alone" if access == "answers" else "its answers and their gradients"
    return UsageError(
        "LAYER_NONE",
        f"layer {layer}",
        found=f"a model of which {had} can be had",
        expected="a torch module, in whose layers Grad-CAM can look",
        fix="leave --layer out, or give the weights and --model-class",
    )
