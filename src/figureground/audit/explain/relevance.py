"""DeepLift and LRP, of Captum, on a copy of the network on which they are right, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from captum.attr import LRP, DeepLift
from torch import Tensor, nn

from figureground.audit.explain.asked import Asked, cannot
from figureground.audit.explain.copies import separated
from figureground.audit.explain.guided import check_same
from figureground.audit.explain.routed import ACTIVATIONS, SUMS, Routed

_WOULD_DO = "saliency,input_x_gradient,integrated_gradients"
#: Share of a map's absolute sum by which it may miss the difference of the logits.
MAX_MISS = 0.01
_RULES = (
    "linear modules and functions, and nonlinear modules with a rule: ReLU, sigmoid, tanh, max pooling and the like"
)
#: Known to Captum by their very type; a subclass is not.
RULED = (
    nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
)  # fmt: skip
_LINEAR = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.AvgPool2d,
    nn.AdaptiveAvgPool2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.ZeroPad2d,
    nn.Upsample, nn.PixelShuffle,
)  # fmt: skip
_LINEAR_FUNCTIONS = frozenset(
    ("add", "add of a number", "sub", "rsub", "neg", "mul", "rmul", "div", "truediv", "cat", "stack", "mean", "sum",
     "pad", "chunk", "adaptive_avg_pool2d", "avg_pool2d", "linear", "conv2d", "batch_norm", "dropout", "getitem",
     "expand", "roll", "narrow", "select", "unbind", "split", "concat", "movedim", "moveaxis")
)  # fmt: skip


def deeplift(asked: Asked) -> Tensor:
    """Contributions by the rescale rule, summed over channels, ``[B, H, W]``; NaN where they do not add up.

    The sum over a map must be the logit less that of the baseline (Shrikumar, Greenside & Kundaje, "Learning important
    features through propagating activation differences", ICML 2017). Where it misses it by more than
    :data:`MAX_MISS` of the absolute sum, something in the network has no rule, and the map says nothing.

    Raises
    ------
    UsageError
        It misses it in every image.
    """
    _check_rules(asked)
    copy = Routed(separated(asked, "deeplift", _WOULD_DO), ACTIVATIONS)
    check_same("deeplift", copy(asked.pixels).detach(), asked, _WOULD_DO)
    with _quiet():
        found, miss = DeepLift(copy).attribute(
            asked.pixels.clone().requires_grad_(),
            baselines=asked.baseline,
            target=asked.target,
            return_convergence_delta=True,
        )
    found = found.detach()
    adds_up = miss.detach().abs() <= MAX_MISS * found.abs().sum(dim=(1, 2, 3)).clamp(min=1e-6)
    if not bool(adds_up.any()) and bool(torch.isfinite(miss).all()):
        raise cannot("deeplift", "contributions that do not add up to the answer", _RULES, _WOULD_DO)
    return torch.as_tensor(found.sum(dim=1)).masked_fill(~adds_up[:, None, None], torch.nan)


def _check_rules(asked: Asked) -> None:
    """Refuse a network with a nonlinear step that has no rule: its gradient would be taken for its contribution."""
    modules = (asked.model.get_submodule(name) for name, runs in asked.anatomy.calls.items() if runs)
    last = [each for each in modules if next(each.children(), None) is None]
    without = [type(each).__name__ for each in last if not isinstance(each, _LINEAR) and type(each) not in RULED]
    without += [name for name in asked.anatomy.outside if name not in (*_LINEAR_FUNCTIONS, *ACTIVATIONS)]
    if without:
        raise cannot("deeplift", f"{', '.join(dict.fromkeys(without))}, without a rule", _RULES, _WOULD_DO)


def lrp(asked: Asked) -> Tensor:
    """Relevance by the epsilon rule, summed over channels, ``[B, H, W]``.

    Bach et al., "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance propagation",
    PLoS ONE 10, 2015. In a network of ReLUs and max pooling it equals Input x Gradient (Ancona et al., ICLR 2018).

    Raises
    ------
    UsageError
        The network computes something that has no rule.
    """
    outside = [name for name in asked.anatomy.outside if name not in SUMS]
    if outside:
        found = f"a network that computes {', '.join(outside[:4])} between its modules"
        raise cannot("lrp", found, "modules, sums and ReLUs, through which relevance is handed back", _WOULD_DO)
    copy = Routed(separated(asked, "lrp", _WOULD_DO), SUMS)
    check_same("lrp", copy(asked.pixels).detach(), asked, _WOULD_DO)
    try:
        with _quiet():
            relevance = LRP(copy).attribute(asked.pixels.clone().requires_grad_(), target=asked.target)
    except TypeError as error:
        told = str(error).split(" has no rule")[0]
        raise cannot("lrp", f"{told} without a rule", "modules that have one", _WOULD_DO) from error
    return torch.as_tensor(relevance).detach().sum(dim=1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Captum's note that it hooks modules, and torch's that an input of a hooked module needs no gradient."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*[Hh]ooks", category=UserWarning)
        yield
