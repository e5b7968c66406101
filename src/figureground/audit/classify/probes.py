"""Can this model be audited at all? Named probes on a small batch, before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.classify.lasting import hook_counts, hooks_restored, nothing_kept
from figureground.audit.classify.outcomes import not_run, result
from figureground.audit.classify.outputs import are_logits, finite_rows, logits_of, output_shape
from figureground.audit.classify.subject import Subject, evaluating, weights_sha256
from figureground.audit.declared.config import Layout
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.forward.layouts import MIN_CELLS, cells_of
from figureground.errors import SubjectError

#: Largest relative difference between the logits of an image alone and in a batch: rounding, with a margin.
BATCH_TOLERANCE = 1e-4
#: The same in steps of the dtype, for those that are coarser than that.
ROUNDING_STEPS = 8


def check_auditable(
    subject: Subject, sample: Tensor, layer: str | None = None, layout: Layout = "NCHW"
) -> list[TrustCheck]:
    """Run every probe on a few images.

    Parameters
    ----------
    subject : Subject
        Put into evaluation mode for the probes and restored afterwards.
    sample : Tensor
        Float ``[B, C, H, W]``, normalised as the model expects and cast to its dtype; two or more images, so
        that the batch probe runs.
    layer : str, optional
        Name of the layer that Grad-CAM will look at.
    layout : {"NCHW", "NHWC", "tokens"}
        How its output is read.

    Returns
    -------
    list of TrustCheck
        In this order: ``eval_mode_holds``, ``output_shape`` (one logit per class), ``finite``, ``outputs_are_logits``,
        ``deterministic`` (two passes equal to the bit), ``batch_invariant``, ``input_not_mutated``,
        ``gradient_nonzero``, ``map_shape``, ``nothing_kept``, ``weights_unchanged``, ``hooks_restored``. ``failed``
        ones bear a reason, passed ones a remark at most. ``n`` counts images, modules for ``eval_mode_holds`` and
        ``hooks_restored``, or passes for ``nothing_kept``.

    Raises
    ------
    SubjectError
        A part stays in training mode, the forward pass fails (a hook that raises is named), the output is not
        ``[B, K]`` with K classes, no image has finite logits or a gradient, or outputs of a pass are kept: nothing
        could be measured. Where only some images do, the probe comes back ``failed``.
    """
    hooks, weights = hook_counts(subject.module), weights_sha256(subject.module)
    # Inference tensors cannot be differentiated through, so a caller inside inference_mode gets a true copy.
    with torch.inference_mode(False), evaluating(subject.module) as module:
        held = _eval_mode_holds(module)
        sample = sample.detach().to(_dtype_of(module), copy=True)
        logits = logits_of(module, sample)
        finite = torch.isfinite(logits).all(dim=1)
        checks = [
            held,
            output_shape(logits, subject.task),
            finite_rows(finite),
            are_logits(module, logits[finite], subject.task),
            _deterministic(module, sample, logits),
            _batch_invariant(module, sample, logits, finite),
            _input_not_mutated(module, sample),
            *(
                _gradient_checks(module, sample, finite, layer, layout)
                if subject.access != "answers"
                else _no_gradients()
            ),
            nothing_kept(module, sample),
        ]
    return [*checks, _weights_unchanged(subject, weights), hooks_restored(hooks, subject.module)]


def _eval_mode_holds(module: nn.Module) -> TrustCheck:
    """Raises where ``eval()`` has no effect on a part: its dropout or batch statistics would be in every number."""
    training = [name or "the model" for name, submodule in module.named_modules() if submodule.training]
    if training:
        rest = f" and {len(training) - 5} more" if len(training) > 5 else ""
        raise SubjectError(
            "MODEL_TRAINING",
            "model",
            found=f"still in training mode after eval(): {', '.join(training[:5])}{rest}",
            expected="eval() that reaches every submodule",
            fix="let train(mode) of these hand the mode on, or set their `training` to False before the audit",
        )
    return result("eval_mode_holds", True, n=len(list(module.modules())), value=0, threshold=0)


def _deterministic(module: nn.Module, sample: Tensor, logits: Tensor) -> TrustCheck:
    again = logits_of(module, sample)
    same = bool(((again == logits) | (again.isnan() & logits.isnan())).all())
    return result("deterministic", same, "two passes over the same images differ", len(sample))


def _batch_invariant(module: nn.Module, sample: Tensor, logits: Tensor, finite: Tensor) -> TrustCheck:
    if len(sample) < 2:
        return not_run("batch_invariant", "one image makes no batch")
    alone = torch.cat([logits_of(module, sample[i : i + 1]) for i in range(len(sample))])
    scale = float(logits[finite].abs().max()) or 1.0
    difference = float((alone[finite] - logits[finite]).abs().max()) / scale
    reason = f"an image's logits change by {difference:.1e} (relative) with the images beside it"
    tolerance = max(BATCH_TOLERANCE, ROUNDING_STEPS * torch.finfo(_dtype_of(module)).eps)
    # A NaN here means that a finite image turned non-finite on its own, which is a failure too.
    passed = difference <= tolerance
    value = difference if math.isfinite(difference) else None
    return result("batch_invariant", passed, reason, len(sample), value, tolerance)


def _input_not_mutated(module: nn.Module, sample: Tensor) -> TrustCheck:
    given = sample.clone()
    with torch.no_grad():
        module(given)
    kept = torch.equal(given.nan_to_num(), sample.nan_to_num())
    return result("input_not_mutated", kept, "the forward pass writes into its input", len(sample))


def _gradient_checks(
    module: nn.Module, sample: Tensor, finite: Tensor, layer: str | None, layout: Layout
) -> list[TrustCheck]:
    shapes: list[Any] = []
    with torch.enable_grad(), _watched(module, layer, shapes):
        pixels = sample.detach().clone().requires_grad_()
        output = module(pixels.clone())
        if not output.requires_grad:
            raise _no_gradient("logits without a gradient")
        peaks = output.max(dim=1).values[finite].sum()
        (gradient,) = torch.autograd.grad(peaks, pixels, allow_unused=True)
    if gradient is None:
        raise _no_gradient("logits that do not depend on the input")
    return [_gradient_nonzero(gradient[finite]), _map_shape(shapes, sample, layer, layout)]


def _no_gradients() -> list[TrustCheck]:
    reason = "the model is known by its answers alone"
    return [not_run("gradient_nonzero", reason), not_run("map_shape", reason)]


def _gradient_nonzero(gradient: Tensor) -> TrustCheck:
    alive = (gradient.flatten(1) != 0).any(dim=1)
    dead = int((~alive).sum())
    if dead == len(alive):
        raise _no_gradient("a gradient of zero for every image")
    reason = f"{dead} images have a gradient of zero everywhere, as behind a saturated softmax"
    return result("gradient_nonzero", not dead, reason, len(alive), dead, 0)


def _map_shape(shapes: list[Any], sample: Tensor, layer: str | None, layout: Layout) -> TrustCheck:
    if layer is None:
        return not_run("map_shape", "no layer was named")
    if not shapes:
        return result("map_shape", False, f"{layer} runs 0 times in a forward pass", value=None)
    # Where it runs more than once, its last run is explained.
    shape, size = shapes[-1], (sample.shape[-2], sample.shape[-1])
    found = cells_of(shape, size, layout) if isinstance(shape, tuple) else None
    cells = 0 if found is None else found[0] * found[1]
    given = list(shape) if isinstance(shape, tuple) else shape
    reason = f"{layer} gives {given}, no map of {MIN_CELLS} or more cells as {layout}"
    return result("map_shape", cells >= MIN_CELLS, reason, value=cells, threshold=MIN_CELLS)


@contextmanager
def _watched(module: nn.Module, layer: str | None, shapes: list[Any]) -> Iterator[None]:
    target = dict(module.named_modules()).get(layer) if layer is not None else None
    if target is None:
        yield
        return
    handle = target.register_forward_hook(lambda _m, _a, output: shapes.append(_shape(output)))
    try:
        yield
    finally:
        handle.remove()


def _weights_unchanged(subject: Subject, before: str) -> TrustCheck:
    if subject.sha256 is None:
        return not_run("weights_unchanged", "a function has no weights to compare")
    same = weights_sha256(subject.module) == before
    return result("weights_unchanged", same, "the passes changed weights or running statistics")


def _dtype_of(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _shape(output: Any) -> tuple[int, ...] | str:
    return tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__


def _no_gradient(found: str) -> SubjectError:
    return SubjectError(
        "MODEL_NO_GRADIENT",
        "model output",
        found=found,
        expected="logits that depend differentiably on the input",
        fix="remove no_grad, detach, argmax or a saturated softmax from the model's forward",
    )
