"""A caller's own attribution method: a small class, checked wherever it is used."""

from __future__ import annotations

import hashlib
import inspect
import re
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from figureground.audit.methods.specs import BY_NAME, Sign
from figureground.errors import SubjectError, UsageError

#: Largest difference between a picture's map in a batch and alone, relative to the largest value of the map.
MAX_DIFFERENCE = 1e-3
_FIX = "correct the method's class"


@runtime_checkable
class OwnMethod(Protocol):
    """An attribution method of the caller's.

    Beside what is listed it may have ``sign``, "positive" (what speaks for the class is kept; the default) or
    "absolute", and ``cost``, forward-equivalents for one image (default: 3, a forward and a backward pass). Settings
    belong into fields of a dataclass, since ``repr`` is what a run is known by.

    Attributes
    ----------
    name : str
        An identifier that no method of ours has.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class GradientTimesContrast:
    ...     name: str = "gradient_times_contrast"
    ...
    ...     def __call__(self, model, inputs, target):
    ...         pixels = inputs.clone().requires_grad_()
    ...         model(pixels).gather(1, target[:, None]).sum().backward()
    ...         return (pixels.grad * (inputs - inputs.mean((2, 3), keepdim=True))).sum(1)
    >>> from figureground.audit.explain.registry import explainer_for
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).eval()
    >>> explained = explainer_for(["saliency", GradientTimesContrast()], model)(model, torch.rand(5, 3, 4, 4))
    >>> explained.maps["gradient_times_contrast", "positive"].shape
    torch.Size([5, 4, 4])
    """

    name: str

    def __call__(self, model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
        """Signed float maps ``[B, h, w]`` for normalised ``[B, C, H, W]`` and the classes int64 ``[B]``."""
        ...


def as_own(given: Any) -> OwnMethod:
    """The method, made where a class was given; refused where it lacks something.

    Raises
    ------
    UsageError
        It cannot be called, has no name, has a name of ours, or keeps another sign.
    """
    method = _made(given) if isinstance(given, type) else given
    name, sign = getattr(method, "name", None), getattr(method, "sign", "positive")
    if not callable(method) or not isinstance(name, str) or not name.isidentifier():
        found, expected = (
            f"a {type(method).__name__} named {name!r}",
            "something to call, with an identifier as its name",
        )
        raise UsageError("METHOD_OWN", "methods", found=found, expected=expected, fix=_FIX)
    if name in BY_NAME:
        raise UsageError("METHOD_OWN", f"method {name}", found="a name of ours", expected="another", fix="rename it")
    if sign not in ("positive", "absolute"):
        expected = "positive or absolute"
        raise UsageError("METHOD_OWN", f"method {name}: sign", found=repr(sign), expected=expected, fix=_FIX)
    return method  # type: ignore[no-any-return]  # what was looked at above


def _made(of: type[Any]) -> Any:
    try:
        return of()
    except Exception as error:  # code of the caller's may raise anything
        found = f"a class that cannot be made without arguments ({type(error).__name__}: {error})"
        expected = "defaults for all settings, or an object in place of the class"
        raise UsageError("METHOD_OWN", f"method {of.__name__}", found=found, expected=expected, fix=_FIX) from error


def sign_of(method: OwnMethod) -> Sign:
    """What is kept of its maps."""
    return "absolute" if getattr(method, "sign", "positive") == "absolute" else "positive"


def own_maps(method: OwnMethod, model: nn.Module, pixels: Tensor, target: Tensor) -> Tensor:
    """Its maps, detached, after a look at their shape.

    Raises
    ------
    SubjectError
        They are no float tensor ``[B, h, w]``.
    """
    found = method(model, pixels.clone(), target.clone())
    if isinstance(found, Tensor) and found.is_floating_point() and found.ndim == 3 and len(found) == len(pixels):
        return found.detach()
    told = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
    expected = f"float [{len(pixels)}, h, w]"
    raise SubjectError("METHOD_OWN", f"method {method.name}", found=told, expected=expected, fix=_FIX)


def check_alone(method: OwnMethod, model: nn.Module, pixels: Tensor, target: Tensor) -> None:
    """Refuse a method whose map of a picture depends on the others of its batch, seen on ``[2 or more, C, H, W]``.

    Raises
    ------
    UsageError
        A map in the batch differs from the one alone.
    """
    together = own_maps(method, model, pixels, target)
    alone = torch.cat([own_maps(method, model, pixels[[i]], target[[i]]) for i in range(len(pixels))])
    difference = float((together - alone).abs().max() / together.abs().max().clamp(min=1e-12))
    if difference > MAX_DIFFERENCE:
        raise UsageError(
            "METHOD_BATCH",
            f"method {method.name}",
            found=f"maps that differ by {difference:.2g} of their largest value when a picture is explained alone",
            expected="the same map whatever else is in the batch",
            fix="normalise each image by itself, and seed what is random from the image",
        )


def identity_of(method: OwnMethod) -> str:
    """Where the class is, its settings, and the hash of its source: what a run with it is known by."""
    of = type(method)
    settings = re.sub(r" at 0x[0-9a-f]+", "", repr(method))  # an address differs from run to run
    try:
        source = hashlib.sha256(inspect.getsource(of).encode()).hexdigest()[:16]
    except (OSError, TypeError):  # typed into an interpreter
        source = "unknown"
    return f"{of.__module__}:{of.__qualname__} {settings} source {source}"
