"""Which layer Grad-CAM looks at: found by running the model once, or named and checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from figureground.errors import SubjectError

#: Fewer cells than this cannot tell figure from ground.
MIN_CELLS = 4
#: A map whose shape differs more than this from the image's has its axes elsewhere (channels last, tokens).
MAX_ASPECT_RATIO = 2.0
#: They hand on, or thin out, the map of the layer before them; that layer is the one to name.
_PASSING = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d,
    nn.FractionalMaxPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout, nn.Identity, nn.Flatten,
)  # fmt: skip


#: What a forward pass of somebody else's code raises when the input does not suit it.
_FORWARD_ERRORS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)


@dataclass(frozen=True)
class _Call:
    """One completed call of a module: its output's shape, or the type of what is no tensor."""

    name: str
    module: nn.Module
    output: tuple[int, ...] | str


def choose_layer(model: nn.Module, inputs: Tensor) -> str:
    """Name of the last layer that still gives a map.

    That is the last module in order of completion (a container completes after its children) that runs
    exactly once and gives one ``[B, C, h, w]`` with ``h * w >= 4`` in the proportions of the image, and that
    is not a pooling, dropout, identity or flatten module, nor the model itself.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode: the model is run once, on the first image, in the mode that it is in.
    inputs : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects.

    Returns
    -------
    str
        A name from ``model.named_modules()``.

    Raises
    ------
    SubjectError
        The forward pass fails, the model works on tokens, or no layer gives a map: name one.

    Examples
    --------
    >>> import torch
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), head)
    >>> choose_layer(model, torch.rand(1, 3, 8, 8))
    '1'
    """
    _refuse_attention(model)
    calls = _once(_calls(model, inputs))
    size = inputs.shape[-2:]
    usable = [i for i, call in enumerate(calls) if call.name and _gives_map(call, size)]
    if not usable:
        raise _no_layer(f"no layer with a map of {MIN_CELLS} or more cells")
    tokens = [call for call in calls[usable[-1] + 1 :] if call.name and _gives_tokens(call, size)]
    if tokens:
        raise _no_layer(f"tokens: {tokens[-1].name} gives {_told(tokens[-1].output)}")
    return calls[usable[-1]].name


def check_layer(model: nn.Module, name: str, inputs: Tensor) -> None:
    """Refuse a named layer that Grad-CAM cannot use; the model is run once, on the first image.

    Raises
    ------
    SubjectError
        No module has the name (close ones are listed), it does not run exactly once, or its output is not one
        ``[B, C, h, w]`` in the proportions of the image with ``h * w >= 4``.
    """
    _check_name(model, name)
    calls = [call for call in _calls(model, inputs) if call.module is model.get_submodule(name)]
    if len(calls) != 1:
        raise _unusable(name, f"{len(calls)} calls in one forward pass", "exactly one call")
    if not _gives_map(calls[0], inputs.shape[-2:], named=True):
        expected = f"one [B, C, h, w] with {MIN_CELLS} or more cells in the proportions of the image"
        raise _unusable(name, _told(calls[0].output), expected)


def _check_name(model: nn.Module, name: str) -> None:
    names = [known for known, _ in model.named_modules() if known]
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise SubjectError(
        "LAYER_UNKNOWN",
        f"layer {name}",
        found="no module of that name",
        expected="a name from model.named_modules()",
        fix=f"did you mean {', '.join(close)}?" if close else f"the last ones are {', '.join(names[-3:])}",
    )


def model_dtype(model: nn.Module) -> torch.dtype:
    """Dtype of the model's first floating-point parameter; float32 where it has none."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _calls(model: nn.Module, inputs: Tensor) -> list[_Call]:
    calls: list[_Call] = []

    def completed(name: str, module: nn.Module, _arguments: Any, output: Any) -> None:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        calls.append(_Call(name, module, shape))

    first = inputs[:1].detach().to(model_dtype(model), copy=True)
    with _hooked(model, completed), torch.no_grad():
        try:
            model(first)
        except _FORWARD_ERRORS as error:
            raise SubjectError(
                "MODEL_FORWARD",
                "model",
                found=f"{type(error).__name__}: {str(error)[:200]}",
                expected=f"a forward pass of {list(inputs[:1].shape)}",
                fix="check the number of channels and the size in the preprocessing",
            ) from error
    return calls


@contextmanager
def _hooked(model: nn.Module, completed: Any) -> Iterator[None]:
    handles = [module.register_forward_hook(partial(completed, name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _once(calls: list[_Call]) -> list[_Call]:
    names = [call.name for call in calls]
    return [call for call in calls if names.count(call.name) == 1]


def _gives_map(call: _Call, size: torch.Size, *, named: bool = False) -> bool:
    if isinstance(call.output, str) or len(call.output) != 4:
        return False
    if isinstance(call.module, _PASSING) and not named:
        return False
    h, w = call.output[-2:]
    return h * w >= MIN_CELLS and abs(math.log((h / w) / (size[0] / size[1]))) <= math.log(MAX_ASPECT_RATIO)


def _gives_tokens(call: _Call, size: torch.Size) -> bool:
    """Whether positions live on after the last map in another layout: ``[B, N, D]`` or ``[B, h, w, C]``."""
    if isinstance(call.output, str) or isinstance(call.module, _PASSING):
        return False
    if len(call.output) == 3:
        return min(call.output[1:]) > 1
    return len(call.output) == 4 and math.prod(call.output[2:]) >= MIN_CELLS and not _gives_map(call, size)


def _refuse_attention(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            raise _no_layer(f"tokens: {name} is a MultiheadAttention")


def _no_layer(found: str) -> SubjectError:
    return SubjectError(
        "LAYER_CHOICE",
        "model",
        found=found,
        expected="a convolutional network that keeps its map to the end",
        fix="name a layer that gives [B, C, h, w]",
    )


def _unusable(name: str, found: str, expected: str) -> SubjectError:
    return SubjectError(
        "LAYER_OUTPUT",
        f"layer {name}",
        found=found,
        expected=expected,
        fix="name another layer, or none to have one chosen",
    )


def _told(output: tuple[int, ...] | str) -> str:
    return output if isinstance(output, str) else f"shape {list(output)}"
