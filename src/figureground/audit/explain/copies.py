"""Copies of a network in which every run of an activation is a module of its own, for methods that hook modules.

Captum's DeepLift and LRP keep what they need on the module: where one module runs twice they mix up its runs and give
wrong values without a word, and where a module works in place they see its result as its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.explain.asked import Asked, cannot

_DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)


class Successive(nn.Module):
    """A module that runs several times in a forward pass, as one copy for each run.

    Parameters
    ----------
    module : nn.Module
    runs : int
    """

    def __init__(self, module: nn.Module, runs: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList(deepcopy(module) for _ in range(runs))
        self.at = 0

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """What the next copy gives."""
        self.at += 1
        return self.copies[(self.at - 1) % len(self.copies)](*arguments, **named)


class _Flattened(nn.Module):
    """``nn.Flatten`` as a function beside a module that does nothing: methods ask for a rule of every module."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__()
        self.idle, self.start, self.end = nn.Dropout(0.0), start, end

    def forward(self, values: Tensor) -> Tensor:
        return torch.as_tensor(self.idle(values)).flatten(self.start, self.end)


def separated(asked: Asked, method: str, instead: str) -> nn.Module:
    """A copy of the model in evaluation mode, nothing in place, no module without parts that runs more than once.

    Raises
    ------
    UsageError
        The model cannot be copied.
    """
    try:
        copy = deepcopy(asked.model).to(asked.pixels.dtype)
    except Exception as error:  # a model of somebody else's may hold anything
        raise cannot(method, f"a model that cannot be copied ({type(error).__name__})", "a copy", instead) from error
    copy.eval().requires_grad_(False)
    made = _replacements(copy, asked.anatomy.calls)
    for parent in list(copy.modules()):
        for name, child in list(parent.named_children()):
            if child in made:
                setattr(parent, name, made[child])
    copy.register_forward_pre_hook(_rewind)
    return copy


def _replacements(copy: nn.Module, calls: Mapping[str, int]) -> dict[nn.Module, nn.Module]:
    made: dict[nn.Module, nn.Module] = {}
    for name, module in copy.named_modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
        if not name or next(module.children(), None) is not None:
            continue
        runs = calls.get(name, 0)
        # What never runs, such as a metric beside the network, needs no rule; weights may be read without a run.
        idle = runs == 0 and next(module.parameters(), None) is None
        known = nn.Dropout(0.0).eval() if idle else _known(module)
        if runs > 1:
            made[module] = Successive(known, runs)
        elif known is not module:
            made[module] = known
    return made


def _known(module: nn.Module) -> nn.Module:
    """What does the same in evaluation mode and is known to every method."""
    if isinstance(module, nn.Flatten):
        return _Flattened(module.start_dim, module.end_dim)
    return nn.Dropout(0.0).eval() if isinstance(module, _DROPOUTS) else module


def _rewind(module: nn.Module, _arguments: Any) -> None:
    for each in module.modules():
        if isinstance(each, Successive):
            each.at = 0
