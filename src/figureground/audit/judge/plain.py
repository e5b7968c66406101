"""What plain interventions do, each beside its controls: described, never a verdict.

Blanking, blurring, noising or shuffling moves models that rely on nothing spurious too (method.md §0A 6), so none of
these numbers demonstrates a cue or clears one.

Rows of the ``tests`` table made here (cue ``background``; ``arm`` is the intervention, ``part`` where it acts):

============================= ===============================================================================
plain_accuracy_drop           accuracy of the unchanged pictures minus that of the changed ones, paired
plain_changed                 share of answers that change
plain_value_shift             instead of the next, where the answer is a number: by how much it moves, in its unit
plain_probability_drop        fall of the probability of the class that the unchanged picture is given
plain_accuracy                accuracy with the object removed, with the object alone, and under noise
plain_above_chance            the same minus the share of the commonest label among these rows
silhouette_leak               accuracy with the object's outline filled minus with its box filled, paired
relative_foreground_sens.     see :mod:`figureground.audit.judge.plain_noise`
plain_left_out                share of the sample that is no test of an intervention, with the reasons
============================= ===============================================================================

With a ``reference``, the estimate is the paired difference ``part`` minus ``reference``: the background against as many
pixels from the object outwards (``equal_area``), or against a region of the same shape elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.intervals import Interval, clustered_wilson
from figureground.audit.judge.plain_answers import PlainAnswers, plain_answers
from figureground.audit.judge.plain_noise import NOISES, sensitivities
from figureground.audit.judge.rows import estimate_columns, p_value

_CONTROLS = (plain.EQUAL_AREA, plain.ELSEWHERE)
#: The object alone before its own background's mean colour is the picture with its background blanked.
_ALONE = (
    (plain.REMOVED, plain.DILATED, (plain.REMOVED, plain.DILATED, 1.0)),
    (plain.REMOVED, plain.BOX, (plain.REMOVED, plain.BOX, 1.0)),
    (plain.ONLY, plain.OWN_MEAN, (plain.BLANK, plain.ON_BACKGROUND, 1.0)),
    (plain.ONLY, plain.POOL_MEAN, (plain.ONLY, plain.POOL_MEAN, 1.0)),
)


def plain_tests(
    examples: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], policy: Policy
) -> list[dict[str, Any]]:
    """All rows of the module's table; none where no plain intervention was run."""
    least = None if policy.target is None else policy.target.material
    answers = plain_answers(examples, predictions, classes, least)
    return list(PlainJudge(policy)(answers)) if len(answers.lines) else []


@dataclass(frozen=True)
class PlainJudge:
    """Describes the answers to plain interventions."""

    policy: Policy

    def __call__(self, answers: PlainAnswers) -> Iterator[dict[str, Any]]:
        """Rows of the ``tests`` table."""
        for kind in plain.KINDS:
            yield from self._kind(answers, kind, plain.NOISE_SIZE if kind == plain.NOISE else 1.0)
        for arm, part, key in _ALONE:
            yield from self._alone(answers.of(*key), arm, part)
        yield from self._leak(answers)
        for kind, sizes in NOISES.items():
            for size in sizes:
                yield from self._noise(answers, kind, size)
        yield from self._left_out(answers)

    def _kind(self, answers: PlainAnswers, kind: str, dose: float) -> Iterator[dict[str, Any]]:
        seen = {part: answers.of(kind, part, dose) for part in (plain.ON_BACKGROUND, *_CONTROLS)}
        for test in self._measures:
            for part, lines in seen.items():
                yield self._row(test, self._measured(test, lines), arm=kind, part=part, dose=dose)
            for control in _CONTROLS:
                found = self._difference(test, seen[plain.ON_BACKGROUND], seen[control])
                names: dict[str, Any] = {"part": plain.ON_BACKGROUND, "reference": control, "p_raw": p_value(found)}
                yield self._row(test, found, arm=kind, dose=dose, **names)

    def _measured(self, test: str, lines: pd.DataFrame) -> Interval:
        values, clusters = _values(test, lines), lines["cluster"].to_numpy()
        if test == plain.CHANGED:
            return clustered_wilson(values, clusters, self._level)
        return multiway_mean(values, clusters, level=self._level, bounds=_bounds(test, 1.0))

    def _difference(self, test: str, lines: pd.DataFrame, control: pd.DataFrame) -> Interval:
        paired = _values(test, lines) - _values(test, control).reindex(lines.index)
        return multiway_mean(paired, lines["cluster"].to_numpy(), level=self._level, bounds=_bounds(test, 2.0))

    def _alone(self, lines: pd.DataFrame, arm: str, part: str) -> Iterator[dict[str, Any]]:
        accuracy = clustered_wilson(lines["correct"], lines["cluster"].to_numpy(), self._level)
        yield self._row(plain.ALONE, accuracy, arm=arm, part=part, dose=1.0)
        known = lines[lines["correct"].notna()]
        chance = float(known["label"].value_counts(normalize=True).max()) if len(known) else np.nan
        yield self._row(plain.ABOVE_CHANCE, _minus(accuracy, chance), arm=arm, part=part, dose=1.0)

    def _leak(self, answers: PlainAnswers) -> Iterator[dict[str, Any]]:
        outline, box = (answers.of(plain.REMOVED, part, 1.0) for part in (plain.DILATED, plain.BOX))
        paired = outline["correct"] - box["correct"].reindex(outline.index)
        found = multiway_mean(paired, outline["cluster"].to_numpy(), level=self._level)
        names: dict[str, Any] = {"part": plain.DILATED, "reference": plain.BOX, "p_raw": p_value(found)}
        yield self._row(plain.LEAK, found, arm=plain.REMOVED, dose=1.0, **names)

    def _noise(self, answers: PlainAnswers, kind: str, size: float) -> Iterator[dict[str, Any]]:
        seen = {part: answers.of(kind, part, size) for part in (plain.ON_BACKGROUND, plain.ON_OBJECT)}
        for part, lines in seen.items():
            accuracy = clustered_wilson(lines["correct"], lines["cluster"].to_numpy(), self._level)
            yield self._row(plain.ALONE, accuracy, arm=kind, part=part, dose=size)
        background, figure = seen.values()
        both = (
            background["correct"]
            .to_frame("background")
            .assign(object=figure["correct"].reindex(background.index), cluster=background["cluster"])
        )
        found = sensitivities(both.dropna(), self._level)
        yield self._row(plain.RFS, found.interval, scale="relative", arm=kind, dose=size, **found.why)

    def _left_out(self, answers: PlainAnswers) -> Iterator[dict[str, Any]]:
        for key, lines in answers.lines.groupby(["intervention", "part", "dose"]):
            out = lines["status"] != "ok"
            if out.any():
                found = clustered_wilson(out.astype(float), lines["cluster"].to_numpy(), self._level)
                counts = lines.loc[out, "status"].value_counts().sort_index()
                reason = ", ".join(f"{n} {name}" for name, n in counts.items())
                names = dict(zip(("arm", "part", "dose"), cast(tuple[Any, ...], key), strict=True))
                yield self._row(plain.LEFT_OUT, found, **names, reason=reason)

    def _row(self, test: str, interval: Interval, *, scale: str | None = None, **more: Any) -> dict[str, Any]:
        own = {plain.PROBABILITY_DROP: "probability", plain.VALUE_SHIFT: "native"}.get(test, "decision")
        columns = estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha)
        known = {"cue": BACKGROUND, "test": test, "scale": scale or own, "simultaneous": False}
        return known | columns | more

    @property
    def _measures(self) -> tuple[str, ...]:
        return plain.MEASURES if self.policy.target is None else plain.NUMBER_MEASURES

    @property
    def _level(self) -> float:
        return 1 - self.policy.alpha


def _values(test: str, lines: pd.DataFrame) -> pd.Series:
    if test == plain.ACCURACY_DROP:
        return lines["own_correct"] - lines["correct"]
    return lines["changed" if test == plain.CHANGED else "drop"]


def _bounds(test: str, reach: float) -> tuple[float, float] | None:
    return None if test == plain.VALUE_SHIFT else (-reach, reach)


def _minus(accuracy: Interval, chance: float) -> Interval:
    """Accuracy above a chance level that is taken as known."""
    shifted = {name: getattr(accuracy, name) - chance for name in ("estimate", "low", "high")}
    return replace(accuracy, **shifted)
