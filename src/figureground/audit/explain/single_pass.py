"""Saliency, Grad-CAM and logits from one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from captum.attr import Saliency
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.explanation import Explanation, MapKey
from figureground.audit.explain.layers import model_dtype
from figureground.errors import SubjectError, UsageError


@dataclass(frozen=True)
class SinglePass:
    """Explain a batch with exactly one forward and one backward pass through the model.

    Saliency [1]_ is the maximum over channels of ``|d logit / d input|``, through Captum's own ``Saliency``.
    Grad-CAM [2]_ is ``sum_c mean_hw(d logit / d A_c) * A_c`` over the channels ``A_c`` of the layer, kept
    signed at the resolution of the layer; its positive part is taken there, before the bilinear upsampling,
    because an upsampled negative value would eat into its positive neighbours.

    The call works for callers inside ``torch.no_grad`` or ``torch.inference_mode``, leaves the inputs, the
    parameters' ``grad`` and ``requires_grad`` as they were, and takes its hooks off again whatever happens.
    The model is run in the mode that it is in: put it into evaluation mode first. Inputs are cast to the
    dtype of the model.

    Parameters
    ----------
    layer : str or None
        Name of the module whose output Grad-CAM weighs, as in ``model.named_modules()``. It must run exactly
        once in a forward pass and give ``[B, C, h, w]``. None: saliency alone, for a model without such a layer.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", ICLR workshop 2014.
    .. [2] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
       localization", ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), head).eval()
    >>> explanation = SinglePass("0")(model, torch.rand(5, 3, 8, 8))
    >>> explanation.maps["gradcam", "positive"].shape, explanation.native["gradcam"].shape
    (torch.Size([5, 8, 8]), torch.Size([5, 6, 6]))
    """

    layer: str | None

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor | None = None) -> Explanation:
        """Explain every image of a batch.

        Parameters
        ----------
        model : nn.Module
            Gives logits ``[B, K]`` for ``inputs``.
        inputs : Tensor
            Float ``[B, C, H, W]``, normalised as the model expects.
        target : Tensor, optional
            int64 ``[B]`` in ``[0, K)``, the class to explain; by default the predicted one.

        Returns
        -------
        Explanation
            Non-finite logits are no error here; the caller looks at ``isfinite(logits)``.

        Raises
        ------
        UsageError
            The targets are not int64 ``[B]`` in range: libraries take -1 for the last class without a word.
        SubjectError
            The output is not ``[B, K]``, or the layer is absent, gives no map, runs more than
            once, or has no influence on the logit.
        """
        # An inference tensor cannot be saved for backward, so callers inside inference_mode need a true copy.
        with torch.inference_mode(False), torch.enable_grad():
            pixels = inputs.detach().to(model_dtype(model), copy=True).requires_grad_()
            wanted = None if target is None else target.clone()
            pass_ = _Pass(model, wanted)
            if self.layer is None:
                return _saliency(pass_, Saliency(pass_).attribute(pixels))
            with _captured(model, self.layer) as capture:
                gradient = Saliency(pass_).attribute(pixels)
            return _with_cam(_saliency(pass_, gradient), _grad_cam(capture, self.layer), self.layer)


def _saliency(pass_: _Pass, gradient: Tensor) -> Explanation:
    saliency = gradient.detach().float().amax(dim=1)
    return Explanation(
        logits=pass_.logits.float(),
        predicted=pass_.predicted,
        target=pass_.target,
        maps={("saliency", "absolute"): saliency},
        native={"saliency": saliency},
        layers={"saliency": "input"},
    )


def _with_cam(explained: Explanation, cam: Tensor, layer: str) -> Explanation:
    size = explained.native["saliency"].shape[-2:]
    maps: dict[MapKey, Tensor] = {
        ("gradcam", "positive"): _upsampled(cam.relu(), size),
        ("gradcam", "absolute"): _upsampled(cam.abs(), size),
    }
    return replace(
        explained,
        maps=explained.maps | maps,
        native=explained.native | {"gradcam": cam},
        layers=explained.layers | {"gradcam": layer},
    )


class _Pass:
    """The forward function that Captum calls once: it gives the target's logit and remembers the rest."""

    def __init__(self, model: nn.Module, wanted: Tensor | None) -> None:
        self.model, self.wanted = model, wanted
        self.logits: Tensor
        self.predicted: Tensor
        self.target: Tensor

    def __call__(self, pixels: Tensor) -> Tensor:
        # A model may preprocess in place, which autograd refuses on the leaf that we differentiate against.
        output = checked_logits(self.model(pixels.clone()), len(pixels))
        self.logits = output.detach()
        self.predicted = self.logits.argmax(dim=1)
        self.target = self.predicted if self.wanted is None else checked_target(self.wanted, output)
        if not output.requires_grad:
            raise SubjectError(
                "MODEL_NO_GRADIENT",
                "model output",
                found="logits without a gradient",
                expected="logits that depend differentiably on the input",
                fix="remove no_grad, detach or argmax from the model's forward",
            )
        return output.gather(1, self.target[:, None]).squeeze(1)


@dataclass(eq=False)
class _Capture:
    activations: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)


@contextmanager
def _captured(model: nn.Module, layer: str) -> Iterator[_Capture]:
    capture = _Capture()

    def keep(_module: nn.Module, _arguments: Any, output: Any) -> Tensor:
        activation = _checked_activation(output, layer)
        capture.activations.append(activation.detach())
        if activation.requires_grad:
            activation.register_hook(capture.gradients.append)  # type: ignore[no-untyped-call]
        # What follows may work in place on the output (DenseNet's ReLU does) and would overwrite our copy.
        return activation.clone()

    handle = _module_named(model, layer).register_forward_hook(keep)
    try:
        yield capture
    finally:
        handle.remove()


def _grad_cam(capture: _Capture, layer: str) -> Tensor:
    if len(capture.activations) != 1 or len(capture.gradients) != 1:
        raise SubjectError(
            "LAYER_CALLS",
            f"layer {layer}",
            found=f"{len(capture.activations)} forward and {len(capture.gradients)} backward calls",
            expected="exactly one of each",
            fix="name a layer that runs once and feeds the logits",
        )
    weights = capture.gradients[0].mean(dim=(2, 3), keepdim=True)
    return (weights * capture.activations[0]).sum(dim=1).detach().float()


def _upsampled(cam: Tensor, size: torch.Size) -> Tensor:
    grown = F.interpolate(cam[:, None], size=tuple(size), mode="bilinear", align_corners=False)
    return grown[:, 0].clamp(min=0)


def checked_logits(output: Any, rows: int) -> Tensor:
    """The output itself where it is ``[B, K]``; otherwise a SubjectError naming its shape."""
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == rows and output.shape[1] >= 1:
        return output
    found = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise SubjectError(
        "MODEL_OUTPUT",
        "model output",
        found=found,
        expected=f"logits [{rows}, K]",
        fix="wrap the model so that it returns one logit for each class or finding",
    )


def checked_target(target: Tensor, logits: Tensor) -> Tensor:
    """The targets themselves where they are int64 ``[B]`` in ``[0, K)``; otherwise a UsageError."""
    rows, classes = logits.shape
    if target.dtype != torch.int64 or target.shape != (rows,):
        found = f"{target.dtype} {list(target.shape)}"
    elif rows and not (int(target.min()) >= 0 and int(target.max()) < classes):
        found = f"values from {int(target.min())} to {int(target.max())}"
    else:
        return target.to(logits.device)
    raise UsageError(
        "TARGET",
        "target",
        found=found,
        expected=f"int64 [{rows}] with 0 <= target < {classes}",
        fix="give the index of a class of the model for every image",
    )


def _checked_activation(output: Any, layer: str) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4:
        return output
    found = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise SubjectError(
        "LAYER_OUTPUT",
        f"layer {layer}",
        found=found,
        expected="[B, C, h, w]",
        fix="name a convolutional layer",
    )


def _module_named(model: nn.Module, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer not in modules:
        raise SubjectError(
            "LAYER_UNKNOWN",
            f"layer {layer}",
            found="no module of that name",
            expected="a name from model.named_modules()",
            fix="choose_layer(model, inputs) finds one",
        )
    return modules[layer]
