"""Performance beyond accuracy, overall and for every level: rows of the ``subgroups`` table.

Measures (column ``measure``), all in [0, 1]:

- ``balanced_accuracy``: mean over labels of the share answered as labelled.
- ``auroc``, ``auprc``: of the positive class's probability; with more than two classes the mean over classes, each
  against the rest.
- ``sensitivity``, ``specificity``: at the operating threshold; two classes only.
- ``brier``: ``sum_c (p_c - y_c)² / 2``, the squared error of the probabilities (Brier, Monthly Weather Review 78
  (1950) 1-3); with two classes that of the positive one. Lower is better.
- ``calibration_error``, with ``calibration_error_null``, what a calibrated model would show: of the positive class's
  probability, with more than two classes of the predicted one's. See :mod:`~figureground.audit.judge.calibration`.

All of them weigh each image by its design weight, where a sample was drawn at different rates.

With two classes the second counts as positive, and the column ``class_name`` names it. Where the answer is a number,
the classes are the sides of its cut, there is no probability, and the measures of
:mod:`~figureground.audit.judge.number_measures` take the place of those of probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.judge import number_measures
from figureground.audit.judge.answers import Answers
from figureground.audit.judge.calibration import calibrate
from figureground.audit.judge.cells import make_cells
from figureground.audit.judge.families import adjust_in_turn
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.influence import linearised, mean_influence
from figureground.audit.judge.intervals import FloatArray, IntArray
from figureground.audit.judge.measured import Measured, none_of
from figureground.audit.judge.multiplicity import benjamini_yekutieli
from figureground.audit.judge.performance import accuracy
from figureground.audit.judge.roc import auroc_influence, precision_influence
from figureground.audit.judge.rows import estimate_columns
from figureground.audit.keeping.tables import ALL

MEASURES = ("balanced_accuracy", "auroc", "auprc", "sensitivity", "specificity", "brier", "calibration_error")
_Curve = Callable[[FloatArray, np.ndarray, FloatArray | None], tuple[float, FloatArray]]


@dataclass(frozen=True)
class PerformanceTable:
    """Computes the rows.

    Attributes
    ----------
    policy : Policy
    seed : int
    """

    policy: Policy
    seed: int = 0

    def __call__(self, rows: pd.DataFrame, groups: Sequence[Group], answers: Answers) -> pd.DataFrame:
        """One row per measure for all images and every level; absent levels with n = 0."""
        lines: list[dict[str, Any]] = []
        for cell in make_cells(rows, groups, ()):
            keys = {"attribute": cell.attribute, "level": cell.level, "label": ALL, "origin": cell.origin}
            part = answers.take(cell.member.to_numpy(dtype=bool))
            lines += [keys | {"n_rows": len(part)} | line for line in self._measures(part)]
        table = pd.DataFrame(lines).assign(p_adjusted=np.nan)
        tested = (table["measure"] == "calibration_error") & (table["attribute"] != ALL)
        p, later = table.loc[tested, "p_raw"].astype(float), table.loc[tested, "origin"] == "exploratory"
        table.loc[tested, "p_adjusted"] = adjust_in_turn(p, later, benjamini_yekutieli)
        return table

    def _measures(self, answers: Answers) -> Iterator[dict[str, Any]]:
        level, positive = 1 - self.policy.alpha, answers.positive
        yield self._line("balanced_accuracy", balanced_accuracy(answers, level))
        if answers.said is not None:
            yield from self._of_numbers(answers, level)
            return
        yield self._line("auroc", area(answers, auroc_influence, level), positive)
        yield self._line("auprc", area(answers, precision_influence, level), positive)
        if positive is not None:
            yield self._line("sensitivity", rate(answers, 1, level), positive)
            yield self._line("specificity", rate(answers, 0, level), positive)
        yield self._line("brier", brier(answers, level), positive)
        error, null = calibration(answers, level, self.seed)
        yield self._line("calibration_error", error, positive)
        yield self._line("calibration_error_null", null, positive)

    def _of_numbers(self, answers: Answers, level: float) -> Iterator[dict[str, Any]]:
        """Where the answer is a number there is no probability: the sides of the cut, and how far off it is."""
        yield self._line("auroc", number_measures.area(answers, level), answers.positive)
        yield self._line("sensitivity", rate(answers, 1, level), answers.positive)
        yield self._line("specificity", rate(answers, 0, level), answers.positive)
        for name, measure in number_measures.ERRORS.items():
            yield self._line(name, measure(answers, level))

    def _line(self, measure: str, found: Measured, class_name: str | None = None) -> dict[str, Any]:
        columns = estimate_columns(found.interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha)
        if found.reason is not None and columns["status"] == "ok":
            columns |= {"status": "ok" if columns["ci_low"] is not None else "too_small", "reason": found.reason}
        if columns["status"] in ("absent", "not_estimable"):
            columns["reason"] = found.reason or columns["reason"]
        return {"measure": measure, "class_name": class_name, **columns, "p_raw": found.p}


def balanced_accuracy(answers: Answers, level: float) -> Measured:
    """Mean over the labels present of the share answered as labelled, as in scikit-learn."""
    part = answers.take(np.isfinite(answers.correct))
    present = np.unique(part.label)
    if len(present) < 2:
        return none_of(part, level, "one_label")
    influence, recalls = np.empty(len(part)), []
    for label in present:
        of = part.label == label
        weights = None if part.weight is None else part.weight[of]
        recalls.append(float(np.average(part.correct[of], weights=weights)))
        influence[of] = mean_influence(part.correct[of], weights) / len(present)
    interval = linearised(float(np.mean(recalls)), influence, part.cluster, level, strata=part.label)
    return Measured(interval, _about(part, present))


def area(answers: Answers, curve: _Curve, level: float) -> Measured:
    """Area under a curve: of the positive class, or the mean over the classes present, each against the rest."""
    if answers.probability is None:
        return none_of(answers, level, "logits_not_kept")
    part = answers.take(np.asarray(np.isfinite(answers.probability).all(axis=1)))
    present = np.unique(part.label)
    if len(present) < 2 or part.probability is None:
        return none_of(part, level, "one_label")
    asked = [1] if part.positive is not None else present.tolist()
    found = [curve(part.probability[:, c], part.label == c, part.weight) for c in asked]
    influence = np.mean([values for _, values in found], axis=0)
    estimate = float(np.mean([value for value, _ in found]))
    interval = linearised(estimate, influence, part.cluster, level, strata=part.label)
    return Measured(interval, _about(part, present))


def rate(answers: Answers, label: int, level: float) -> Measured:
    """Share answered as labelled among the images of one class; n counts these."""
    of = answers.label == label
    weights = None if answers.weight is None else answers.weight[of]
    found = accuracy(answers.correct[of], answers.cluster[of], level, weights)
    return Measured(found, None if found.n else "labels_absent")


def brier(answers: Answers, level: float) -> Measured:
    """Half the squared distance of the probabilities from the truth, mean over images."""
    if answers.probability is None:
        return none_of(answers, level, "logits_not_kept")
    part = answers.take(np.asarray(np.isfinite(answers.probability).all(axis=1)))
    if part.probability is None or len(part) == 0:
        return none_of(part, level, "no_probability")
    values = 0.5 * np.square(part.probability - np.eye(len(part.classes))[part.label]).sum(axis=1)
    mean, influence = float(np.average(values, weights=part.weight)), mean_influence(values, part.weight)
    return Measured(linearised(mean, influence, part.cluster, level))


def calibration(answers: Answers, level: float, seed: int) -> tuple[Measured, Measured]:
    """Calibration error, and what a calibrated model would show."""
    stated, came = stated_and_true(answers)
    known = np.isfinite(stated) & np.isfinite(came)
    if not known.any():
        nothing = none_of(answers.take(known), level, "no_probability")
        return nothing, nothing
    part = answers.take(known)
    found = calibrate(stated[known], came[known], part.cluster, level, seed, part.weight)
    return Measured(found.error, p=found.p), Measured(found.null)


def stated_and_true(answers: Answers) -> tuple[FloatArray, FloatArray]:
    """Stated probabilities, and 0 or 1 for whether what they state came true; float64 ``[N]``, NaN where unknown."""
    if answers.positive is not None and answers.probability is not None:
        return answers.probability[:, 1], (answers.label == 1).astype(np.float64)
    return answers.confidence, answers.correct


def _about(answers: Answers, present: IntArray) -> str | None:
    """What keeps a mean over labels from being what it seems."""
    units = [len(set(answers.cluster[answers.label == label])) for label in present]
    if min(units) < 2:
        return "one_unit_of_label"
    return "labels_absent" if len(present) < len(answers.classes) else None
