"""Rectifiers whose way back is another one: for deconvolution, and for seeing how far a unit sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_RELUS: frozenset[Any] = frozenset((F.relu, torch.relu, Tensor.relu))
_IN_PLACE: frozenset[Any] = frozenset((F.relu_, torch.relu_, Tensor.relu_))
_POOLS: frozenset[Any] = frozenset((F.max_pool2d, torch.max_pool2d))


class _Deconvolved(torch.autograd.Function):
    """A ReLU that rectifies what comes back, whatever went forward."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return values.clamp(min=0)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].clamp(min=0)


class _LetThrough(torch.autograd.Function):
    """A ReLU that lets everything back."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return values.clamp(min=0)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class Rectifying(TorchFunctionMode):
    """Within the block every ReLU, as a module or as a function, rectifies the signal on its way back.

    That is the deconvolution of Zeiler and Fergus: filters transposed (a convolution's own backward pass), pooling
    undone by the switches of the forward pass (max pooling's own backward pass), and rectified as on the way forward.

    Attributes
    ----------
    met : int
        Rectifiers that ran; without any, what comes back is the plain gradient.
    switches : int
        Max poolings that ran; without any, nothing in what comes back depends on the picture but its scale.
    """

    rectify: Callable[[Tensor], Any] = _Deconvolved.apply

    def __init__(self) -> None:
        super().__init__()
        self.met = self.switches = 0

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        self.switches += func in _POOLS
        if func in _IN_PLACE or func in _RELUS:
            values = args[0] if args else given["input"]
            in_place = func in _IN_PLACE or given.get("inplace", False) or (func is F.relu and True in args[1:2])
            self.met += 1
            back = type(self).rectify(values)
            # Somebody may look at the tensor that was to be changed, and not at what is returned.
            return values.copy_(back) if in_place else back
        return self.other(func, args, given)

    def other(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Whatever is no ReLU."""
        return func(*args, **kwargs)


class Spreading(Rectifying):
    """Within the block nothing is held back: ReLUs let all through, and max pooling is average pooling.

    The gradient of a unit then reaches every pixel that could matter to it, and not only those that do in a picture.
    """

    rectify = _LetThrough.apply

    def other(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Average pooling over the same windows, where there is such a thing."""
        if func in _POOLS and not kwargs.get("return_indices", False) and _undilated(args, kwargs):
            names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
            said = dict(zip(names, args, strict=False)) | dict(kwargs)
            return F.avg_pool2d(*(said.get(name, default) for name, default in _AVERAGED.items()))
        return func(*args, **kwargs)


_AVERAGED: dict[str, Any] = {"input": None, "kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False}


def _undilated(args: Any, kwargs: Mapping[str, Any]) -> bool:
    return (args[4] if len(args) > 4 else kwargs.get("dilation", 1)) in (1, (1, 1), [1, 1])
