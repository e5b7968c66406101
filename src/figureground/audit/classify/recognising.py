"""Which architectures of torchvision and timm a file of weights fits, names and shapes alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from figureground.audit.classify.blueprints import TIMM, TORCHVISION, Blueprint
from figureground.audit.classify.weights import prefixes, read_weights

_Shapes = Mapping[str, tuple[int, ...]]
#: What torchvision's architectures are built with where nothing is said.
_OUTPUTS = 1000


@dataclass(frozen=True)
class Fit:
    """An architecture that a file fits completely.

    Attributes
    ----------
    spec : str
        As for ``--model-class``.
    outputs : int
        Number of logits.
    prefix : str
        What stands before the name of every weight in the file.
    """

    spec: str
    outputs: int
    prefix: str = ""


def recognise(path: str | Path, allow_globals: tuple[str, ...] = ()) -> list[Fit]:
    """All architectures whose tensors are those of the file, by name and shape; nothing is allocated for them.

    Parameters
    ----------
    path : path
        ``.safetensors``, or what ``torch.save`` or Lightning wrote.
    allow_globals : tuple of str
        As for :func:`~figureground.audit.classify.weights.read_weights`.

    Raises
    ------
    SubjectError, IntegrityError
        As for :func:`~figureground.audit.classify.weights.read_weights`.
    """
    weights = read_weights(path, allow_globals=allow_globals, allow_nonfinite=True)
    found = []
    for prefix in prefixes(weights.tensors):
        given = {name.removeprefix(prefix): tuple(value.shape) for name, value in weights.tensors.items()}
        found += [Fit(spec, outputs, prefix) for spec, outputs in _fitting(given)]
    return found


def _fitting(given: _Shapes) -> Iterator[tuple[str, int]]:
    for spec, usual in _candidates(given):
        outputs = _outputs(_shapes(spec, usual), given, usual)
        if outputs is not None and (outputs == usual or _shapes(spec, outputs) == given):
            yield spec, outputs


def _candidates(given: _Shapes) -> Iterator[tuple[str, int]]:
    """Architectures that may fit, with the number of outputs that they have as a rule."""
    for name in torchvision.models.list_models(module=torchvision.models):
        yield f"{TORCHVISION}{name}", _OUTPUTS
    try:
        import timm
    except ImportError:
        return
    for name in timm.list_models():
        about = timm.get_pretrained_cfg(name)
        # timm knows what the first and the last layer of each are called, so that most need not be built.
        if about is None or all(_has(given, part) for part in (about.first_conv, about.classifier)):
            yield f"{TIMM}{name}", _OUTPUTS


def _has(given: _Shapes, layers: Any) -> bool:
    named = (layers,) if isinstance(layers, str) else tuple(layers or ())
    return all(any(name.startswith(f"{layer}.") for name in given) for layer in named)


def _outputs(wanted: _Shapes | None, given: _Shapes, usual: int) -> int | None:
    """The number of outputs with which an architecture could fit; None where it cannot."""
    if wanted is None or wanted.keys() != given.keys():
        return None
    differing = [(wanted[name], given[name]) for name in wanted if wanted[name] != given[name]]
    ends = {(old[:1], new[:1]) for old, new in differing if old[1:] == new[1:] and old[:1] == (usual,)}
    if not differing:
        return usual
    if len(ends) != 1 or not all(old[1:] == new[1:] and old[:1] == (usual,) for old, new in differing):
        return None
    ((_, (outputs,)),) = ends
    return outputs


def _shapes(spec: str, outputs: int) -> _Shapes | None:
    """Shapes of the tensors of an architecture; None where it cannot be built without memory."""

    def build() -> nn.Module:
        return Blueprint(spec).build(outputs)

    for without in (_without_memory, _pretended):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what libraries say of architectures that nobody asked for
                state = without(build).state_dict()
        except Exception:  # noqa: S112  (some compute with their own weights, which have none here)
            continue
        return {name: tuple(value.shape) for name, value in state.items()}
    return None


def _without_memory(build: Callable[[], nn.Module]) -> nn.Module:
    with _Empty():
        return build()


def _pretended(build: Callable[[], nn.Module]) -> nn.Module:
    with FakeTensorMode(allow_non_fake_inputs=True):
        return build()


class _Empty(TorchFunctionMode):
    """Weights on the meta device, and everything else where it is: widths are computed with small tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        more = dict(kwargs or {})
        if func is torch.empty and more.get("device") is None:
            more["device"] = "meta"
        return func(*args, **more)
