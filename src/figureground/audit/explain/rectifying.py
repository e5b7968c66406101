"""Convolutions that rectify what they write, where a rectifier alone reads it: one pass over memory less each way.

oneDNN applies the rectifier while the values are in registers. The rectifier after it hands its input on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.explain.stem import MARK, StemConv2d, marked, rectifying_convolution
from figureground.audit.explain.wiring import read_by_rectifiers


class RectifiedConv2d(nn.Conv2d):
    """A convolution and the rectifier after it; its weights get no gradient."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> RectifiedConv2d:
        """The same convolution, with the same parameters."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.__dict__.update(convolution.__dict__)
        return made

    def forward(self, input: Tensor) -> Tensor:
        """The rectified output."""
        how = (self.padding, self.stride, self.dilation, self.groups)
        return marked(_Rectified.apply(input, self.weight, self.bias, how))


class HandingOn(nn.ReLU):
    """A rectifier that hands on what was rectified when it was written."""

    def forward(self, input: Tensor) -> Tensor:
        """As the plain rectifier."""
        return input if getattr(input, MARK, False) else super().forward(input)


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, bias: Tensor | None, how: Any) -> Tensor:
        output = rectifying_convolution(pixels, weight, bias, *how)
        ctx.save_for_backward(pixels, weight, output)
        ctx.how = how
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        pixels, weight, output = ctx.saved_tensors
        padding, stride, dilation, groups = ctx.how
        passed = torch.ops.aten.threshold_backward(gradient, output, 0)
        found: Tensor = torch.ops.aten.convolution_backward(
            passed, pixels, weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )[0]
        return found, None, None, None


def rectify(model: nn.Module, inputs: Tensor, keep: Collection[str] = ()) -> int:
    """Let convolutions rectify in place of the rectifiers that alone read them; the number of convolutions.

    The model is run once. Parts with hooks, and those in ``keep``, are left.
    """
    if inputs.device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return 0
    chosen = [name for name in read_by_rectifiers(model, inputs, keep) if _fits(model.get_submodule(name))]
    for name in chosen:
        part = model.get_submodule(name)
        if isinstance(part, StemConv2d):
            part.rectifies = True
        elif isinstance(part, nn.Conv2d):
            _set(model, name, RectifiedConv2d.of(part))
    if chosen:
        for name, part in list(model.named_modules(remove_duplicate=False)):
            if type(part) is nn.ReLU:
                _set(model, name, _handing_on(part))
    return len(chosen)


def _handing_on(part: nn.ReLU) -> HandingOn:
    made = HandingOn.__new__(HandingOn)
    nn.Module.__init__(made)
    made.__dict__.update(part.__dict__)
    return made


def _fits(part: nn.Module) -> bool:
    plain = isinstance(part, nn.Conv2d) and part.padding_mode == "zeros" and not isinstance(part.padding, str)
    return plain and part.weight.dtype == torch.float32


def _set(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
