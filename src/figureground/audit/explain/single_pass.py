"""Saliency, Grad-CAM and logits from one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.declared.config import Layout
from figureground.audit.explain.explanation import Explanation, MapKey
from figureground.audit.explain.layers import CamLayer, model_dtype
from figureground.audit.forward.layouts import Size, as_map, cells_of
from figureground.errors import SubjectError, UsageError

_PRODUCT = "input_x_gradient"


@dataclass(frozen=True)
class SinglePass:
    """Explain a batch with exactly one forward and one backward pass through the model.

    Saliency [1]_ is the maximum over channels of ``|d logit / d input|``, equal to Captum's ``Saliency``.
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
        Name of the module whose output Grad-CAM weighs, as in ``model.named_modules()``. Where it runs more than once
        in a forward pass, its last run is weighed. None leaves Grad-CAM out.
    layout : {"NCHW", "NHWC", "tokens"}
        How that output is read as a map ``[B, C, h, w]``. Tokens ``[B, N, D]`` that stand before those of the patches
        are left out.
    more : tuple of {"input_x_gradient", "hirescam"}
        Maps that the same two passes give. Input x Gradient is ``sum_c x_c * d logit / d x_c``; HiResCAM [3]_ is
        ``sum_c d logit / d A_c * A_c`` at every cell, without the mean over cells.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", ICLR workshop 2014.
    .. [2] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
       localization", ICCV 2017.
    .. [3] R. L. Draelos, L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
       networks", arXiv:2011.08891, 2020.

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
    layout: Layout = "NCHW"
    more: tuple[str, ...] = ()

    @classmethod
    def at(cls, layer: CamLayer | None, more: tuple[str, ...] = ()) -> SinglePass:
        """The explainer that looks at a layer; None leaves Grad-CAM out."""
        return cls(None, more=more) if layer is None else cls(layer.name, layer.layout, more)

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
            The output is not ``[B, K]``, or the layer is absent, gives no map, or has no influence on the logit.
        """
        # An inference tensor cannot be saved for backward, so callers inside inference_mode need a true copy.
        with torch.inference_mode(False), torch.enable_grad():
            pixels = inputs.detach().to(model_dtype(model), copy=inputs.is_inference()).requires_grad_()
            wanted = None if target is None else target.clone()
            pass_ = _Pass(model, wanted)
            capture = _Capture(self.layer or "input", self.layout, (pixels.shape[-2], pixels.shape[-1]))
            with _captured(model, self.layer, capture):
                gradient = _gradient(pass_(pixels), pixels).detach()
            signed = {"input_x_gradient": _products(gradient, pixels.detach())} if self._gives(_PRODUCT) else {}
            cams = {} if self.layer is None else {"gradcam": _grad_cam(capture)}
            cams |= {"hirescam": _hires_cam(capture)} if self._gives("hirescam") and self.layer is not None else {}
            return self._explanation(pass_, _strongest(gradient).float(), {**cams, **signed})

    def _gives(self, method: str) -> bool:
        return method in self.more

    def _explanation(self, pass_: _Pass, saliency: Tensor, signed: dict[str, Tensor]) -> Explanation:
        maps: dict[MapKey, Tensor] = {("saliency", "absolute"): saliency}
        native, layers = {"saliency": saliency}, {"saliency": "input"}
        for method, found in signed.items():
            maps[method, "positive"] = _upsampled(found.relu(), saliency.shape[-2:])
            maps[method, "absolute"] = _upsampled(found.abs(), saliency.shape[-2:])
            native[method], layers[method] = found, "input" if method == _PRODUCT else str(self.layer)
        return Explanation(
            logits=pass_.logits.float(),
            predicted=pass_.predicted,
            target=pass_.target,
            maps=maps,
            native=native,
            layers=layers,
        )


def _gradient(chosen: Tensor, pixels: Tensor) -> Tensor:
    """Of each image's logit, with respect to its own pixels; images do not see each other in evaluation mode."""
    (gradient,) = torch.autograd.grad(chosen.sum(), pixels, allow_unused=True)
    if gradient is None:
        raise _no_gradient("logits that do not depend on the input")
    return gradient


def _strongest(gradient: Tensor) -> Tensor:
    """Maximum of the absolute value over channels, ``[B, H, W]``, without the copy that ``abs`` of all would be."""
    found = gradient[:, 0].abs()
    for channel in range(1, gradient.shape[1]):
        torch.maximum(found, gradient[:, channel].abs(), out=found)
    return found


class _Pass:
    """The forward function: it gives the target's logit and remembers the rest."""

    def __init__(self, model: nn.Module, wanted: Tensor | None) -> None:
        self.model, self.wanted = model, wanted
        self.logits: Tensor
        self.predicted: Tensor
        self.target: Tensor

    def __call__(self, pixels: Tensor) -> Tensor:
        # A model may preprocess in place, which autograd refuses on the leaf that we differentiate against, and which
        # would be seen in the caller's images.
        output = checked_logits(self.model(pixels.clone()), len(pixels))
        self.logits = output.detach()
        self.predicted = self.logits.argmax(dim=1)
        self.target = self.predicted if self.wanted is None else checked_target(self.wanted, output)
        if not output.requires_grad:
            raise _no_gradient("logits without a gradient")
        return output.gather(1, self.target[:, None]).squeeze(1)


@dataclass(eq=False)
class _Capture:
    """The output of a layer as a map, and its gradient; both of the layer's last run."""

    layer: str
    layout: Layout
    size: Size
    activation: Tensor | None = None
    gradients: dict[int, Tensor] = field(default_factory=dict)
    calls: int = 0

    def keep(self, output: Any) -> None:
        """Called with every output of the layer."""
        map_ = as_map(_checked_activation(output, self), self.size, self.layout)
        self.activation, self.calls, at = map_.detach(), self.calls + 1, self.calls + 1
        if output.requires_grad:
            output.register_hook(lambda gradient: self.gradients.__setitem__(at, gradient))


@contextmanager
def _captured(model: nn.Module, layer: str | None, capture: _Capture) -> Iterator[None]:
    if layer is None:
        yield
        return

    def keep(_module: nn.Module, _arguments: Any, output: Any) -> Tensor:
        capture.keep(output)
        # What follows may work in place on the output (DenseNet's ReLU does) and would overwrite our copy.
        return torch.as_tensor(output.clone())

    handle = _module_named(model, layer).register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def _products(gradient: Tensor, pixels: Tensor) -> Tensor:
    wide = torch.promote_types(gradient.dtype, torch.float32)
    return (gradient.to(wide) * pixels.to(wide)).sum(dim=1).float()


def _grad_cam(capture: _Capture) -> Tensor:
    gradient, activation = _both(capture)
    return (gradient.mean(dim=(2, 3), keepdim=True) * activation).sum(dim=1).detach().float()


def _hires_cam(capture: _Capture) -> Tensor:
    gradient, activation = _both(capture)
    return (gradient * activation).sum(dim=1).detach().float()


def _both(capture: _Capture) -> tuple[Tensor, Tensor]:
    """Gradient and activation of the layer's last run as maps ``[B, C, h, w]``."""
    gradient = capture.gradients.get(capture.calls)
    if capture.activation is None or gradient is None:
        raise SubjectError(
            "LAYER_CALLS",
            f"layer {capture.layer}",
            found=f"{capture.calls} forward calls, {len(capture.gradients)} backward",
            expected="a last forward call that the logit depends on",
            fix="name a layer that runs and feeds the logits",
        )
    # Sums over many cells and channels lose too much in half precision.
    wide = torch.promote_types(gradient.dtype, torch.float32)
    return as_map(gradient, capture.size, capture.layout).to(wide), capture.activation.to(wide)


def _upsampled(cam: Tensor, size: torch.Size) -> Tensor:
    if cam.shape[-2:] == size:
        return cam
    grown = F.interpolate(cam[:, None], size=tuple(size), mode="bilinear", align_corners=False)
    return grown[:, 0].clamp(min=0)


def _no_gradient(found: str) -> SubjectError:
    return SubjectError(
        "MODEL_NO_GRADIENT",
        "model output",
        found=found,
        expected="logits that depend differentiably on the input",
        fix="remove no_grad, detach or argmax from the model's forward",
    )


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


def _checked_activation(output: Any, capture: _Capture) -> Tensor:
    held = isinstance(output, Tensor) and output.ndim == (3 if capture.layout == "tokens" else 4)
    # The layer was chosen, or checked, with its cells; here only what can be read at all matters.
    if held and (capture.layout != "tokens" or cells_of(output.shape, capture.size, capture.layout)):
        return torch.as_tensor(output)
    found = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    shapes = {"NCHW": "[B, C, h, w]", "NHWC": "[B, h, w, C]", "tokens": "[B, N, D] with one token for each patch"}
    raise SubjectError(
        "LAYER_OUTPUT",
        f"layer {capture.layer}",
        found=found,
        expected=shapes[capture.layout],
        fix="name a layer that keeps the places of its input, and its --layout",
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
