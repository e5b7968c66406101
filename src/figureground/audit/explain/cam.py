"""CAM, exactly: the weights of the last layer times the maps that global average pooling takes its means of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from figureground.audit.explain.asked import Asked, cannot

_POOLS = (F.adaptive_avg_pool2d, F.avg_pool2d, torch.mean, Tensor.mean)
#: Of rounding: pooling and mean sum in another order.
_TOLERANCE = 1e-3


@dataclass(eq=False)
class _Ends:
    """What was pooled, and every linear layer's input, weight and output, in the order in which they ran."""

    pooled: list[Tensor] = field(default_factory=list)
    linear: list[tuple[Tensor, Tensor, Tensor | None, Tensor]] = field(default_factory=list)


class _Watching(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.ends = _Ends()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        found = func(*args, **named)
        if func in _POOLS and args and args[0].ndim == 4:
            # What follows may work in place on it.
            self.ends.pooled.append(args[0].detach().clone())
        if func is F.linear and isinstance(found, Tensor):
            weight, bias = (*args[1:], named.get("weight"), named.get("bias"))[:2]
            self.ends.linear.append((args[0], weight, named.get("bias", bias), found))
        return found


def cam(asked: Asked) -> Tensor:
    """Weights of the target's class times the pooled maps, signed, ``[B, h, w]``.

    The mean of a map and the bias are the logit (Zhou et al., "Learning deep features for discriminative localization",
    CVPR 2016). What follows the linear layer may scale its outputs, as where one logit stands for two classes.

    Raises
    ------
    UsageError
        The network does not end in global average pooling and one linear layer.
    """
    watching = _Watching()
    with watching:
        logits = asked.answer(asked.pixels.clone().requires_grad_())
    maps, (_, weight, bias, output) = _found(watching.ends)
    chosen = logits.gather(1, asked.target[:, None])[:, 0]
    (scale,) = torch.autograd.grad(chosen.sum(), output)
    wide = asked.pixels.dtype
    weights = scale.detach().to(wide) @ weight.detach().to(wide)
    found = torch.einsum("bc,bchw->bhw", weights, maps.to(wide))
    constant = 0 if bias is None else scale.detach().to(wide) @ bias.detach().to(wide)
    _check_exact(found.mean(dim=(1, 2)) + constant, chosen.detach(), logits)
    return found


def _found(ends: _Ends) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None, Tensor]]:
    """The maps ``[B, C, h, w]`` whose means the last linear layer reads, and that layer."""
    if not ends.linear:
        raise _refused("no linear layer")
    last = ends.linear[-1]
    for each in reversed(ends.pooled):
        for maps in (each, each.permute(0, 3, 1, 2)):
            if _are_means(maps, last[0].detach()):
                return maps, last
    raise _refused("a last linear layer that reads something else than the means of maps")


def _are_means(maps: Tensor, read: Tensor) -> bool:
    means = maps.float().mean(dim=(2, 3))
    if read.shape != means.shape or maps.shape[2] * maps.shape[3] < 2:
        return False
    loose = _TOLERANCE if maps.dtype in (torch.float32, torch.float64) else 0.05
    return bool(torch.allclose(means, read.float(), rtol=loose, atol=loose * float(means.abs().max()), equal_nan=True))


def _check_exact(sums: Tensor, chosen: Tensor, logits: Tensor) -> None:
    finite = torch.isfinite(chosen)
    loose = 0.01 * float(logits.detach()[finite].abs().max()) if bool(finite.any()) else 0.0
    if not torch.allclose(sums[finite], chosen[finite], rtol=0.01, atol=loose):
        raise _refused("something after the linear layer that changes what its outputs mean")


def _refused(found: str) -> Exception:
    expected = "a network that ends in global average pooling and one linear layer"
    return cannot("cam", found, expected, "saliency,gradcam or saliency,hirescam")
