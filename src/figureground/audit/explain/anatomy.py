"""What one forward pass shows of a network: how often modules run, what happens between them, what memory it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

#: Names of functions that hand values on as they are: relevance passes through them unchanged.
_PASSING = frozenset(
    (
        "flatten",
        "view",
        "reshape",
        "permute",
        "transpose",
        "squeeze",
        "unsqueeze",
        "contiguous",
        "clone",
        "to",
        "float",
        "double",
        "as_tensor",
        "get",
        "cat",
        "concat",
        "stack",
        "pad",
        "dropout",
        "getitem",
        "chunk",
        "split",
    )
)
_RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_CLAMPS = (torch.clamp, torch.clamp_min, Tensor.clamp, Tensor.clamp_, Tensor.clamp_min, Tensor.clamp_min_)
#: Where a model keeps nothing for a backward pass that we could see, its memory is taken for that of so many inputs.
_ASSUMED_INPUTS = 32


@dataclass(frozen=True)
class Anatomy:
    """Of a network, at one size of input.

    Attributes
    ----------
    calls : mapping of str to int
        How often each module runs in a forward pass, by its name.
    relus : int
        Runs of a ReLU, as a module or as a function, in place or not.
    outside : tuple of str
        Functions that compute values between the modules, such as ``add``.
    bytes_per_image : int
        Memory that a forward and backward pass of one image takes, roughly.
    """

    calls: Mapping[str, int]
    relus: int
    outside: tuple[str, ...]
    bytes_per_image: int

    def images_in(self, budget_mb: int) -> int:
        """How many images fit into so many mebibytes, at least one."""
        return max(1, budget_mb * 2**20 // max(self.bytes_per_image, 1))


@dataclass(frozen=True, eq=False)
class Anatomies:
    """The anatomies of networks that were seen, so that each is looked at once; it keeps no network alive."""

    known: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], Anatomy]] = field(default_factory=WeakKeyDictionary)

    def __call__(self, model: nn.Module, pixels: Tensor, answer: Callable[[Tensor], Tensor]) -> Anatomy:
        """That of ``model`` for images ``[B, C, H, W]``, of which the first is shown to it at most once."""
        seen, shape = self.known.setdefault(model, {}), tuple(pixels.shape[1:])
        if shape not in seen:
            seen[shape] = anatomy(model, pixels[:1], answer)
        return seen[shape]


def anatomy(model: nn.Module, image: Tensor, answer: Callable[[Tensor], Tensor]) -> Anatomy:
    """The anatomy of a network, from one forward pass.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    image : Tensor
        Float ``[1, C, H, W]``, normalised.
    answer : callable
        Runs the model on an image.
    """
    watched, calls, kept = _Watched(), Counter[str](), _Kept(model)
    with torch.inference_mode(False), torch.enable_grad():
        shown = image.detach().clone().requires_grad_()
        with _counted(model, calls, watched), watched, kept.watching():
            answer(shown)
    least = _ASSUMED_INPUTS * image.numel() * image.element_size()
    return Anatomy(dict(calls), watched.relus, tuple(dict.fromkeys(watched.outside)), max(2 * kept.bytes, least))


def is_relu(function: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Whether a call of a function of torch is that of a ReLU."""
    if function in _RELUS:
        return True
    if function not in _CLAMPS:
        return False
    bounds = dict(zip(("min", "max"), arguments[1:], strict=False)) | dict(named)
    return bounds.get("max") is None and not isinstance(bounds.get("min"), Tensor) and bounds.get("min") == 0


class _Watched(TorchFunctionMode):
    """Sees every function of torch that is called; ``inside`` counts the modules without parts that run now."""

    def __init__(self) -> None:
        super().__init__()
        self.relus, self.inside, self.outside = 0, 0, list[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        self.relus += is_relu(func, args, named)
        found = func(*args, **named)
        name = "relu" if is_relu(func, args, named) else told(func, args)
        if not self.inside and isinstance(found, Tensor) and found.requires_grad and name not in _PASSING:
            self.outside.append(name)
        return found


def told(function: Any, arguments: tuple[Any, ...]) -> str:
    """The name of a function, the same in place and as an operator.

    A product or quotient of two tensors is told apart from that of one with a number, which is linear; and so is a sum
    with a number from that of two tensors, through which relevance is divided.
    """
    name = str(getattr(function, "__name__", function)).strip("_")
    name = {"iadd": "add", "radd": "add"}.get(name, name)
    tensors = sum(isinstance(each, Tensor) for each in arguments)
    if name == "add":
        return "add" if tensors > 1 else "add of a number"
    return f"{name} of tensors" if tensors > 1 and name in ("mul", "imul", "div", "truediv", "itruediv") else name


@contextmanager
def _counted(model: nn.Module, calls: Counter[str], watched: _Watched) -> Iterator[None]:
    with ExitStack() as stack:
        for name, module in model.named_modules():
            last = not next(module.children(), None)
            stack.callback(module.register_forward_pre_hook(_entering(name, last, calls, watched)).remove)
            stack.callback(module.register_forward_hook(_leaving(last, watched)).remove)
        yield


def _entering(name: str, last: bool, calls: Counter[str], watched: _Watched) -> Callable[..., None]:
    def enter(*_: Any) -> None:
        calls[name] += 1
        watched.inside += last

    return enter


def _leaving(last: bool, watched: _Watched) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        watched.inside -= last

    return leave


class _Kept:
    """Bytes that autograd keeps for the backward pass, the model's own parameters and buffers apart."""

    def __init__(self, model: nn.Module) -> None:
        owned = [*model.parameters(), *model.buffers()]
        self.seen = {each.untyped_storage().data_ptr() for each in owned}
        self.bytes = 0

    def watching(self) -> saved_tensors_hooks:
        """While this is entered, what is kept is counted."""
        return saved_tensors_hooks(self._keep, lambda kept: kept)

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor.detach()  # holds the memory, so that no address is used twice
