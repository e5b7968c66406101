"""What a model is said to score on this data, as `accuracy=0.93±0.01`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from figureground.errors import UsageError

_NUMBER = r"(0(?:\.\d+)?|1(?:\.0+)?)"
_FORM = re.compile(rf"\s*accuracy\s*=\s*{_NUMBER}\s*(?:(?:±|\+-|\+/-)\s*{_NUMBER})?\s*")
TOLERANCE = 0.01


@dataclass(frozen=True)
class Expected:
    """An accuracy and how far from it the model may be.

    Attributes
    ----------
    accuracy, tolerance : float
        In [0, 1].
    """

    accuracy: float
    tolerance: float = TOLERANCE

    @classmethod
    def parse(cls, text: str) -> Expected:
        """From ``accuracy=0.93±0.01``, ``accuracy=0.93+-0.01``, or without a tolerance.

        Examples
        --------
        >>> Expected.parse("accuracy=0.93+-0.02")
        Expected(accuracy=0.93, tolerance=0.02)
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise UsageError(
                "EXPECT", "expect", found=repr(text), expected="accuracy=0.93±0.01", fix="write it so, in [0, 1]"
            )
        accuracy, tolerance = found.groups()
        return cls(float(accuracy), TOLERANCE if tolerance is None else float(tolerance))

    def holds(self, share: float) -> bool:
        """Whether an accuracy is within the tolerance; what rounding does to the ends is no difference."""
        return abs(share - self.accuracy) <= self.tolerance + 1e-9

    @property
    def told(self) -> str:
        """In percent, with the tolerance."""
        return f"{100 * self.accuracy:g} % (±{100 * self.tolerance:g})"
