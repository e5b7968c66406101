"""The first convolution of a network, whose gradient is taken with respect to the pixels.

A convolution with a stride over three channels leaves vector units nearly empty in its backward pass. Cut into
``s x s`` blocks of pixels (space to depth), it is one of stride 1 over ``3 s^2`` channels, and its gradient the same
numbers in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.forward.errors import hooks_of

#: With more channels than this the plain backward pass is as fast.
MAX_CHANNELS = 4
#: Attribute of an output that was rectified when it was written.
MARK = "_figureground_rectified"


class StemConv2d(nn.Conv2d):
    """A convolution that computes the gradient of its input from blocks; its weights get no gradient."""

    blocks: Tensor
    #: Whether the rectifier after it is applied as well.
    rectifies: bool = False

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> StemConv2d:
        """The same convolution, with the same parameters."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.__dict__.update(convolution.__dict__)
        made.register_buffer("blocks", _blocks(made.weight, made.stride[0]), persistent=False)
        return made

    def forward(self, input: Tensor) -> Tensor:
        """As the plain convolution."""
        how = (self.stride[0], self.padding[0], self.rectifies)
        output: Tensor = _Stem.apply(input, self.weight, self.bias, self.blocks, how)
        return marked(output) if self.rectifies else output


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, weight: Tensor, bias: Tensor | None, blocks: Tensor, how: tuple[int, int, bool]
    ) -> Tensor:
        stride, padding, rectifies = how
        if rectifies:
            output = rectifying_convolution(pixels, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1)
        else:
            output = F.conv2d(pixels, weight, bias, stride, padding)
        ctx.save_for_backward(blocks, output if rectifies else None)
        ctx.size, ctx.stride, ctx.padding = pixels.shape[-2:], stride, padding
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        blocks, output = ctx.saved_tensors
        passed = gradient if output is None else torch.ops.aten.threshold_backward(gradient, output, 0)
        found = F.pixel_shuffle(F.conv_transpose2d(passed, blocks), ctx.stride)
        return _window(found, ctx.size, ctx.padding), None, None, None, None


def rectifying_convolution(
    pixels: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """``relu(conv2d(...))`` in one operation of oneDNN, on the CPU in single precision."""
    output: Tensor = torch.ops.mkldnn._convolution_pointwise(
        pixels, weight, bias, padding, stride, dilation, groups, "relu", [], ""
    )
    return output


def marked(output: Tensor) -> Tensor:
    """The output, known as rectified to the rectifier that reads it."""
    setattr(output, MARK, True)
    return output


def faster_stem(model: nn.Module, inputs: Tensor) -> int:
    """Replace the first convolution of a model in place, where that helps; the number of convolutions replaced.

    It is one over at most :data:`MAX_CHANNELS` channels, with a stride, that runs once in the pass.
    """
    runs: dict[str, int] = {}
    fitting = {name: part for name, part in model.named_modules(remove_duplicate=False) if _fits(part)}
    handles = [
        part.register_forward_hook(lambda *_, name=name: runs.__setitem__(name, runs.get(name, 0) + 1))
        for name, part in fitting.items()
    ]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    chosen = [name for name, times in runs.items() if times == 1][:1]
    for name in chosen:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, StemConv2d.of(model.get_submodule(name)))  # type: ignore[arg-type]
    return len(chosen)


def _fits(part: nn.Module) -> bool:
    if type(part) is not nn.Conv2d or list(hooks_of(part)) or part.weight.dtype not in (torch.float32, torch.float64):
        return False
    plain = part.groups == 1 and part.padding_mode == "zeros" and not isinstance(part.padding, str)
    square = len({*part.stride}) == len({*part.padding}) == 1 and {*part.dilation} == {1}
    return plain and square and part.in_channels <= MAX_CHANNELS and 1 < part.stride[0] <= min(part.kernel_size)


def _blocks(weight: Tensor, stride: int) -> Tensor:
    """Weights ``[K, C, h, w]`` over blocks of pixels, ``[K, C s^2, ceil(h / s), ceil(w / s)]``."""
    height, width = (-(-size // stride) for size in weight.shape[-2:])
    padded = F.pad(weight, (0, width * stride - weight.shape[-1], 0, height * stride - weight.shape[-2]))
    return F.pixel_unshuffle(padded, stride).contiguous(memory_format=torch.channels_last)


def _window(found: Tensor, size: torch.Size, padding: int) -> Tensor:
    """The pixels of the picture among those of all blocks; those that no window reached have no gradient."""
    inside = found[..., padding : padding + size[0], padding : padding + size[1]]
    short = size[0] - inside.shape[-2], size[1] - inside.shape[-1]
    return F.pad(inside, (0, short[1], 0, short[0])) if any(short) else inside
