"""A forward pass of somebody else's code that failed: whose fault it was, as far as the traceback tells."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

from figureground.errors import FiguregroundError, SubjectError

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Where a module keeps what others have registered on it.
REGISTRIES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def forward_failed(error: Exception, model: nn.Module, inputs: Tensor) -> FiguregroundError:
    """The error to raise in place of what a forward pass raised; one of our own is given back as it is."""
    if isinstance(error, FiguregroundError):
        return error
    said = f"{type(error).__name__}: {str(error)[:200]}"
    hook = _raised_by(error, model)
    if hook is not None:
        return SubjectError(
            "MODEL_HOOK",
            "model",
            found=f"{hook}, which raises {said}",
            expected="hooks that let a forward pass through",
            fix="remove the hook before the audit",
        )
    wanted, given = _channels(model), int(inputs.shape[1])
    if wanted is not None and wanted[1] != given:
        return _of_channels(*wanted, given)
    return SubjectError(
        "MODEL_FORWARD",
        "model",
        found=said,
        expected=f"a forward pass of {list(inputs.shape)}",
        fix="check the number of channels and the size in the preprocessing",
    )


def hooks_of(module: nn.Module) -> Iterator[Callable[..., Any]]:
    """Everything that is registered on one module itself."""
    for registry in REGISTRIES:
        yield from getattr(module, registry).values()


def hook_named(hook: Callable[..., Any], name: str) -> str:
    """A hook in words: its own name, and where it is registered."""
    function = _function(hook)
    return f"the hook {getattr(function, '__qualname__', type(function).__name__)} on {name or 'the model'}"


def _raised_by(error: Exception, model: nn.Module) -> str | None:
    """The hook that the traceback leads through; None where it leads through none."""
    passed = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    for name, module in model.named_modules():
        for hook in hooks_of(module):
            if _code(hook) in passed:
                return hook_named(hook, name)
    return None


def _function(hook: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(hook, partial):
        hook = hook.func
    return hook


def _code(hook: Callable[..., Any]) -> CodeType | None:
    function = _function(hook)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _channels(model: nn.Module) -> tuple[str, int] | None:
    """Name and input channels of the first convolution."""
    for name, module in model.named_modules():
        channels = getattr(module, "in_channels", None)
        if isinstance(channels, int) and hasattr(module, "kernel_size"):
            return name or "the model", channels
    return None


def _of_channels(name: str, wanted: int, given: int) -> SubjectError:
    fixes = {1: "--channels gray", 3: "--channels rgb"}
    return SubjectError(
        "MODEL_CHANNELS",
        "model",
        found=f"images of {given} channel{'s' * (given > 1)}",
        expected=f"{wanted}, which {name} takes",
        fix=fixes.get(wanted, "wrap the model so that it makes its channels of a picture in color or in gray"),
    )
