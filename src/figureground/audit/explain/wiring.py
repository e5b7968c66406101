"""What reads what in one forward pass: which batch normalisations follow a convolution that nothing else reads.

The pass is observed below autograd, operation by operation, and so whatever the forward is written in: a traced graph
(``torch.fx``) fails on most models that take keyword arguments, branch on shapes or are Lightning modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from figureground.audit.forward.errors import hooks_of

_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}
_CONVOLUTIONS = {nn.Conv1d, nn.Conv2d, nn.Conv3d}


@dataclass(frozen=True)
class Pair:
    """A convolution and the batch normalisation that alone reads its output; both run once in a pass.

    Attributes
    ----------
    convolution, norm : str
        Names as in ``model.named_modules()``.
    """

    convolution: str
    norm: str


def foldable_pairs(model: nn.Module, inputs: Tensor, keep: Collection[str] = ()) -> list[Pair]:
    """Pairs of which a batch normalisation can be folded into its convolution without changing any other tensor.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode; it is run once, and raises what its forward raises.
    inputs : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects.
    keep : collection of str
        Names of modules whose own output somebody looks at: neither they nor what alone makes their output is folded.

    Returns
    -------
    list of Pair
        In the order of the pass. Parts with hooks, and subclasses of the library's own layers, are never among them. It
        is empty for a model that takes a decision on values of its tensors: another image may go another way.
    """
    seen = _observed(model, inputs, keep)
    if seen.decides:
        return []
    found = [_pair(model, seen, norm) for norm in seen.norms]
    return [pair for pair in found if pair is not None and not {pair.convolution, pair.norm} & {*keep}]


def read_by_rectifiers(model: nn.Module, inputs: Tensor, keep: Collection[str] = ()) -> list[str]:
    """Names of convolutions of which every output is read by an ``nn.ReLU`` alone; arguments as for the pairs."""
    given: list[Tensor] = []
    rectifiers = [part for part in model.modules() if type(part) is nn.ReLU and not list(hooks_of(part))]
    handles = [part.register_forward_pre_hook(lambda _part, args: given.append(args[0])) for part in rectifiers]
    try:
        seen = _observed(model, inputs, keep)
    finally:
        for handle in handles:
            handle.remove()
    if seen.decides:
        return []
    found = [(_owner(model, weight), output) for output, weight in seen.weights.values() if seen.reads[id(weight)] == 1]
    rectified = {id(tensor) for tensor in given} - {id(tensor) for tensor in seen.kept}
    return [
        name
        for name, output in found
        if name is not None and name not in keep and id(output) in rectified and seen.read_raw(output) == 1
    ]


def _owner(model: nn.Module, weight: Tensor) -> str | None:
    """The one convolution without hooks that has this weight; None where a subclass of the library's is somebody's."""
    owners = {name: part for name, part in model.named_modules(remove_duplicate=False) if _has(part, "weight", weight)}
    if len(owners) != 1:
        return None
    ((name, part),) = owners.items()
    plain = type(part).__module__.startswith(("torch.nn.", __name__.rpartition(".")[0]))
    return name if isinstance(part, nn.Conv2d) and plain and not list(hooks_of(part)) else None


@dataclass(eq=False)
class _Norm:
    given: Tensor
    mean: Tensor
    output: Tensor


@dataclass(eq=False)
class _Seen:
    """Reads by tensor identity; outputs of convolutions are held, so that theirs is not given twice."""

    reads: Counter[int] = field(default_factory=Counter)
    before: dict[int, int] = field(default_factory=dict)  # reads up to a rectifier that writes in place
    weights: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # by the output: (output, weight)
    norms: list[_Norm] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)
    decides: bool = False

    def read_raw(self, output: Tensor) -> int:
        """Reads of an output as it was written, not as a rectifier changed it in place."""
        return self.before.get(id(output), self.reads[id(output)])


class _Observer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seen: _Seen) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        self._seen.reads.update(map(id, given))
        name = func.overloadpacket.__name__
        if name == "relu_":  # whoever reads the tensor from here on reads the rectifier's output
            self._seen.before.setdefault(id(given[0]), self._seen.reads[id(given[0])])
        if name == "convolution":
            self._seen.weights[id(output)] = (output, args[1])
            self._seen.before.pop(id(output), None)
            self._seen.reads[id(output)] = 0  # an earlier tensor, gone by now, may have had this identity
        elif "batch_norm" in name:
            self._seen.norms += [_Norm(given[0], mean, output[0]) for mean in given[1:]]
        # A number or a truth made of a tensor, or a size that depends on one.
        if given and not any(isinstance(leaf, Tensor) for leaf in tree_leaves(output)) and output is not None:
            self._seen.decides = True
        if torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags:
            self._seen.decides = True
        return output


def _observed(model: nn.Module, inputs: Tensor, keep: Collection[str]) -> _Seen:
    seen = _Seen()
    watched = [module for name, module in model.named_modules() if name in keep]

    def kept(_module: nn.Module, _arguments: Any, output: Any) -> None:
        seen.kept += [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]

    handles = [module.register_forward_hook(kept) for module in watched]
    try:
        with torch.no_grad(), _Observer(seen):
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _pair(model: nn.Module, seen: _Seen, norm: _Norm) -> Pair | None:
    output, weight = seen.weights.get(id(norm.given), (None, None))
    if output is None or weight is None:
        return None
    convolution, follower = _named(model, "weight", weight), _named(model, "running_mean", norm.mean)
    if convolution is None or follower is None:
        return None
    read_once = all(seen.reads[id(tensor)] == 1 for tensor in (output, weight, norm.mean))
    looked_at = any(tensor is output or tensor is norm.output for tensor in seen.kept)
    return Pair(convolution, follower) if read_once and not looked_at else None


def _named(model: nn.Module, field_name: str, tensor: Tensor) -> str | None:
    """The one plain layer without hooks and in evaluation mode that has this tensor."""
    wanted = _CONVOLUTIONS if field_name == "weight" else _NORMS
    owners = {name: part for name, part in model.named_modules() if _has(part, field_name, tensor)}
    if len(owners) != 1:
        return None
    ((name, part),) = owners.items()
    return name if type(part) in wanted and not part.training and not list(hooks_of(part)) else None


def _has(part: nn.Module, field_name: str, tensor: Tensor) -> bool:
    return getattr(part, field_name, None) is tensor


def aliases(model: nn.Module, module: nn.Module) -> Iterator[str]:
    """All names of a module, as one may be reached by several."""
    return (name for name, part in model.named_modules(remove_duplicate=False) if part is module and name)
