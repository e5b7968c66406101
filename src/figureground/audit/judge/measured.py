"""A measure of one group of answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from figureground.audit.judge.answers import Answers
from figureground.audit.judge.intervals import Interval


@dataclass(frozen=True)
class Measured:
    """A measure of one group; ``reason`` says what to know of it, or why there is none."""

    interval: Interval
    reason: str | None = None
    p: float | None = None


def none_of(answers: Answers, level: float, reason: str) -> Measured:
    """No measure of this group, for this reason."""
    interval = Interval(np.nan, np.nan, np.nan, level, len(answers), len(set(answers.cluster)), np.nan, 0.0)
    return Measured(interval, reason)
