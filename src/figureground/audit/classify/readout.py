"""Outputs in the one shape that an audit knows: a logit for each class or finding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from figureground.errors import SubjectError


class TwoClasses(nn.Module):
    """A model with a single logit as a model of two classes.

    From ``z``, ``[B]`` or ``[B, 1]``, come the logits ``[-z / 2, z / 2]``: their softmax is the sigmoid of ``z``, and
    the gradient of either one is that of the single logit, so that maps explain whichever class is predicted.

    Parameters
    ----------
    model : nn.Module
        The caller's own, left as it is; its layers are called ``model.NAME`` here.

    Examples
    --------
    >>> single = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    >>> logits = TwoClasses(single)(torch.zeros(3, 1, 2, 2))
    >>> logits.shape
    torch.Size([3, 2])
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 2]`` for normalised float ``[B, C, H, W]``."""
        output = self.model(images)
        if not isinstance(output, Tensor) or output.shape not in ((len(images),), (len(images), 1)):
            found = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise SubjectError(
                "MODEL_OUTPUT",
                "model output",
                found=found,
                expected=f"[{len(images)}, 1] or [{len(images)}]: one logit, as kind='binary' declares",
                fix="declare the kind that the model is, or return the logit alone",
            )
        z = output.reshape(-1, 1)
        return torch.cat([-z / 2, z / 2], dim=1)
