"""Maps of the sample under some model, counted as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import evaluating
from figureground.audit.explain.explanation import Explainer, Explanation
from figureground.audit.measure.backing_off import is_exhausted
from figureground.audit.measure.masked_maps import ZERO_PER_PIXEL, BoolArray, Shape

FloatMaps = npt.NDArray[np.float32]

#: What one explained image costs in forward passes: a forward and a backward pass.
EXPLAIN_COST = 3.0


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of ``N`` images by method.

    Attributes
    ----------
    primary : dict of str to ndarray
        float32 ``[N, H, W]``, non-negative: the map that the audit measures (the first sign of each method).
    native : dict of str to ndarray
        float32 ``[N, h, w]``, signed, at the resolution of the layer.
    predicted : Tensor
        int64 ``[N]``, on the CPU.
    finite : ndarray
        bool ``[N]``, whether the logits are finite.
    """

    primary: dict[str, FloatMaps]
    native: dict[str, FloatMaps]
    predicted: Tensor
    finite: BoolArray

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the explainer."""
        return tuple(self.primary)

    def shape(self, method: str) -> Shape:
        """Height and width of the map at its own layer."""
        height, width = self.native[method].shape[1:]
        return height, width

    def usable(self, method: str) -> BoolArray:
        """Whether a map says anything: finite, not zero, not the same everywhere; bool ``[N]``."""
        return self.finite & points_somewhere(self.primary[method])

    def rescaled(self) -> Maps:
        """Each map divided by its largest absolute value.

        Gradients of a deep network with fresh weights can be very small everywhere, which is no zero map.
        """
        return replace(
            self,
            primary={name: _unit(values) for name, values in self.primary.items()},
            native={name: _unit(values) for name, values in self.native.items()},
        )


@dataclass
class Mapper:
    """Explains inputs in batches and counts what that cost.

    Attributes
    ----------
    explainer : Explainer
    batch_size : int
    cost : float
        Forward-equivalents of one explained image.
    spent : float
        Forward-equivalents so far.
    """

    explainer: Explainer
    batch_size: int
    cost: float = EXPLAIN_COST
    spent: float = field(default=0.0)

    def __call__(
        self,
        module: nn.Module,
        inputs: Tensor,
        target: Tensor | None = None,
        *,
        explainer: Explainer | None = None,
        batch_size: int | None = None,
    ) -> Maps:
        """Maps of float ``[N, C, H, W]`` inputs, N at least 1, the module in evaluation mode meanwhile."""
        size, explain = batch_size or self.batch_size, explainer or self.explainer
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        found: list[Explanation] = []
        with evaluating(module):
            while (start := sum(len(part.logits) for part in found)) < len(inputs):
                part = slice(start, start + size)
                wanted = None if target is None else target[part].to(device)
                made = _explained(explain, module, inputs[part].to(device), wanted, last=size == 1)
                size = size if made is not None else size // 2
                found += [] if made is None else [made]
        self.spent += self.cost * len(inputs)
        return _joined(found)


def _explained(
    explain: Explainer, module: nn.Module, inputs: Tensor, target: Tensor | None, *, last: bool
) -> Explanation | None:
    """A batch explained; None where memory does not suffice and it can be made smaller."""
    try:
        return explain(module, inputs, target)
    except (MemoryError, RuntimeError) as error:
        if last or not is_exhausted(error):
            raise
        return None


def points_somewhere(values: FloatMaps) -> BoolArray:
    """Whether a map ``[N, H, W]`` is finite, has a positive sum and is not constant; bool ``[N]``."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    known = np.where(finite[:, None], flat, 0.0)
    above_zero = known.sum(axis=1) > ZERO_PER_PIXEL * flat.shape[1]
    return np.asarray(finite & above_zero & (np.ptp(known, axis=1) > 0))


def _joined(parts: Sequence[Explanation]) -> Maps:
    methods = list(dict.fromkeys(method for method, _ in parts[0].maps))
    keys = {method: next(key for key in parts[0].maps if key[0] == method) for method in methods}
    logits = torch.cat([part.logits for part in parts]).cpu()
    return Maps(
        primary={method: _numpy([part.maps[key] for part in parts]) for method, key in keys.items()},
        native={method: _numpy([part.native[method] for part in parts]) for method in methods},
        predicted=torch.cat([part.predicted for part in parts]).cpu(),
        finite=torch.isfinite(logits).all(dim=1).numpy(),
    )


def _numpy(parts: Sequence[Tensor]) -> FloatMaps:
    return np.asarray(torch.cat([part.detach().float().cpu() for part in parts]).numpy(), dtype=np.float32)


def _unit(values: FloatMaps) -> FloatMaps:
    peak = np.abs(values).max(axis=(1, 2), keepdims=True)
    # What is zero or not finite stays so: the next look at the map finds it.
    return np.asarray(values / np.where(np.isfinite(peak) & (peak > 0), peak, 1), dtype=np.float32)
