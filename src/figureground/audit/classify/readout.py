"""Outputs in the one shape that an audit knows: a logit for each class or finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
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


class Picked(nn.Module):
    """A model whose output holds the logits among other things: a mapping, a tuple, a dataclass.

    Parameters
    ----------
    model : nn.Module
        The caller's own, left as it is; its layers are called ``model.NAME`` here.
    key : str
        Where the logits are: a key, the name of an attribute, or a position; several, joined by dots, one inside the
        other.

    Examples
    --------
    >>> class Head(nn.Linear):
    ...     def forward(self, x):
    ...         return {"out": (super().forward(x.flatten(1)), x)}
    >>> Picked(Head(4, 2), "out.0")(torch.zeros(3, 1, 2, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, model: nn.Module, key: str) -> None:
        super().__init__()
        self.model = model
        self.key = key

    def forward(self, images: Tensor) -> Any:
        """What the key leads to."""
        found = self.model(images)
        for part in self.key.split("."):
            held = _held(found)
            if part not in held:
                raise SubjectError(
                    "OUTPUT_KEY",
                    f"output key {self.key}",
                    found=f"no {part!r} in {told(found)}",
                    expected=f"one of {', '.join(held)}" if held else "an output that holds several things",
                    fix="correct --output-key, or leave it out where the output is the logits",
                )
            found = held[part]
        return found


def told(output: Any) -> str:
    """An output in words: a tensor by its shape, anything else by what it holds."""
    if isinstance(output, Tensor):
        return f"shape {list(output.shape)}"
    parts = ", ".join(f"{name} {_shape(value)}" for name, value in list(_held(output).items())[:8])
    return f"a {type(output).__name__} with {parts}" if parts else type(output).__name__


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _held(output: Any) -> dict[str, Any]:
    """What an output holds, by key, attribute or position."""
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {item.name: getattr(output, item.name) for item in fields(output)}
    if isinstance(output, Sequence) and not isinstance(output, str):
        named = {name: getattr(output, name) for name in getattr(output, "_fields", ())}
        return {str(at): value for at, value in enumerate(output)} | named
    return {}


def output_of(module: nn.Module) -> str:
    """How the output of the caller's model is read, from the outside in; empty where it is taken as it is."""
    found = []
    while isinstance(module, TwoClasses | OneNumber | Picked):
        told = {Picked: "key", OneNumber: "name"}.get(type(module))
        found.append(type(module).__name__ if told is None else f"{type(module).__name__} {getattr(module, told)}")
        module = module.model
    return ", ".join(found)
