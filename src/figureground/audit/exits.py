"""What the command line answers for a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import SEVERITIES, AuditDocument, CueVerdict
from figureground.audit.judge.summary import identity

_OPEN = ("inconclusive", "not_tested", "error")


def exit_code(document: AuditDocument, policy: Policy) -> int:
    """0: policy met; 1: a demonstrated cue at or above the policy's severity; 3: a required cue was not assessed.

    3 also where more rows were set aside than the policy allows.
    1 goes before 3 before 0. ``suspected`` alone gives 0. A cue whose finding a person has decided about does not
    give 1 until the decision expires; that a cue could not be assessed is nothing that can be decided away.
    """
    cues = document.verdict.cues
    decided = {finding.id for finding in document.findings if finding.decision is not None and finding.decision.active}
    shown = [cue for cue in cues if cue.status == "demonstrated" and identity(cue) not in decided]
    if any(_severe(cue.severity, policy.fail_on) for cue in shown):
        return 1
    unassessed = any(_unassessed(name, cues) for name in policy.required_cues)
    # A quotient, because the product rounds: 0.29 * 100 is less than 29.
    # Of the rows that were looked at: those that a draw left out would dilute the faults of the others.
    looked_at = document.data.given - document.data.filtered
    too_many_bad = document.data.quarantined / max(looked_at, 1) > policy.max_bad
    return 3 if unassessed or too_many_bad else 0


def _severe(severity: str | None, limit: str) -> bool:
    # A severity that nobody declared is unknown, and unknown never becomes low.
    return severity not in SEVERITIES or SEVERITIES.index(severity) >= SEVERITIES.index(limit)


def _unassessed(name: str, cues: Sequence[CueVerdict]) -> bool:
    """Whether a cue was never judged, or stayed open for any finding."""
    found = [cue for cue in cues if cue.cue == name]
    return not found or any(cue.status in _OPEN for cue in found)


def with_exit_code(document: AuditDocument, policy: Policy) -> AuditDocument:
    """The document with what the command line answers for it, so that every format and a build can be held to it."""
    audit = document.audit.model_copy(update={"exit_code": exit_code(document, policy)})
    return document.model_copy(update={"audit": audit})
