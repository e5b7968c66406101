"""The attribution methods by name: one explainer for those that are asked for, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from figureground.audit.explain.explanation import Explainer
from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.occlusion import Answers, OcclusionMaps
from figureground.audit.explain.own import OwnMethod, as_own, check_alone
from figureground.audit.explain.several import Several
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import BY_NAME, SPECS, Access
from figureground.errors import UsageError

#: They look at the layer of Grad-CAM.
CAM_METHODS = ("gradcam", "hirescam", "guided_gradcam")


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
        Names as in :data:`~figureground.audit.methods.specs.SPECS`, and objects or classes like
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
            first = OcclusionMaps(settings.cells, settings.baseline)
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
