"""Outputs in the one shape that an audit knows: a logit for each class or finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


class OneNumber(nn.Module):
    """A model whose output a function turns into one number per image, as a model of two classes.

    From the number ``y`` come the logits ``[-z / 2, z / 2]`` with ``z = y - cut``: their difference is the number's
    distance from the cut, in its own unit, and the larger one says on which side it lies. The gradient of either one
    is that of the number but for sign and a factor of a half.

    Parameters
    ----------
    model : nn.Module
        The caller's own, left as it is; its layers are called ``model.NAME`` here.
    read : callable
        From the model's output for a batch of B images to a float tensor ``[B]``.
    cut : float
        In the unit of the number.
    name : str
        What errors call the function.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> grade = OneNumber(model, lambda logits: logits.softmax(1) @ torch.arange(3.0), 1.5, "expected_grade")
    >>> grade(torch.zeros(2, 1, 2, 2)).shape
    torch.Size([2, 2])
    """

    def __init__(self, model: nn.Module, read: Callable[[Any], Tensor], cut: float, name: str) -> None:
        super().__init__()
        self.model = model
        self.read, self.cut, self.name = read, cut, name

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 2]`` for normalised float ``[B, C, H, W]``."""
        half = (self._number(self.model(images), len(images)) - self.cut).reshape(-1, 1) / 2
        return torch.cat([-half, half], dim=1)

    def _number(self, output: Any, expected: int) -> Tensor:
        found = self.read(output)
        if isinstance(found, Tensor) and found.is_floating_point() and found.shape == (expected,):
            return found
        said = f"{found.dtype} of shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise SubjectError(
            "TARGET_OUTPUT",
            f"target {self.name}",
            found=said,
            expected=f"a float tensor of shape [{expected}], one number for each image",
            fix="let the function return one number per image, such as output[:, 0]",
        )
