"""Which architectures of torchvision and timm a file of weights fits, names and shapes alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from figureground.audit.classify.blueprints import TIMM, TORCHVISION, Blueprint
from figureground.audit.classify.weights import prefixes, read_weights
from figureground.errors import UsageError

_Shapes = Mapping[str, tuple[int, ...]]
#: What torchvision's architectures are built with where nothing is said.
_OUTPUTS = 1000
#: Kernels of fewer channels are made for a moment by some, to learn what a layer would be like.
_SMALL = 16


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
        outputs = _outputs(_shapes(spec, usual, given), given, usual)
        if outputs is not None and (outputs == usual or _shapes(spec, outputs, given) == given):
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


def _shapes(spec: str, outputs: int, given: _Shapes) -> _Shapes | None:
    """Shapes of the tensors of an architecture; None as soon as one is seen that the file does not have."""
    kernels = None if "pruned" in spec else frozenset(shape for shape in given.values() if len(shape) == 4)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what libraries say of architectures that nobody asked for
            state = _built(spec, outputs, kernels).state_dict()
    except _Stranger:
        return None
    return {name: tuple(value.shape) for name, value in state.items()}


def _built(spec: str, outputs: int, kernels: frozenset[tuple[int, ...]] | None) -> nn.Module:
    try:
        with _Empty(kernels, outputs):
            return Blueprint(spec).build(outputs)
    except UsageError as error:
        if isinstance(error.__cause__, _Stranger):
            raise error.__cause__ from None
    # A few run a part of themselves to learn its size, which takes weights. All of their kernels are in the file.
    return Blueprint(spec).build(outputs)


class _Stranger(Exception):
    """A kernel that the file does not have: this architecture need not be built further."""


class _Empty(TorchFunctionMode):
    """Weights on the meta device, and everything else where it is: widths are computed with small tensors.

    Kernels of convolutions are looked up as they are made, so that most architectures end after a few layers. Some
    libraries make small or depthwise ones that they throw away again; those are passed over, and so are architectures
    whose layers are replaced after they were made (``kernels`` None).
    """

    def __init__(self, kernels: frozenset[tuple[int, ...]] | None, outputs: int) -> None:
        super().__init__()
        self.kernels, self.outputs = kernels, outputs
        self.tails = frozenset(shape[1:] for shape in kernels or ())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        more = dict(kwargs or {})
        if func is not torch.empty or more.get("device") is not None:
            return func(*args, **more)
        made = func(*args, **more | {"device": "meta"})
        if self._strange(tuple(made.shape)):
            raise _Stranger(str(list(made.shape)))
        return made

    def _strange(self, shape: tuple[int, ...]) -> bool:
        if self.kernels is None or len(shape) != 4 or shape[0] < _SMALL or shape[1] == 1:
            return False
        last = shape[0] == self.outputs and shape[1:] in self.tails
        return shape not in self.kernels and not last
