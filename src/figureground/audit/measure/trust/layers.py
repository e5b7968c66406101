"""Does Grad-CAM say the same one resolution earlier?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.classify.subject import evaluating
from figureground.audit.explain.layers import check_layer, model_dtype
from figureground.errors import SubjectError

NAME = "second_layer"
#: Candidates that are tried before giving up.
MAX_TRIED = 12


def earlier_layer(module: nn.Module, layer: str, inputs: Tensor) -> str | None:
    """The last layer before ``layer`` whose map has another resolution; None where there is none.

    "Before" is in order of completion of one forward pass of the first input ``[1 or more, C, H, W]``. Pooling and
    dropout only hand on the map of the layer before them and are passed over, as in
    :func:`~figureground.audit.explain.layers.choose_layer`.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    first = inputs[:1].to(device)
    with evaluating(module):
        calls = _completed(module, first)
        names = [name for name, _ in calls]
        if layer not in names:
            return None
        at = names.index(layer)
        size = calls[at][1]
        candidates = [name for name, shape in reversed(calls[:at]) if shape != size and _looks(module, name)]
        return next((name for name in candidates[:MAX_TRIED] if _usable(module, name, first)), None)


def _completed(module: nn.Module, first: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    calls: list[tuple[str, tuple[int, ...]]] = []
    with _watched(module, calls), torch.no_grad():
        module(first.to(model_dtype(module), copy=True))
    return calls


@contextmanager
def _watched(module: nn.Module, calls: list[tuple[str, tuple[int, ...]]]) -> Iterator[None]:
    def noting(name: str) -> Any:
        def note(_module: nn.Module, _arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                calls.append((name, tuple(output.shape[-2:])))

        return note

    handles = [part.register_forward_hook(noting(name)) for name, part in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _looks(module: nn.Module, name: str) -> bool:
    kind = type(module.get_submodule(name)).__module__
    return kind not in ("torch.nn.modules.pooling", "torch.nn.modules.dropout")


def _usable(module: nn.Module, name: str, first: Tensor) -> bool:
    try:
        check_layer(module, name, first)
    except SubjectError:
        return False
    return True
