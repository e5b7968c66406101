"""What a model's outputs mean: one of several classes, several findings that may each be present, or a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Literal

from figureground.datasets.columns import ABSENT, LABEL_PREFIX, MASK_PREFIX, PRESENT, UNCERTAIN
from figureground.datasets.findings import Uncertain
from figureground.errors import UsageError

#: ``binary`` is how a model with a single logit is declared; inside an audit it is two classes. ``scalar`` is what
#: ``--target`` makes of any output: a number, of which the two classes are the sides of a cut.
Kind = Literal["multiclass", "binary", "multilabel", "scalar"]
#: What a caller can say of a model; a scalar is said by naming what makes the number.
DECLARED_KINDS: tuple[Kind, ...] = ("multiclass", "binary", "multilabel")
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Task:
    """What the logits are for, and how labels are read.

    Attributes
    ----------
    kind : {"multiclass", "binary", "multilabel", "scalar"}
        Softmax over classes (``binary``: over two), a sigmoid for each finding, or a number whose distance from the
        cut is the second logit minus the first.
    classes : tuple of str
        Names in the order of the logits: classes, or findings.
    thresholds : mapping of str to float
        Operating threshold of each finding, or of the second of two classes, as a probability in (0, 1); 0.5 where
        none is given.
    uncertain : {"exclude", "positive", "negative"} or None
        What an uncertain label of a finding counts as.
    background_findings : tuple of str
        Findings for which what lies outside the shared mask of a row is background.
    """

    kind: Kind
    classes: tuple[str, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    uncertain: Uncertain | None = None
    background_findings: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether several findings may each be present."""
        return self.kind == "multilabel"

    @property
    def scalar(self) -> bool:
        """Whether the answer is a number, and the classes are the sides of its cut."""
        return self.kind == "scalar"

    @property
    def findings(self) -> tuple[str, ...]:
        """Names that may have an operating threshold: all findings, or the second of two classes."""
        if self.several:
            return self.classes
        return self.classes[1:] if len(self.classes) == 2 and not self.scalar else ()

    def threshold(self, finding: str) -> float:
        """Probability from which a finding counts as called present."""
        return self.thresholds.get(finding, DEFAULT_THRESHOLD)

    def offset(self, finding: str) -> float:
        """Log-odds of the operating threshold: what is subtracted from a logit, so that 0 is the decision's border."""
        at = self.threshold(finding)
        return log(at / (1 - at))


def named(finding: str, present: bool) -> str:
    """A finding, or its absence, as the name of a class.

    Examples
    --------
    >>> named("effusion", True), named("effusion", False)
    ('effusion', 'no effusion')
    """
    return finding if present else f"no {finding}"


def check_thresholds(thresholds: Mapping[str, float], task: Task, where: str = "thresholds") -> None:
    """Refuse operating thresholds of what cannot have one; raises :class:`UsageError`."""
    for name, value in thresholds.items():
        if name not in task.findings:
            raise UsageError(
                "THRESHOLD",
                f"{where}:{name}",
                found=f"a threshold for {name!r}",
                expected=f"one of {', '.join(task.findings)}" if task.findings else _no_threshold(task),
                fix="name a finding, or the second of two classes",
            )
        if not 0 < value < 1:
            raise UsageError(
                "THRESHOLD",
                f"{where}:{name}",
                found=str(value),
                expected="a probability between 0 and 1, both excluded",
                fix="give the probability from which the finding counts as present",
            )


def _no_threshold(task: Task) -> str:
    return "none: the answer is a number" if task.scalar else "none: there are several classes"


__all__ = [
    "ABSENT",
    "DECLARED_KINDS",
    "DEFAULT_THRESHOLD",
    "LABEL_PREFIX",
    "MASK_PREFIX",
    "PRESENT",
    "UNCERTAIN",
    "Kind",
    "Task",
    "check_thresholds",
    "named",
]
