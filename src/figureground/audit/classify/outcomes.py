"""The outcome of a probe as a line of the report."""

from __future__ import annotations

from figureground.audit.document.audit_json import TrustCheck
from figureground.errors import SubjectError


def result(
    check: str,
    passed: bool,
    reason: str | None = None,
    n: int | None = None,
    value: float | None = None,
    threshold: float | None = None,
    *,
    noted: str | None = None,
) -> TrustCheck:
    """A probe that ran; ``reason`` is why it failed, ``noted`` what is said although it passed."""
    return TrustCheck(
        check=check,
        status="passed" if passed else "failed",
        value=value,
        threshold=threshold,
        n=n,
        reason=noted if passed else reason,
    )


def not_run(check: str, reason: str) -> TrustCheck:
    """A probe that could not be run."""
    return TrustCheck(check=check, status="not_run", value=None, threshold=None, n=None, reason=reason)


def bad_output(found: str, expected: str, fix: str) -> SubjectError:
    """The error for an output with which nothing can be measured."""
    return SubjectError("MODEL_OUTPUT", "model output", found=found, expected=expected, fix=fix)
