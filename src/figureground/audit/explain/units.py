"""Single units of a layer: their values, what they can see, and what in a picture they answer to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.declared.config import Layout
from figureground.audit.explain.layers import model_dtype
from figureground.audit.explain.rectified import Rectifying, Spreading
from figureground.audit.forward.layouts import Size, as_map, cells_of
from figureground.errors import UsageError

#: Top, left, bottom, right; the last two excluded.
Box = tuple[int, int, int, int]
#: Noise pictures whose gradients are laid together; one nearly always suffices.
_NOISES = 2


@dataclass(frozen=True)
class Met:
    """How many ReLUs and max poolings ran in a forward pass."""

    relus: int
    switches: int


@dataclass(frozen=True)
class UnitLayer:
    """A layer whose units are looked at.

    Attributes
    ----------
    name : str
        As in ``module.named_modules()``.
    layout : {"NCHW", "NHWC", "tokens"}
        How its output is read as a map; an output ``[B, C]`` is one of a single cell.
    """

    name: str
    layout: Layout = "NCHW"

    def values(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Outputs ``[B, C, h, w]`` of the layer for normalised ``[B, C, H, W]``; of its last run in the pass.

        Raises
        ------
        UsageError
            The layer did not run, or gives no tensor with channels.
        """
        pixels = inputs.to(model_dtype(module))
        with _kept(module.get_submodule(self.name)) as outputs:
            module(pixels.clone())
        return self._map(outputs, (int(inputs.shape[-2]), int(inputs.shape[-1])))

    def _map(self, outputs: list[Any], size: Size) -> Tensor:
        output = outputs[-1] if outputs else None
        if isinstance(output, Tensor) and output.is_floating_point():
            if output.ndim == 2:
                return output[:, :, None, None]
            if (output.ndim == 4 and self.layout != "tokens") or cells_of(output.shape, size, self.layout):
                return as_map(output, size, self.layout)
        found = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise UsageError(
            "LAYER_OUTPUT",
            f"layer {self.name}",
            found="a layer that does not run" if not outputs else found,
            expected=f"channels: [B, C, h, w], or what --layout says (here {self.layout}), or [B, C]",
            fix="name another layer, or its --layout",
        )


def unit_layer(module: nn.Module, name: str, layout: Layout | None = None) -> UnitLayer:
    """The layer of that name, or the only one whose name ends so; raises :class:`UsageError`."""
    names = [known for known, _ in module.named_modules() if known]
    ends = [name] if name in names else [known for known in names if known.endswith(f".{name}")]
    if len(ends) == 1:
        return UnitLayer(ends[0], layout or "NCHW")
    near = ends or get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    raise UsageError(
        "LAYER_UNKNOWN",
        f"layer {name}",
        found="several layers" if ends else "no layer of that name",
        expected="a name from model.named_modules()",
        fix=f"did you mean {', '.join(near[:5])}?",
    )


def projection(module: nn.Module, layer: UnitLayer, inputs: Tensor, unit: tuple[int, int, int]) -> tuple[Tensor, Met]:
    """Deconvolution of one unit: what in the picture it answers to.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    layer : UnitLayer
    inputs : Tensor
        Normalised float ``[1, C, H, W]``.
    unit : (int, int, int)
        Channel, row and column.

    Returns
    -------
    Tensor
        float32 ``[C, H, W]``, signed, in units of the normalised input: the unit's activation, all others set to zero,
        led back through transposed filters, the switches of max pooling and ReLUs that rectify once more. Biases are
        left out. Where pooling windows overlap, what they lead to one pixel is added up.
    Met
        Without a ReLU it is the gradient times the activation. Without max pooling there are no switches, and it is
        the same for every picture but for its scale.

    References
    ----------
    M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
    """
    with torch.inference_mode(False), torch.enable_grad(), Rectifying() as mode:
        pixels = inputs.detach().clone().to(model_dtype(module)).requires_grad_()
        value = layer.values(module, pixels)[0, unit[0], unit[1], unit[2]]
        if not value.requires_grad:
            return torch.zeros_like(pixels[0]).float(), Met(mode.met, mode.switches)
        (found,) = torch.autograd.grad(value, pixels, grad_outputs=value.detach())
    return found[0].float(), Met(mode.met, mode.switches)


def seen_by(module: nn.Module, layer: UnitLayer, shape: torch.Size, cell: tuple[int, int]) -> Box:
    """Receptive field of the units of one cell, within a picture of this shape ``[C, H, W]``.

    The box around every pixel from which a gradient comes, for noise, with ReLUs that let all through and with average
    instead of max pooling, so that nothing that could matter is left out for not mattering here.
    """
    noise = torch.randn((_NOISES, *shape), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(False), torch.enable_grad(), Spreading():
        pixels = noise.to(model_dtype(module)).requires_grad_()
        values = layer.values(module, pixels)[:, :, cell[0], cell[1]]
        # Channels are weighed unlike, lest they cancel where they are normalised together.
        weights = torch.linspace(1, 2, values.shape[1], dtype=values.dtype)
        if not values.requires_grad:
            return (0, 0, int(shape[1]), int(shape[2]))
        (gradient,) = torch.autograd.grad((values * weights).sum(), pixels)
    reached = (gradient != 0).any(0).any(0)
    if not reached.any():
        return (0, 0, int(shape[1]), int(shape[2]))
    rows, columns = reached.any(1).nonzero().ravel(), reached.any(0).nonzero().ravel()
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


@contextmanager
def _kept(layer: nn.Module) -> Iterator[list[Any]]:
    outputs: list[Any] = []

    def keep(_module: nn.Module, _arguments: Any, output: Any) -> Any:
        outputs[:] = [output]
        # What follows may work in place on the output.
        return output.clone() if isinstance(output, Tensor) else output

    handle = layer.register_forward_hook(keep)
    try:
        yield outputs
    finally:
        handle.remove()
