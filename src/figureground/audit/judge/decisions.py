"""What people decided about findings: it marks a finding, never hides it, and ends on its day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from figureground.audit.declared.config import DecisionEntry
from figureground.audit.document.audit_json import Decision, Finding, Message

#: Id of the finding that names decisions about findings that this run does not have.
UNMATCHED = "decision-unmatched"


def apply_decisions(findings: Sequence[Finding], entries: Sequence[DecisionEntry], today: date) -> list[Finding]:
    """The same findings in the same order, each with the decision about it, if there is one.

    Parameters
    ----------
    findings : sequence of Finding
        Decisions that they carry already are replaced.
    entries : sequence of DecisionEntry
        Of the policy. Where several are about one finding, the last that is still active counts, else the last.
    today : date
        A decision is active up to and including the day it expires.

    Returns
    -------
    list of Finding
        With one more, ``decision-unmatched``, where entries name findings that are not there: a wrong id must not
        look like a decision that was heeded.

    Examples
    --------
    >>> apply_decisions([], [], date(2026, 11, 23))
    []
    """
    found = [finding for finding in findings if finding.id != UNMATCHED]
    marked = [finding.model_copy(update={"decision": _about(finding.id, entries, today)}) for finding in found]
    known = {finding.id for finding in found}
    unknown = sorted({entry.finding for entry in entries} - known)
    return [*marked, _unmatched(unknown)] if unknown else marked


def _about(finding: str, entries: Sequence[DecisionEntry], day: date) -> Decision | None:
    mine = [entry for entry in entries if entry.finding == finding]
    if not mine:
        return None
    active = [entry for entry in mine if day <= entry.expires]
    chosen = (active or mine)[-1]
    return Decision(
        decision=chosen.decision,
        reason=chosen.reason,
        by=chosen.by,
        expires=chosen.expires.isoformat(),
        active=bool(active),
    )


def _unmatched(names: Sequence[str]) -> Finding:
    message = Message(key="decision_unmatched", args={"findings": list(names)})
    return Finding(id=UNMATCHED, cue=None, status=None, message=message)
