"""What the outputs of a model look like: one finite logit for each class, or something that is none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from figureground.audit.classify.outcomes import bad_output, result
from figureground.audit.classify.readout import TwoClasses, told
from figureground.audit.declared.task import Task
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.forward.errors import forward_failed

#: How far the sum of a row of probabilities may be from one: half precision, with a margin.
SUM_TOLERANCE = 1e-2
_KEY = "return the logits alone, or say where they are: --output-key NAME (in Python: output_key=...)"
_ARGMAX = (
    "return what the argmax is taken of; without logits neither a map nor a change short of a flip can be measured"
)


def logits_of(module: nn.Module, sample: Tensor) -> Tensor:
    """float32 logits ``[B, K]`` of one forward pass without gradients; raises where it fails or gives others."""
    try:
        with torch.no_grad():
            output = module(sample.clone())
    except Exception as error:  # the code of others may raise anything
        raise forward_failed(error, module, sample) from error
    if _are_answers(output, len(sample)):
        raise bad_output(f"whole numbers, {told(output)}, as argmax gives them", f"logits [{len(sample)}, K]", _ARGMAX)
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == len(sample):
        return output.float()
    raise bad_output(told(output), f"logits [{len(sample)}, K]", _KEY)


def output_shape(logits: Tensor, task: Task) -> TrustCheck:
    """One logit for each class; raises where the numbers differ."""
    found, classes = logits.shape[1], task.classes
    if found == 1 and len(classes) > 1:
        fix = f"declare kind='binary' if a high value speaks for {classes[-1]}, kind='multilabel' with one finding"
        raise bad_output("[B, 1], a single output whose meaning nobody declared", "one logit per class", fix)
    if found != len(classes):
        raise bad_output(
            f"{found} logits",
            f"{len(classes)}, one for each of {', '.join(classes[:5])}",
            f"name all {found} classes, or load the model with its head of {len(classes)}: was the head not replaced?",
        )
    return result("output_shape", True, n=len(logits), value=found, threshold=len(classes))


def finite_rows(finite: Tensor) -> TrustCheck:
    """Whether all images have finite logits; raises where none has."""
    good = int(finite.sum())
    if not good:
        raise bad_output("no finite row", "finite logits", "check the weights and the normalisation for NaN")
    bad = len(finite) - good
    return result("finite", not bad, f"{bad} images give logits that are not finite", len(finite), bad, 0)


def are_logits(module: nn.Module, logits: Tensor, task: Task) -> TrustCheck:
    """Whether the outputs are logits: a softmax is told by its sums, a sigmoid of a single output by its range."""
    single = task.several or isinstance(module, TwoClasses)
    raw = logits[:, 1:] * 2 if isinstance(module, TwoClasses) else logits
    inside = bool(((raw >= 0) & (raw <= 1)).all())
    if single and inside:
        return result("outputs_are_logits", False, _sigmoid(task), len(raw))
    if single or task.scalar or raw.shape[1] < 2:
        return result("outputs_are_logits", True, n=len(raw))
    if inside and _sums_to_one(raw):
        return result("outputs_are_logits", False, _softmax(raw), len(raw), _saturated(raw), 0)
    noted = "rows are log-probabilities (log-softmax), which serve as logits" if _sums_to_one(raw.exp()) else None
    return result("outputs_are_logits", True, n=len(raw), noted=noted)


def _are_answers(output: Any, rows: int) -> bool:
    if not isinstance(output, Tensor) or output.is_floating_point() or output.is_complex():
        return False
    return output.ndim >= 1 and len(output) == rows


def _sums_to_one(rows: Tensor) -> bool:
    return bool(((rows.double().sum(dim=1) - 1).abs() <= SUM_TOLERANCE).all())


def _saturated(rows: Tensor) -> int:
    """Images whose probability is one to the last bit: their gradient is zero, and so are their maps."""
    return int((rows.amax(dim=1) >= 1).sum())


def _softmax(rows: Tensor) -> str:
    said = "rows sum to one: probabilities (softmax), not logits; effects on the log-odds scale and the calibration "
    many = f"; {_saturated(rows)} of {len(rows)} are saturated, and their maps are empty" if _saturated(rows) else ""
    return said + "are not the model's own" + many


def _sigmoid(task: Task) -> str:
    what = "findings" if task.several else "answers"
    return (
        f"every output lies between 0 and 1, as probabilities do: if they are, all {what} count as positive, since a "
        "logit above 0 is expected there; return the values before the sigmoid"
    )
