"""The model's answers to the unchanged images as arrays: what was labelled, what was right, how sure it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from figureground.audit.declared.target import Target
from figureground.audit.judge.intervals import FloatArray, IntArray
from figureground.audit.judge.weighing import weights_of
from figureground.datasets.columns import NUMBER


@dataclass(frozen=True)
class Answers:
    """N images and K classes.

    Attributes
    ----------
    classes : tuple of str
        In the order of the columns of ``probability``.
    label : ndarray of int64, [N]
        Index of the true class.
    cluster : ndarray of object, [N]
    correct : ndarray of float64, [N]
        1 or 0; NaN where the output was not finite.
    confidence : ndarray of float64, [N]
        Probability of the predicted class, in [0, 1]; NaN where unknown.
    probability : ndarray of float64, [N, K], or None
        Rows of NaN where the output was not finite; None where the logits of all classes are not kept.
    weight : ndarray of float64, [N], or None
        Design weights; None where all count the same.
    true, said : ndarray of float64, [N], or None
        Where the answer is a number: that of the label and that of the model, in its own unit; NaN where unknown.
        There is no probability then.
    """

    classes: tuple[str, ...]
    label: IntArray = field(repr=False)
    cluster: npt.NDArray[np.object_] = field(repr=False)
    correct: FloatArray = field(repr=False)
    confidence: FloatArray = field(repr=False)
    probability: FloatArray | None = field(repr=False)
    weight: FloatArray | None = field(default=None, repr=False)
    true: FloatArray | None = field(default=None, repr=False)
    said: FloatArray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.label)

    @property
    def positive(self) -> str | None:
        """The class that counts as positive: the second of two; None with more."""
        return self.classes[1] if len(self.classes) == 2 else None

    def take(self, keep: npt.NDArray[np.bool_]) -> Answers:
        """The images where ``keep``."""
        arrays: dict[str, Any] = {
            item.name: value[keep] for item in fields(self) if isinstance(value := getattr(self, item.name), np.ndarray)
        }
        return replace(self, **arrays)


def answers_of(rows: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], cut: float = 0.0) -> Answers:
    """Answers of scored rows, in their order.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`~figureground.audit.judge.performance.scored`.
    predictions : pandas.DataFrame
        The table, or that of one finding.
    classes : sequence of str
    cut : float
        Log-odds of the operating threshold that a view has taken off the second logit; added again, so that the
        probabilities are the model's own.
    """
    base = predictions[predictions["intervention"] == "none"].set_index("row_id").reindex(rows["row_id"])
    probability, confidence = _probabilities(base, len(classes), cut)
    return Answers(
        classes=tuple(classes),
        label=np.array([list(classes).index(name) for name in rows["label"]], dtype=np.int64),
        cluster=rows["cluster"].to_numpy(dtype=object),
        correct=rows["correct"].to_numpy(dtype=np.float64),
        confidence=confidence,
        probability=probability,
        weight=weights_of(rows),
    )


def number_answers(rows: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], target: Target) -> Answers:
    """Answers that are numbers, as :func:`answers_of` gives classes: the classes are the sides of the target's cut."""
    base = predictions[predictions["intervention"] == "none"].set_index("row_id").reindex(rows["row_id"])
    sides = answers_of(rows, predictions, classes)
    apart = [np.nan if _missing(pair) else float(pair[1]) - float(pair[0]) for pair in base["logits"]]
    return replace(
        sides,
        confidence=np.full(len(sides), np.nan),
        probability=None,
        true=rows[NUMBER].to_numpy(dtype=np.float64),
        said=np.array(apart, dtype=np.float64) + target.cut,
    )


def _probabilities(base: pd.DataFrame, n_classes: int, cut: float) -> tuple[FloatArray | None, FloatArray]:
    if "logits" not in base or base["logits"].isna().all():
        return None, np.full(len(base), np.nan)
    if base["classes"].notna().any():
        # The highest logit is among those kept, and the sum over all classes is stored beside them.
        highest = [np.nan if _missing(logits) else float(np.max(logits)) for logits in base["logits"]]
        return None, np.exp(np.array(highest) - base["logsumexp"].to_numpy(dtype=np.float64))
    nothing = [np.nan] * n_classes
    logits = np.array([nothing if _missing(one) else one for one in base["logits"]], dtype=np.float64)
    logits[:, -1] += cut
    found = np.asarray(softmax(logits.reshape(-1, n_classes), axis=1), dtype=np.float64)
    return found, found.max(axis=1, initial=-np.inf) if len(found) else np.empty(0)


def _missing(logits: Any) -> bool:
    return logits is None or isinstance(logits, float)
