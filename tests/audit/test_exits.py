"""The table of exit codes: 1 goes before 3 before 0, and a suspicion alone gives 0."""

import itertools

import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import (
    STATE_ORDER,
    AuditDocument,
    CueVerdict,
    Data,
    Decision,
    Finding,
    Message,
    Verdict,
)
from figureground.audit.exits import exit_code

SEVERITIES = ("low", "moderate", "high", "critical")


def document(*cues, given=1000, quarantined=0, findings=()):
    """Only what the exit code reads; cues are (name, status, severity) or (name, status, severity, finding)."""
    verdicts = [
        CueVerdict.model_construct(cue=name, status=status, severity=severity, finding=more[0] if more else None)
        for name, status, severity, *more in cues
    ]
    return AuditDocument.model_construct(
        verdict=Verdict.model_construct(cues=verdicts),
        data=Data.model_construct(given=2 * given, ok=given - quarantined, quarantined=quarantined, filtered=given),
        findings=list(findings),
    )


def decided(identity, *, active=True, decision="accepted"):
    made = Decision(decision=decision, reason="known", by="A. Person", expires="2027-01-31", active=active)
    return Finding(id=identity, cue=None, status=None, message=Message(key="cue_state"), decision=made)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("demonstrated", 1),
        ("suspected", 0),
        ("not_detected", 0),
        ("inconclusive", 3),
        ("not_tested", 3),
        ("error", 3),
    ],
)
def test_one_required_cue(status, expected):
    assert exit_code(document(("background", status, "moderate")), Policy()) == expected


def test_every_state_is_in_the_table():
    table = next(mark for mark in test_one_required_cue.pytestmark if mark.name == "parametrize").args[1]
    assert {status for status, _ in table} == set(STATE_ORDER)


@pytest.mark.parametrize(("severity", "limit"), list(itertools.product(SEVERITIES, SEVERITIES)))
def test_severity_is_weighed_against_the_policy(severity, limit):
    expected = 1 if SEVERITIES.index(severity) >= SEVERITIES.index(limit) else 0
    assert exit_code(document(("background", "demonstrated", severity)), Policy(fail_on=limit)) == expected


def test_a_required_cue_that_was_never_judged():
    assert exit_code(document(), Policy()) == 3
    assert exit_code(document(), Policy(required_cues=())) == 0


@pytest.mark.parametrize(("status", "expected"), [("inconclusive", 0), ("error", 0), ("demonstrated", 1)])
def test_cues_that_are_not_required(status, expected):
    both = document(("background", "not_detected", "moderate"), ("ruler", status, "moderate"))
    assert exit_code(both, Policy()) == expected


def test_one_goes_before_three():
    both = document(("background", "inconclusive", "moderate"), ("ruler", "demonstrated", "moderate"), quarantined=500)
    assert exit_code(both, Policy()) == 1
    assert exit_code(both, Policy(fail_on="high")) == 3


@pytest.mark.parametrize(
    ("quarantined", "given", "share", "expected"),
    [
        (0, 1000, 0.01, 0), (10, 1000, 0.01, 0), (11, 1000, 0.01, 3), (1, 50, 0.01, 3), (1, 1000, 0.0, 3),
        (0, 10, 0.0, 0), (10, 10, 1.0, 0), (29, 100, 0.29, 0), (30, 100, 0.29, 3), (0, 0, 0.01, 0),
    ],
)  # fmt: skip
def test_too_many_rows_set_aside(quarantined, given, share, expected):
    found = document(("background", "not_detected", "low"), given=given, quarantined=quarantined)
    assert exit_code(found, Policy(max_bad=share)) == expected


def test_a_severity_that_nobody_declared_is_never_low():
    found = document(("background", "demonstrated", "not_declared"))
    assert exit_code(found, Policy(fail_on="critical")) == 1


def test_a_required_cue_must_be_assessed_for_every_finding():
    both = document(("background", "not_detected", "info"), ("background", "inconclusive", "info"))
    assert exit_code(both, Policy()) == 3


@pytest.mark.parametrize("decision", ["accepted", "disputed", "legitimate"])
@pytest.mark.parametrize(("active", "expected"), [(True, 0), (False, 1)])
def test_a_decision_keeps_a_finding_from_failing_until_it_expires(decision, active, expected):
    findings = [decided("cue-background", active=active, decision=decision)]
    found = document(("background", "demonstrated", "critical"), findings=findings)
    assert exit_code(found, Policy()) == expected


def test_a_decision_is_about_one_finding_only():
    cues = ("background", "demonstrated", "high", "effusion"), ("background", "demonstrated", "high", "nodule")
    first, second = decided("cue-effusion-background"), decided("cue-nodule-background")
    assert exit_code(document(*cues, findings=[first]), Policy()) == 1
    assert exit_code(document(*cues, findings=[first, second]), Policy()) == 0
    assert exit_code(document(*cues, findings=[decided("cue-background")]), Policy()) == 1


def test_what_could_not_be_assessed_cannot_be_decided_away():
    found = document(("background", "inconclusive", "info"), findings=[decided("cue-background")])
    assert exit_code(found, Policy()) == 3


@pytest.mark.parametrize("severity", [None, "not_declared", "info", "unheard of"])
def test_an_unknown_severity_is_at_or_above_any_limit(severity):
    assert exit_code(document(("background", "demonstrated", severity)), Policy(fail_on="critical")) == 1
