"""Can this model be audited at all? Named probes on a small batch, before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.classify.readout import told
from figureground.audit.classify.subject import Subject, evaluating, weights_sha256
from figureground.audit.document import TrustCheck
from figureground.errors import SubjectError

#: Largest relative difference between the logits of an image alone and in a batch: rounding, with a margin.
BATCH_TOLERANCE = 1e-4
#: Fewer cells than this cannot tell figure from ground.
MIN_CELLS = 4
#: What a forward pass of somebody else's code raises when the input does not suit it.
_FORWARD_ERRORS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)


def check_auditable(subject: Subject, sample: Tensor, layer: str | None = None) -> list[TrustCheck]:
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

    Returns
    -------
    list of TrustCheck
        In this order: ``output_shape`` (one logit per class), ``finite``, ``eval_mode_holds``,
        ``deterministic`` (two passes equal to the bit), ``batch_invariant``, ``input_not_mutated``,
        ``gradient_nonzero``, ``map_shape``, ``weights_unchanged``, ``hooks_restored``. ``failed`` ones bear a
        reason. ``n`` counts images, or modules for ``eval_mode_holds`` and ``hooks_restored``.

    Raises
    ------
    SubjectError
        The forward pass fails, the output is not ``[B, K]`` with K classes, or no image has finite logits or
        a gradient: nothing could be measured. Where only some images do, the probe comes back ``failed``.
    """
    hooks, weights = _hook_counts(subject.module), weights_sha256(subject.module)
    # Inference tensors cannot be differentiated through, so a caller inside inference_mode gets a true copy.
    with torch.inference_mode(False), evaluating(subject.module) as module:
        sample = sample.detach().to(_dtype_of(module), copy=True)
        logits = _forward(module, sample)
        finite = torch.isfinite(logits).all(dim=1)
        checks = [
            _output_shape(logits, subject),
            _finite(finite),
            _eval_mode_holds(module),
            _deterministic(module, sample, logits),
            _batch_invariant(module, sample, logits, finite),
            _input_not_mutated(module, sample),
            *(_gradient_checks(module, sample, finite, layer) if subject.access != "answers" else _no_gradients()),
        ]
    return [*checks, _weights_unchanged(subject, weights), _hooks_restored(hooks, subject.module)]


def _forward(module: nn.Module, sample: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            output = module(sample.clone())
    except _FORWARD_ERRORS as error:
        raise SubjectError(
            "MODEL_FORWARD",
            "model",
            found=f"{type(error).__name__}: {str(error)[:200]}",
            expected=f"a forward pass of [{', '.join(map(str, sample.shape))}]",
            fix="check the number of channels and the size in the preprocessing",
        ) from error
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == len(sample):
        return output.float()
    fix = "return the logits alone, or say where they are: --output-key NAME (in Python: output_key=...)"
    raise _bad_output(told(output), f"logits [{len(sample)}, K]", fix)


def _output_shape(logits: Tensor, subject: Subject) -> TrustCheck:
    found, classes = logits.shape[1], subject.classes
    if found == 1 and len(classes) > 1:
        fix = f"declare kind='binary' if a high value speaks for {classes[-1]}, kind='multilabel' with one finding"
        raise _bad_output("[B, 1], a single output whose meaning nobody declared", "one logit per class", fix)
    if found != len(classes):
        raise _bad_output(
            f"{found} logits",
            f"{len(classes)}, one for each of {', '.join(classes[:5])}",
            "check the classes, and whether the head was replaced",
        )
    return _result("output_shape", True, n=len(logits), value=found, threshold=len(classes))


def _finite(finite: Tensor) -> TrustCheck:
    good = int(finite.sum())
    if not good:
        raise _bad_output("no finite row", "finite logits", "check the weights and the normalisation for NaN")
    bad = len(finite) - good
    return _result("finite", not bad, f"{bad} images give logits that are not finite", len(finite), bad, 0)


def _eval_mode_holds(module: nn.Module) -> TrustCheck:
    training = [name or "the model" for name, submodule in module.named_modules() if submodule.training]
    reason = f"still in training mode after eval(): {', '.join(training[:5])}"
    return _result("eval_mode_holds", not training, reason, len(list(module.modules())), len(training), 0)


def _deterministic(module: nn.Module, sample: Tensor, logits: Tensor) -> TrustCheck:
    again = _forward(module, sample)
    same = bool(((again == logits) | (again.isnan() & logits.isnan())).all())
    return _result("deterministic", same, "two passes over the same images differ", len(sample))


def _batch_invariant(module: nn.Module, sample: Tensor, logits: Tensor, finite: Tensor) -> TrustCheck:
    if len(sample) < 2:
        return _not_run("batch_invariant", "one image makes no batch")
    alone = torch.cat([_forward(module, sample[i : i + 1]) for i in range(len(sample))])
    scale = float(logits[finite].abs().max()) or 1.0
    difference = float((alone[finite] - logits[finite]).abs().max()) / scale
    reason = f"an image's logits change by {difference:.1e} (relative) with the images beside it"
    # A NaN here means that a finite image turned non-finite on its own, which is a failure too.
    passed = difference <= BATCH_TOLERANCE
    value = difference if math.isfinite(difference) else None
    return _result("batch_invariant", passed, reason, len(sample), value, BATCH_TOLERANCE)


def _input_not_mutated(module: nn.Module, sample: Tensor) -> TrustCheck:
    given = sample.clone()
    with torch.no_grad():
        module(given)
    kept = torch.equal(given.nan_to_num(), sample.nan_to_num())
    return _result("input_not_mutated", kept, "the forward pass writes into its input", len(sample))


def _gradient_checks(module: nn.Module, sample: Tensor, finite: Tensor, layer: str | None) -> list[TrustCheck]:
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
    return [_gradient_nonzero(gradient[finite]), _map_shape(shapes, layer)]


def _no_gradients() -> list[TrustCheck]:
    reason = "the model is known by its answers alone"
    return [_not_run("gradient_nonzero", reason), _not_run("map_shape", reason)]


def _gradient_nonzero(gradient: Tensor) -> TrustCheck:
    alive = (gradient.flatten(1) != 0).any(dim=1)
    dead = int((~alive).sum())
    if dead == len(alive):
        raise _no_gradient("a gradient of zero for every image")
    reason = f"{dead} images have a gradient of zero everywhere, as behind a saturated softmax"
    return _result("gradient_nonzero", not dead, reason, len(alive), dead, 0)


def _map_shape(shapes: list[Any], layer: str | None) -> TrustCheck:
    if layer is None:
        return _not_run("map_shape", "no layer was named")
    if len(shapes) != 1:
        return _result("map_shape", False, f"{layer} runs {len(shapes)} times in a forward pass", value=None)
    shape = shapes[0]
    cells = shape[2] * shape[3] if isinstance(shape, tuple) and len(shape) == 4 else 0
    given = list(shape) if isinstance(shape, tuple) else shape
    reason = f"{layer} gives {given}, not [B, C, h, w] with {MIN_CELLS} or more cells"
    return _result("map_shape", cells >= MIN_CELLS, reason, value=cells, threshold=MIN_CELLS)


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
        return _not_run("weights_unchanged", "a function has no weights to compare")
    same = weights_sha256(subject.module) == before
    return _result("weights_unchanged", same, "the passes changed weights or running statistics")


def _hooks_restored(before: dict[str, int], module: nn.Module) -> TrustCheck:
    after = _hook_counts(module)
    changed = [name or "the model" for name in after if after[name] != before.get(name)]
    reason = f"the number of hooks changed on {', '.join(changed[:5])}"
    return _result("hooks_restored", not changed, reason, len(after), len(changed), 0)


def _hook_counts(module: nn.Module) -> dict[str, int]:
    registries = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        name: sum(len(getattr(submodule, registry, ())) for registry in registries)
        for name, submodule in module.named_modules()
    }


def _dtype_of(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _shape(output: Any) -> tuple[int, ...] | str:
    return tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__


def _bad_output(found: str, expected: str, fix: str) -> SubjectError:
    return SubjectError("MODEL_OUTPUT", "model output", found=found, expected=expected, fix=fix)


def _no_gradient(found: str) -> SubjectError:
    return SubjectError(
        "MODEL_NO_GRADIENT",
        "model output",
        found=found,
        expected="logits that depend differentiably on the input",
        fix="remove no_grad, detach, argmax or a saturated softmax from the model's forward",
    )


def _result(
    check: str,
    passed: bool,
    reason: str | None = None,
    n: int | None = None,
    value: float | None = None,
    threshold: float | None = None,
) -> TrustCheck:
    return TrustCheck(
        check=check,
        status="passed" if passed else "failed",
        value=value,
        threshold=threshold,
        n=n,
        reason=None if passed else reason,
    )


def _not_run(check: str, reason: str) -> TrustCheck:
    return TrustCheck(check=check, status="not_run", value=None, threshold=None, n=None, reason=reason)
