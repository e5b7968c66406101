"""Which layer Grad-CAM looks at: found by running the model once, or named and checked."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.declared.config import LAYOUTS, Layout
from figureground.audit.forward.errors import forward_failed
from figureground.audit.forward.layouts import MIN_CELLS, Size, as_map, cells_of, layout_of
from figureground.errors import UsageError

#: They hand on, or thin out, the map of the layer before them; that layer is the one to name.
_PASSING = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d,
    nn.FractionalMaxPool2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout, nn.Identity, nn.Flatten,
)  # fmt: skip
_NO_MAP = "or leave Grad-CAM out: --methods saliency"
#: Layers that a refusal names.
_NAMED = 3


@dataclass(frozen=True)
class CamLayer:
    """A layer that Grad-CAM can look at.

    Attributes
    ----------
    name : str
        As in ``model.named_modules()``.
    layout : {"NCHW", "NHWC", "tokens"}
        How its output is read as a map.
    calls : int
        How often it runs in a forward pass. The map is that of its last run.
    """

    name: str
    layout: Layout = "NCHW"
    calls: int = 1

    @property
    def described(self) -> str:
        """The name; with its layout where channels are not first, with its runs where there are several."""
        layout = "" if self.layout == "NCHW" else f", read as {self.layout}"
        return f"{self.name}{layout}" + (f", the last of its {self.calls} runs" if self.calls > 1 else "")


@dataclass(eq=False)
class _Call:
    """One completed call of a module: its output's shape, or the type of what is no tensor, and its gradient."""

    name: str
    module: nn.Module
    output: tuple[int, ...] | str
    gradients: list[Tensor] = field(default_factory=list)

    def layout(self, size: Size, wanted: Layout | None) -> Layout | None:
        """How the output is read as a map; None where it is none."""
        # One image was run. More than one entry are windows of it, each with cells of its own (Swin's attention).
        if isinstance(self.output, str) or self.output[:1] != (1,):
            return None
        if wanted is None:
            return layout_of(self.output, size)
        return wanted if cells_of(self.output, size, wanted) else None

    def is_inner(self, layout: Layout) -> bool:
        """Whether it is a part of an attention whose output only looks like a map."""
        return isinstance(self.module, nn.Softmax) or (layout != "NCHW" and isinstance(self.module, nn.Linear))

    def cells(self, size: Size, layout: Layout) -> Size:
        """Height and width of the map."""
        return (isinstance(self.output, tuple) and cells_of(self.output, size, layout)) or (0, 0)

    def reaches(self, size: Size, layout: Layout) -> bool:
        """Whether the explained logit depends on the cells of this map."""
        return any(bool(as_map(gradient, size, layout).any()) for gradient in self.gradients)


def choose_layer(model: nn.Module, inputs: Tensor, layout: Layout | None = None) -> CamLayer:
    """The last layer that still gives a map, and how that map is read.

    That is the last module in order of completion (a container completes after its children) that runs exactly once
    and gives a map of four or more cells in the proportions of the image, on whose cells the largest logit depends:
    after the last attention of a vision transformer only the class token matters, and a map there would be empty.
    Pooling, dropout, identity, flatten and softmax modules are passed over, and so is the model itself; where channels
    come last also linear layers, which in an attention hold three things side by side.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode: the model is run once, on the first image, in the mode that it is in.
    inputs : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects.
    layout : {"NCHW", "NHWC", "tokens"}, optional
        Only layers that are read so. Default: any, channels first where an output could be read both ways.

    Raises
    ------
    SubjectError
        The forward pass fails.
    UsageError
        No layer gives a map.

    Examples
    --------
    >>> import torch
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), head)
    >>> choose_layer(model, torch.rand(1, 3, 8, 8))
    CamLayer(name='1', layout='NCHW', calls=1)
    """
    found = usable_layers(model, inputs, layout)
    if not found:
        raise _no_layer(layout)
    return found[-1][0]


def usable_layers(
    model: nn.Module, inputs: Tensor, layout: Layout | None = None, *, keep: CamLayer | None = None
) -> list[tuple[CamLayer, Size]]:
    """All layers that :func:`choose_layer` chooses from, in order of completion, with the cells of their maps.

    ``keep`` is among them wherever it runs, as one that was named may be a pooling.
    """
    return _usable(_calls(model, inputs), _size(inputs), layout, keep)


def _usable(
    calls: list[_Call], size: Size, wanted: Layout | None = None, keep: CamLayer | None = None
) -> list[tuple[CamLayer, Size]]:
    kept = None if keep is None else keep.name
    named = [c for c in _once(calls, kept) if c.name and (c.name == kept or not isinstance(c.module, _PASSING))]
    read = [(call, keep.layout if keep and call.name == kept else call.layout(size, wanted)) for call in named]
    usable = [(c, found) for c, found in read if found and (c.name == kept or not c.is_inner(found))]
    # Where no gradient is known (a dead logit, an output of another shape) the shape alone decides.
    alive = [(call, found) for call, found in usable if call.reaches(size, found)] or usable
    return [(CamLayer(call.name, found), call.cells(size, found)) for call, found in alive]


def check_layer(model: nn.Module, name: str, inputs: Tensor, layout: Layout | None = None) -> CamLayer:
    """The named layer, after it was seen to be one that Grad-CAM can use; the model is run once, on the first image.

    Raises
    ------
    SubjectError
        The forward pass fails.
    UsageError
        No module has the name (close ones are listed), it does not run, its output is no map of four or more cells in
        the proportions of the image, or the largest logit depends on none of its cells. Channels come first unless a
        layout is named; one that would fit is told.
    """
    _check_name(model, name)
    every, size, wanted = _calls(model, inputs), _size(inputs), layout or "NCHW"
    calls = [call for call in every if call.module is model.get_submodule(name)]
    if not calls:
        raise _unusable(name, "no call in a forward pass", "a layer that runs", "name another layer")
    last = calls[-1]
    if last.layout(size, wanted) is None:
        expected = f"a map of {MIN_CELLS} or more cells for each image, in its proportions, as {wanted}"
        raise _unusable(name, _told(last.output), expected, _another(every, size, last))
    if any(call.gradients for call in every) and not last.reaches(size, wanted):
        found = "cells on which the answer does not depend"
        raise _unusable(name, found, "a map that the answer rests on", _another(every, size))
    return CamLayer(name, wanted, len(calls))


def find_layer(model: nn.Module, inputs: Tensor, name: str | None = None, layout: Layout | None = None) -> CamLayer:
    """The named layer after a check, or the one that is chosen where none is named; raises what these raise."""
    return choose_layer(model, inputs, layout) if name is None else check_layer(model, name, inputs, layout)


def _another(calls: list[_Call], size: Size, named: _Call | None = None) -> str:
    """What to name instead: the same layer in the layout that fits, else the last layer of each resolution."""
    fitting = None if named is None else named.layout(size, None)
    if named is not None and fitting is not None and named.reaches(size, fitting):
        return _as_options(CamLayer(named.name, fitting))
    last: dict[Size, CamLayer] = {}
    for layer, cells in reversed(_usable(calls, size)):
        last.setdefault(cells, layer)
    return " or ".join(map(_as_options, [*last.values()][:_NAMED])) or f"name another layer, {_NO_MAP}"


def _as_options(layer: CamLayer) -> str:
    return f"--layer {layer.name}" + ("" if layer.layout == "NCHW" else f" --layout {layer.layout}")


def _check_name(model: nn.Module, name: str) -> None:
    names = [known for known, _ in model.named_modules() if known]
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise UsageError(
        "LAYER_UNKNOWN",
        f"layer {name}",
        found="no module of that name",
        expected="a name from model.named_modules()",
        fix=f"did you mean {', '.join(close)}?" if close else f"the last ones are {', '.join(names[-3:])}",
    )


def model_dtype(model: nn.Module) -> torch.dtype:
    """Dtype of the model's first floating-point parameter; float32 where it has none."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _size(inputs: Tensor) -> Size:
    return int(inputs.shape[-2]), int(inputs.shape[-1])


def _calls(model: nn.Module, inputs: Tensor) -> list[_Call]:
    """Every call of one forward pass of the first image, with the gradient of its largest logit where it has one."""
    calls: list[_Call] = []

    def completed(name: str, module: nn.Module, _arguments: Any, output: Any) -> None:
        call = _Call(name, module, tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__)
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(call.gradients.append)  # type: ignore[no-untyped-call]
        calls.append(call)

    with torch.inference_mode(False), torch.enable_grad():
        first = inputs[:1].detach().to(model_dtype(model), copy=True).requires_grad_()
        with _hooked(model, completed):
            try:
                output = model(first.clone())
            except Exception as error:  # the code of others may raise anything
                raise forward_failed(error, model, inputs[:1]) from error
        if isinstance(output, Tensor) and output.ndim == 2 and output.requires_grad:
            torch.autograd.grad(output.amax(), first, allow_unused=True)
    return calls


@contextmanager
def _hooked(model: nn.Module, completed: Any) -> Iterator[None]:
    handles = [module.register_forward_hook(partial(completed, name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _once(calls: list[_Call], kept: str | None = None) -> list[_Call]:
    """Calls of modules that run once, and the last one of the module that is kept."""
    times, last = Counter(call.name for call in calls), {call.name: call for call in calls}
    return [call for call in calls if times[call.name] == 1 or (call.name == kept and last[kept] is call)]


def _no_layer(layout: Layout | None) -> UsageError:
    layouts = ", ".join(LAYOUTS) if layout is None else layout
    return UsageError(
        "LAYER_CHOICE",
        "model",
        found=f"no layer with a map of {MIN_CELLS} or more cells ({layouts})",
        expected="a network that keeps the places of its input, for Grad-CAM",
        fix=f"name a layer with --layer and --layout, {_NO_MAP}",
    )


def _unusable(name: str, found: str, expected: str, fix: str) -> UsageError:
    return UsageError("LAYER_OUTPUT", f"layer {name}", found=found, expected=expected, fix=fix)


def _told(output: tuple[int, ...] | str) -> str:
    return output if isinstance(output, str) else f"shape {list(output)}"
