"""A network whose activations and sums that are functions run as modules, for methods that hook modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

# The module of sums that Captum's LRP has a rule for; its documentation names it, its public names do not.
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from figureground.audit.explain.anatomy import is_relu, told

#: From the arguments of a function, the first left out: a module that does the same to it, or None where none does.
Maker = Callable[[tuple[Any, ...]], nn.Module | None]
ACTIVATIONS: Mapping[str, Maker] = {
    "relu": lambda _: nn.ReLU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "tanh": lambda _: nn.Tanh(),
}
SUMS: Mapping[str, Maker] = {
    "relu": lambda _: nn.ReLU(),
    "tanh": lambda _: nn.Tanh(),
    "add": lambda rest: Addition_Module() if len(rest) == 1 else None,
    "adaptive_avg_pool2d": lambda rest: nn.AdaptiveAvgPool2d(rest[0]) if len(rest) == 1 else None,
}


class Routed(nn.Module):
    """A network, on a copy of the images, whose named functions are run by modules of their own.

    The first pass makes a module for every call; later passes take them in the same order.

    Parameters
    ----------
    network : nn.Module
        A copy that belongs to us: it bears hooks.
    makers : mapping of str to Maker
        By the name of the function.
    """

    def __init__(self, network: nn.Module, makers: Mapping[str, Maker]) -> None:
        super().__init__()
        self.network, self.makers = network, makers
        self.made: list[nn.Module] = []
        self.inside = self.at = 0
        for module in network.modules():
            if next(module.children(), None) is None:
                module.register_forward_pre_hook(lambda *_: self._enter(1))
                module.register_forward_hook(lambda *_: self._enter(-1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits ``[B, K]``."""
        self.inside = self.at = 0
        shown = pixels.clone()
        with _Routing(self):
            return torch.as_tensor(self.network(shown))

    def _enter(self, by: int) -> None:
        self.inside += by

    def module_for(self, function: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> nn.Module | None:
        """The module that takes this call; None where the function itself does."""
        name = "relu" if is_relu(function, arguments, named) else told(function, arguments)
        if self.inside or name not in self.makers:
            return None
        rest = () if name == "relu" else arguments[1:]
        if self.at == len(self.made):
            made = self.makers[name](rest)
            if made is None:
                return None
            self.add_module(f"made_{self.at}", made.eval())
            self.made.append(made)
        self.at += 1
        return self.made[self.at - 1]


class _Routing(TorchFunctionMode):
    def __init__(self, routed: Routed) -> None:
        super().__init__()
        self.routed = routed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        module = self.routed.module_for(func, args, kwargs or {})
        if module is None:
            return func(*args, **(kwargs or {}))
        return module(*(each for each in args[:2] if isinstance(each, Tensor)))
