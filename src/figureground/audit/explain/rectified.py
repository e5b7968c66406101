"""Rectifiers whose way back is another one: for deconvolution, and for seeing how far a unit sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from figureground.audit.explain.anatomy import is_relu

_POOLS: frozenset[Any] = frozenset((F.max_pool2d, torch.max_pool2d))


class Deconvolved(torch.autograd.Function):
    """A ReLU that rectifies what comes back, whatever went forward."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        """What a ReLU gives."""
        return values.clamp(min=0)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        """Its positive part."""
        return gradients[0].clamp(min=0)


class Guided(torch.autograd.Function):
    """A ReLU that rectifies what comes back, and holds it back where the ReLU was shut."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """What a ReLU gives, which is kept for the way back."""
        found = values.clamp(min=0)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Its positive part, where the ReLU was open."""
        found: Tensor = ctx.saved_tensors[0]
        return gradients[0].clamp(min=0) * (found > 0)


class LetThrough(torch.autograd.Function):
    """A ReLU that lets everything back."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        """What a ReLU gives."""
        return values.clamp(min=0)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        """All of it."""
        return gradients[0]


class Rectifying(TorchFunctionMode):
    """Within the block every ReLU, as a module or as a function, rectifies the signal on its way back.

    Hooks on modules would miss functions, and see a module that runs twice only once. By default it is the
    deconvolution of Zeiler and Fergus: filters transposed (a convolution's own backward pass), pooling
    undone by the switches of the forward pass (max pooling's own backward pass), and rectified as on the way forward.

    Parameters
    ----------
    rule : type of torch.autograd.Function
        The ReLU in their place.

    Attributes
    ----------
    met : int
        Rectifiers that ran; without any, what comes back is the plain gradient.
    switches : int
        Max poolings that ran; without any, nothing in what comes back depends on the picture but its scale.
    """

    def __init__(self, rule: type[torch.autograd.Function] = Deconvolved) -> None:
        super().__init__()
        self.rule, self.met, self.switches = rule, 0, 0

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        self.switches += func in _POOLS
        if is_relu(func, args, given):
            values = args[0] if args else given["input"]
            self.met += 1
            back = self.rule.apply(values)
            # Somebody may look at the tensor that was to be changed, and not at what is returned.
            return values.copy_(back) if _in_place(func, args, given) else back
        return self.other(func, args, given)

    def other(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Whatever is no ReLU."""
        return func(*args, **kwargs)


class Spreading(Rectifying):
    """Within the block nothing is held back: ReLUs let all through, and max pooling is average pooling.

    The gradient of a unit then reaches every pixel that could matter to it, and not only those that do in a picture.
    """

    def __init__(self) -> None:
        super().__init__(LetThrough)

    def other(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Average pooling over the same windows, where there is such a thing."""
        if func in _POOLS and not kwargs.get("return_indices", False) and _undilated(args, kwargs):
            names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
            said = dict(zip(names, args, strict=False)) | dict(kwargs)
            return F.avg_pool2d(*(said.get(name, default) for name, default in _AVERAGED.items()))
        return func(*args, **kwargs)


_AVERAGED: dict[str, Any] = {"input": None, "kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False}


def _in_place(func: Any, args: Any, kwargs: Mapping[str, Any]) -> bool:
    asked = kwargs.get("inplace", False) or (func is F.relu and True in args[1:2])
    return bool(asked) or str(getattr(func, "__name__", "")).endswith("_")


def _undilated(args: Any, kwargs: Mapping[str, Any]) -> bool:
    return (args[4] if len(args) > 4 else kwargs.get("dilation", 1)) in (1, (1, 1), [1, 1])
