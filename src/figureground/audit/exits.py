"""What the command line answers for a finished run."""

from __future__ import annotations

from figureground.audit.config import Policy
from figureground.audit.document import AuditDocument

_SEVERITIES = ("low", "moderate", "high", "critical")
_OPEN = ("inconclusive", "not_tested", "error")


def exit_code(document: AuditDocument, policy: Policy) -> int:
    """0: policy met; 1: a demonstrated cue at or above the policy's severity; 3: a required cue was not assessed.

    3 also where more rows were set aside than the policy allows.
    1 goes before 3 before 0. ``suspected`` alone gives 0.
    """
    cues = {cue.cue: cue for cue in document.verdict.cues}
    limit = _SEVERITIES.index(policy.fail_on)
    shown = [cue for cue in cues.values() if cue.status == "demonstrated"]
    if any(_SEVERITIES.index(cue.severity) >= limit for cue in shown):
        return 1
    unassessed = any(name not in cues or cues[name].status in _OPEN for name in policy.required_cues)
    # A quotient, because the product rounds: 0.29 * 100 is less than 29.
    too_many_bad = document.data.quarantined / max(document.data.given, 1) > policy.max_bad
    return 3 if unassessed or too_many_bad else 0
