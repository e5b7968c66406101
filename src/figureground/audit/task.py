"""What a model's outputs mean: one of several classes, or several findings that may each be present."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["multiclass", "multilabel"]
#: Columns of findings in the tables, and what their cells mean.
LABEL_PREFIX = "label:"
PRESENT, ABSENT, UNCERTAIN = "1", "0", "-1"
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Task:
    """What the logits are for.

    Attributes
    ----------
    kind : {"multiclass", "multilabel"}
        Softmax over classes, or a sigmoid for each finding.
    classes : tuple of str
        Names in the order of the logits: classes, or findings.
    thresholds : mapping of str to float
        Operating threshold of each finding, as a probability in (0, 1); 0.5 where none is given.
    """

    kind: Kind
    classes: tuple[str, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def threshold(self, finding: str) -> float:
        """Probability from which a finding counts as called present."""
        return self.thresholds.get(finding, DEFAULT_THRESHOLD)
