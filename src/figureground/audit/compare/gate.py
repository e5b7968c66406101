"""What the command line answers for a comparison, by the exit codes of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from figureground.audit.compare.document import CueChange, Gate, MeasureChange
from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import SEVERITIES
from figureground.audit.document.base import Message

Answers = Sequence[MeasureChange]


def gate(cues: Sequence[CueChange], measures: Answers, policy: Policy) -> Gate:
    """1: a demonstrated cue is new or worse, or accuracy fell by more than what is negligible; 3: coverage was lost.

    A demonstrated cue counts at or above the policy's ``fail_on``, unless a person's decision about it is in force. 3
    also where a required cue cannot be compared, or a demonstrated one that was not demonstrated before. 1 goes before
    3 before 0.
    """
    failed = [*_failed_cues(cues, policy), *_failed_measures(measures, policy)]
    unsure = [*_lost(cues, policy), *_unsure(cues, policy)]
    code: Literal[0, 1, 3] = 1 if failed else 3 if unsure else 0
    return Gate(exit_code=code, fail_on=policy.fail_on, reasons=[*failed, *unsure])


def _failed_cues(cues: Sequence[CueChange], policy: Policy) -> list[Message]:
    return [
        _of_cue(f"gate.{cue.state}", cue)
        for cue in cues
        if cue.state in ("new", "worse")
        and cue.second_status == "demonstrated"
        and not cue.decided
        and severe(cue.severity, policy.fail_on)
    ]


def severe(severity: str | None, limit: str) -> bool:
    """Whether a severity is at or above the limit; one that nobody declared is unknown, and never low."""
    return severity not in SEVERITIES or SEVERITIES.index(severity) >= SEVERITIES.index(limit)


def _failed_measures(measures: Answers, policy: Policy) -> list[Message]:
    """Accuracy that is shown to have fallen by more than what the policy calls negligible."""
    found = [item for item in measures if item.measure != "background_share" and item.state == "worse"]
    return [
        Message(key=f"gate.{item.measure}", args={"finding": item.finding, "margin": policy.delta_negligible})
        for item in found
        if item.difference is not None
        and item.difference.ci_high is not None
        and item.difference.ci_high < -policy.delta_negligible
    ]


def _lost(cues: Sequence[CueChange], policy: Policy) -> list[Message]:
    return [
        _of_cue("gate.lost_coverage", cue)
        for cue in cues
        if cue.state == "lost_coverage" and (cue.cue in policy.required_cues or cue.first_status == "demonstrated")
    ]


def _unsure(cues: Sequence[CueChange], policy: Policy) -> list[Message]:
    """Not comparable where it matters: a required cue, or one whose demonstration nobody can call old or new."""
    return [
        _of_cue("gate.not_comparable", cue)
        for cue in cues
        if cue.state == "not_comparable"
        and (cue.cue in policy.required_cues or (cue.second_status, cue.first_status == "demonstrated") == _APPEARED)
    ]


_APPEARED = ("demonstrated", False)


def _of_cue(key: str, cue: CueChange) -> Message:
    return Message(key=key, args={"cue": cue.cue, "finding": cue.finding})
