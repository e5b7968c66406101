"""The attribution methods by name, and one explainer for several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.ablation import feature_ablation, occlusion
from figureground.audit.explain.anatomy import Anatomies
from figureground.audit.explain.asked import Asked
from figureground.audit.explain.cam import cam
from figureground.audit.explain.explanation import Explainer, Explanation, MapKey
from figureground.audit.explain.gradients import gradient_shap, integrated_gradients, smoothgrad
from figureground.audit.explain.guided import deconvolution, guided_backprop, guided_gradcam
from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.occlusion import Answers, OcclusionMaps
from figureground.audit.explain.own import OwnMethod, as_own, check_alone, own_maps, sign_of
from figureground.audit.explain.relevance import deeplift, lrp
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.method_options import MethodOptions
from figureground.audit.method_specs import BACKWARD_COST, BY_NAME, SPECS, Access, Sign
from figureground.errors import UsageError

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
#: They look at the layer of Grad-CAM.
CAM_METHODS = ("gradcam", "hirescam", "guided_gradcam")
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


def explainer_for(
    methods: Sequence[str | OwnMethod | type],
    model: nn.Module | None = None,
    layer: CamLayer | None = None,
    options: MethodOptions | None = None,
    *,
    access: Access = "layers",
    seed: int = 0,
    sample: Tensor | None = None,
) -> Explainer:
    """One explainer for methods by name, and for a caller's own.

    Parameters
    ----------
    methods : sequence of str, or of a caller's own methods
        Names as in :data:`~figureground.audit.method_specs.SPECS`, and objects or classes like
        :class:`~figureground.audit.explain.own.OwnMethod`.
    model : nn.Module, optional
        In evaluation mode; only looked at together with ``sample``.
    layer : CamLayer, optional
        Where the methods of class activation look; see :func:`~figureground.audit.explain.layers.find_layer`.
    options : MethodOptions, optional
    access : {"layers", "gradients", "answers"}
        What can be had of the model.
    seed : int
        Of noise, together with each picture's own pixels.
    sample : Tensor, optional
        Float ``[B, C, H, W]``: the explainer is tried on it, so that a method that is not right for the model is
        refused now rather than in the first batch.

    Returns
    -------
    Explainer
        Called with a model, a batch and classes; it hands over maps of the named methods only.

    Raises
    ------
    UsageError
        A name is unknown, a method needs more of the model than can be had, or a layer; or it is not right for it.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> explain = explainer_for(["gradcam", "integrated_gradients"], model.eval(), CamLayer("1"))
    >>> sorted(explain(model, torch.rand(2, 3, 8, 8)).maps)[:2]
    [('gradcam', 'absolute'), ('gradcam', 'positive')]
    """
    names = tuple(dict.fromkeys(each for each in methods if isinstance(each, str)))
    own = tuple(as_own(each) for each in methods if not isinstance(each, str))
    settings = options or MethodOptions()
    for name in names:
        _check(name, access, layer)
    _check_twice(names, settings)
    if access == "answers":
        first: SinglePass | OcclusionMaps | Answers = Answers()
        if "occlusion" in names:
            first = OcclusionMaps(settings.cells)
    else:
        more = tuple(name for name in ("input_x_gradient", "hirescam") if name in names)
        first = SinglePass.at(layer if any(name in CAM_METHODS for name in names) else None, more)
    explainer = Several(first, names, own, settings, seed)
    if model is not None and sample is not None:
        _try(explainer, model, sample)
    return explainer


def _try(explainer: Several, model: nn.Module, sample: Tensor) -> None:
    """The explainer on a small batch, and a caller's methods also on each picture of it alone."""
    pair = torch.cat([sample[:1], sample[:1].flip(-1) * 0.5])
    base = explainer(model, pair)
    with torch.inference_mode(False), torch.enable_grad():
        for each in explainer.own:
            check_alone(each, model, pair.clone(), base.target)


def _check(name: str, access: Access, layer: CamLayer | None) -> None:
    if name not in BY_NAME:
        near = get_close_matches(name, BY_NAME, n=1)
        fix = f"did you mean {near[0]}?" if near else "name one of these"
        raise UsageError("METHODS", "methods", found=repr(name), expected=f"one of {', '.join(BY_NAME)}", fix=fix)
    if not BY_NAME[name].had_of(access):
        had = "its answers alone" if access == "answers" else "its answers and their gradients"
        would_do = ",".join(spec.name for spec in SPECS if spec.had_of(access) and spec.use == "evidence")
        raise UsageError(
            "METHOD_ACCESS",
            f"method {name}",
            found=f"a model of which {had} can be had",
            expected=f"one whose {BY_NAME[name].access} can be",
            fix=f"--methods {would_do}, or give the weights and --model-class",
        )
    if name in CAM_METHODS and layer is None:
        expected = "a layer that gives a map"
        raise UsageError("LAYER_NONE", f"method {name}", found="no layer", expected=expected, fix="name one by --layer")


def _check_twice(names: tuple[str, ...], options: MethodOptions) -> None:
    if {"occlusion", "feature_ablation"} <= set(names) and options.segments == "grid":
        raise UsageError(
            "METHODS",
            "methods",
            found="occlusion, and feature ablation on the same grid",
            expected="two measurements, not one twice",
            fix="--method-option segments=superpixels, or leave one of the two out",
        )
