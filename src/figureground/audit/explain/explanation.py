"""What an explainer hands over for one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

#: Attribution method and the sign of what is kept: ``("gradcam", "positive")``.
MapKey = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Logits and attribution maps of one batch of ``B`` images; it lives no longer than the batch.

    Attributes
    ----------
    logits : Tensor
        float32 ``[B, K]``, detached. Rows may be non-finite: look at ``isfinite`` before anything else, since
        neither ``predicted`` nor a map means anything in such a row.
    predicted : Tensor
        int64 ``[B]``, the argmax of ``logits``.
    target : Tensor
        int64 ``[B]``, the class whose logit was explained.
    maps : dict of (method, sign) to Tensor
        float32 ``[B, H, W]``, non-negative, at input resolution; NaN in a row that a method cannot explain. Keys as
        ``("saliency", "absolute")``, ``("gradcam", "positive")``, ``("gradcam", "absolute")``: a method and the signs
        of its :class:`~figureground.audit.methods.specs.MethodSpec`, the one that is reported first. What was not asked
        for, or cannot be had of the model, is not there.
    native : dict of method to Tensor
        float32 ``[B, h, w]``, signed, at the method's own resolution: of the layer, of the input, or of cells.
    layers : dict of method to str
        Where each method looked; saliency looks at ``"input"``.
    """

    logits: Tensor
    predicted: Tensor
    target: Tensor
    maps: dict[MapKey, Tensor]
    native: dict[str, Tensor]
    layers: dict[str, str]


class Explainer(Protocol):
    """Anything that explains a batch: normalised float ``[B, C, H, W]`` in, :class:`Explanation` out."""

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor | None = None) -> Explanation:
        """Explain the logit of ``target`` (the predicted class where None) for every image."""
        ...
