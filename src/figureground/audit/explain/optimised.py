"""The same model, faster: a copy with batch normalisation folded and channels last, seen to give the same answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from figureground.audit.explain.layers import model_dtype
from figureground.audit.explain.rectifying import rectify
from figureground.audit.explain.stem import faster_stem
from figureground.audit.explain.wiring import Pair, aliases, foldable_pairs

#: Largest difference of the copy's logits, as a share of the largest: rounding of single precision, with a margin.
TOLERANCE = 1e-4
#: Where rounding would be larger than that, nothing is folded.
_FOLDED_TYPES = (torch.float32, torch.float64)
_NOT_COPIED = "the model cannot be copied"
_NOT_THE_SAME = "a changed copy of the model fails, or does not give the same answers"


@dataclass(frozen=True, eq=False)
class Optimised:
    """A model that gives the same answers and maps, and what was done to it.

    Attributes
    ----------
    module : nn.Module
        A copy with the same names of modules and the same hooks; or the model itself, where ``steps`` is empty.
    steps : tuple of str
        What was done, in order: ``no_parameter_gradients``, ``batch_norm_folded``, ``channels_last``, ``stem``,
        ``rectified``.
    folded : int
        Batch normalisations that were folded into the convolution before them.
    reason : str or None
        Why nothing was done.
    """

    module: nn.Module
    steps: tuple[str, ...] = ()
    folded: int = 0
    reason: str | None = None


def optimised(model: nn.Module, inputs: Tensor, keep: Sequence[str] = ()) -> Optimised:
    """A faster copy of a model for explaining and predicting; the model itself is left as it is.

    Batch normalisation in evaluation mode is an affine map of each channel, and is multiplied into the convolution
    before it (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", CVPR 2018, section 3.2); an identity takes its place, so that names and hooks stay. Weights are stored
    channels last, where convolutions on a CPU need no reordering. Logits and gradients agree with the model's to
    rounding, about 1e-6 of the largest; a rectifier whose input is rounded to the other side of zero can change single
    gradients by more.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    inputs : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects: the images on which the answers are compared.
    keep : sequence of str
        Names of modules whose output is looked at: they and what alone feeds them are not folded.

    Returns
    -------
    Optimised
        With the model itself where no copy gives the same logits and a gradient.
    """
    with torch.inference_mode(False):
        shown = inputs.detach().to(model_dtype(model), copy=True)
        fold = {"batch_norm_folded": partial(_folded, keep=keep)}
        layout = fold | {"channels_last": _channels_last, "stem": faster_stem}
        for steps in (layout | {"rectified": partial(rectify, keep=keep)}, layout, fold, {}):
            found = _attempted(model, shown, steps)
            if found is None:
                return Optimised(model, reason=_NOT_COPIED)
            if _answers_alike(model, found.module, shown):
                return found
    return Optimised(model, reason=_NOT_THE_SAME)


#: Changes a copy in place, and says how often it found something to change.
_Step = Callable[[nn.Module, Tensor], int]


def _attempted(model: nn.Module, inputs: Tensor, steps: Mapping[str, _Step]) -> Optimised | None:
    try:
        module = copy.deepcopy(model).requires_grad_(False)
    except Exception:  # a model of others may refuse to be copied in any way; it is then run as it was given
        return None
    done = {"no_parameter_gradients": 1}
    for name, step in steps.items():
        try:
            done[name] = step(module, inputs[:1].clone())
        except Exception:  # a forward that cannot be observed; what it gives is compared in any case
            done[name] = 0
    return Optimised(module, tuple(name for name, count in done.items() if count), done.get("batch_norm_folded", 0))


def _folded(module: nn.Module, inputs: Tensor, keep: Sequence[str]) -> int:
    if model_dtype(module) not in _FOLDED_TYPES:
        return 0
    pairs = foldable_pairs(module, inputs, keep)
    for pair in pairs:
        _fold(module, pair)
    return len(pairs)


def _fold(module: nn.Module, pair: Pair) -> None:
    # Any: a module's own fields, which mypy takes for tensors or modules.
    convolution: Any = module.get_submodule(pair.convolution)
    norm: Any = module.get_submodule(pair.norm)
    read = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    weight, bias = fuse_conv_bn_weights(convolution.weight, convolution.bias, *read)
    convolution.weight, convolution.bias = weight.requires_grad_(False), bias.requires_grad_(False)
    for name in list(aliases(module, norm)):
        _replace(module, name, nn.Identity().eval())


def _channels_last(module: nn.Module, _inputs: Tensor) -> int:
    module.to(memory_format=torch.channels_last)
    return sum(isinstance(part, nn.Conv2d) for part in module.modules())


def _replace(module: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)


def _answers_alike(model: nn.Module, other: nn.Module, inputs: Tensor) -> bool:
    """Whether the logits agree to rounding, and the other's have a gradient that is finite where the model's is."""
    try:
        (wanted, slope), (found, other_slope) = _pass(model, inputs), _pass(other, inputs)
    except Exception:  # the code of others may raise anything; the probes and the first batch tell it
        return False
    if wanted.shape != found.shape or not torch.equal(wanted.isfinite(), found.isfinite()):
        return False
    finite = wanted.isfinite()
    scale = float(wanted[finite].abs().amax()) if finite.any() else 0.0
    near = bool(((found - wanted)[finite].abs() <= TOLERANCE * scale).all())
    return near and torch.equal(slope.isfinite(), other_slope.isfinite())


def _pass(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        pixels = inputs.clone().requires_grad_()
        logits: Tensor = model(pixels.clone())
        (slope,) = torch.autograd.grad(logits.amax(dim=1).sum(), pixels)
    return logits.detach(), slope
