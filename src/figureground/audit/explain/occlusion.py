"""Occlusion: where the answer falls when a part of the picture is covered. Forward passes only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from captum.attr import Occlusion
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.explanation import Explanation
from figureground.audit.explain.layers import model_dtype
from figureground.audit.explain.single_pass import checked_logits, checked_target
from figureground.audit.methods.options import Baseline

#: Windows in each direction.
CELLS = 8


@dataclass(frozen=True)
class Answers:
    """Logits, and whose would be explained, without any map: what methods of answers alone begin with."""

    def cost(self, height: int, width: int) -> float:
        """Forward passes for one image."""
        return 1.0

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor | None = None) -> Explanation:
        """Arguments and errors as for ``SinglePass``."""
        with torch.no_grad():
            shown = inputs.detach().to(model_dtype(model), copy=True)
            logits = checked_logits(model(shown), len(shown)).detach().float()
        predicted = logits.argmax(dim=1)
        explained = predicted if target is None else checked_target(target.clone(), logits)
        return Explanation(logits, predicted, explained, {}, {}, {})


@dataclass(frozen=True)
class OcclusionMaps:
    """How far the target's logit falls when one of ``cells`` x ``cells`` windows shows the image's mean colour.

    Captum's occlusion (Zeiler & Fergus, ECCV 2014) with windows that do not overlap. It needs nothing of a model but
    its answers, and costs one forward pass for each window and image.

    Attributes
    ----------
    cells : int
        Windows in each direction.
    baseline : {"mean", "zero"}
        What a covered window shows: the image's mean colour, or the value 0 after normalisation.
    """

    cells: int = CELLS
    baseline: Baseline = "mean"

    def cost(self, height: int, width: int) -> float:
        """Forward passes for one image of this size."""
        return math.prod(-(-size // self._side(size)) for size in (height, width)) + 1.0

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor | None = None) -> Explanation:
        """Explain every image of a batch; arguments and errors as for ``SinglePass``.

        Returns
        -------
        Explanation
            ``native["occlusion"]`` is ``[B, cells, cells]``, signed; the map ``("occlusion", "positive")`` is its
            positive part, enlarged to the input's size.
        """
        with torch.no_grad():
            pixels = inputs.detach().to(model_dtype(model), copy=True)
            answered = Answers()(model, pixels, target)
            falls = self._falls(model, pixels, answered.target)
        grown = F.interpolate(falls[:, None].clamp(min=0), size=pixels.shape[-2:], mode="bilinear", align_corners=False)
        return replace(
            answered,
            maps={("occlusion", "positive"): grown[:, 0].clamp(min=0)},
            native={"occlusion": falls},
            layers={"occlusion": "input"},
        )

    def _falls(self, model: nn.Module, pixels: Tensor, target: Tensor) -> Tensor:
        """Falls of the target's logit by window, float32 ``[B, h, w]``."""
        window = (pixels.shape[1], *(self._side(size) for size in pixels.shape[-2:]))
        mean = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
        shown = mean if self.baseline == "mean" else torch.zeros_like(pixels)

        def answer(covered: Tensor) -> Tensor:
            return checked_logits(model(covered.clone()), len(covered))

        found = Occlusion(answer).attribute(
            pixels, sliding_window_shapes=window, strides=window, baselines=shown, target=target
        )
        # Every pixel of a window has the window's value, and so has its first.
        falls: Tensor = found.detach().float()[:, 0, :: window[1], :: window[2]]
        return falls

    def _side(self, size: int) -> int:
        return max(1, -(-size // self.cells))
