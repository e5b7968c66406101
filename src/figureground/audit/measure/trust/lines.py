"""What a check found: one line per method and measure, and the check that rests on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

import pandas as pd

from figureground.audit.document.audit_json import CheckMeasure, TrustCheck
from figureground.audit.measure.trust.estimates import LEVEL, Estimated

#: ``reference``: a figure to compare with; it passes and fails nothing.
Status = Literal["passed", "failed", "not_run", "reference"]

#: Reason of every check of a method whose maps are blank, constant or not finite too often.
DEGENERATE = "degenerate"
NO_MASKS = "no masks"
TOO_FEW = "too few images"
NOT_FINITE = "no finite value"


@dataclass(frozen=True)
class Line:
    """One number about one attribution method.

    Attributes
    ----------
    method : str
        Attribution method, or the name of a reference map.
    check : str
        What was measured; it begins with the name of the check that it belongs to.
    value, ci_low, ci_high : float
        NaN where there is none.
    n : int
        Images that entered.
    threshold : float
        NaN for references.
    status : {"passed", "failed", "not_run", "reference"}
    reason : str or None
        Why it failed or was not run.
    """

    method: str
    check: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    threshold: float
    status: Status
    reason: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A check of one method (``method`` is empty where it concerns several), with its lines, at least one.

    ``compared_with`` are the two layers, as they are described, where a check is about two; its numbers are then told
    one by one.
    """

    check: str
    method: str
    lines: tuple[Line, ...]
    compared_with: tuple[str, ...] = ()

    def as_trust_check(self) -> TrustCheck:
        """Failed if any line failed, else passed if any passed, else not run; the numbers are of the first such line.

        Examples
        --------
        >>> lines = (not_run("gradcam", "mask_sensitivity", NO_MASKS),)
        >>> Outcome("mask_sensitivity_gradcam", "gradcam", lines).as_trust_check().status
        'not_run'
        """
        order: tuple[Literal["failed", "passed", "not_run"], ...] = ("failed", "passed", "not_run")
        status = next((status for status in order if any(line.status == status for line in self.lines)), "not_run")
        line = next((line for line in self.lines if line.status == status), self.lines[0])
        return TrustCheck(
            check=self.check,
            status=status,
            value=_or_none(line.value),
            threshold=_or_none(line.threshold),
            n=line.n,
            reason=line.reason,
            compared_with=list(self.compared_with),
            measures=[_measure(each) for each in self.lines if self.compared_with],
        )


def at_most(method: str, check: str, found: Estimated, limit: float, reason: str) -> Line:
    """Passed where the upper bound of the interval does not exceed the limit: being alike must be excluded."""
    return _judged(method, check, found, limit, found.high <= limit, reason)


def at_least(method: str, check: str, found: Estimated, limit: float, reason: str) -> Line:
    """Passed where the estimate reaches the limit."""
    return _judged(method, check, found, limit, found.value >= limit, reason)


def reference(method: str, check: str, found: Estimated) -> Line:
    """A figure without pass or fail."""
    return Line(method, check, found.value, found.low, found.high, found.n, math.nan, "reference")


def not_run(method: str, check: str, reason: str, n: int = 0) -> Line:
    """A measure that could not be taken; that is never a pass."""
    return Line(method, check, math.nan, math.nan, math.nan, n, math.nan, "not_run", reason)


def degenerate(method: str, check: str, rate: float, n: int, limit: float) -> Line:
    """The failure of a check whose maps are degenerate in too many images; its value is their share."""
    return Line(method, check, rate, math.nan, math.nan, n, limit, "failed", DEGENERATE)


def as_table(lines: Sequence[Line]) -> pd.DataFrame:
    """One row per line, columns as the fields of :class:`Line`."""
    table = pd.DataFrame([asdict(line) for line in lines], columns=[field.name for field in fields(Line)])
    table["reason"] = pd.Series([line.reason for line in lines], dtype=object)  # pandas would mix None and NaN
    return table


def _judged(method: str, check: str, found: Estimated, limit: float, passed: bool, reason: str) -> Line:
    # A comparison with NaN is False, so what could not be estimated fails here as well.
    told = None if passed else reason if math.isfinite(found.value) else NOT_FINITE
    status: Status = "passed" if passed else "failed"
    return Line(method, check, found.value, found.low, found.high, found.n, limit, status, told)


def _measure(line: Line) -> CheckMeasure:
    value, low, high = map(_or_none, (line.value, line.ci_low, line.ci_high))
    return CheckMeasure(name=line.check, value=value, ci_low=low, ci_high=high, ci_level=LEVEL, n=line.n)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
