"""Decisions mark findings, hide none, and end on their day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.declared.config import DecisionEntry
from figureground.audit.document.audit_json import Finding, Message
from figureground.audit.judge.decisions import UNMATCHED, apply_decisions

DAY = date(2026, 11, 23)


def finding(identity):
    return Finding(id=identity, cue=None, status=None, message=Message(key="cue_state"))


def entry(identity, days=10, decision="accepted", by="A. Person"):
    return DecisionEntry(finding=identity, decision=decision, reason="known", by=by, expires=DAY + timedelta(days=days))


@pytest.mark.parametrize(("days", "active"), [(-1, False), (0, True), (1, True)])
def test_a_decision_holds_up_to_and_including_its_day(days, active):
    found = apply_decisions([finding("cue-tint")], [entry("cue-tint", days)], DAY)
    decision = found[0].decision
    assert (decision.decision, decision.reason, decision.by) == ("accepted", "known", "A. Person")
    assert decision.expires == (DAY + timedelta(days=days)).isoformat()
    assert decision.active is active


def test_an_active_decision_goes_before_an_expired_one_and_the_last_counts():
    entries = [entry("a", 5, by="first"), entry("a", 5, "disputed", by="second"), entry("a", -5, by="expired")]
    (found,) = apply_decisions([finding("a")], entries, DAY)
    assert (found.decision.by, found.decision.decision) == ("second", "disputed")
    (late,) = apply_decisions([finding("a")], entries, DAY + timedelta(days=6))
    assert (late.decision.by, late.decision.active) == ("expired", False)


def test_what_no_finding_answers_to_is_told_and_not_dropped():
    found = apply_decisions([finding("cue-tint")], [entry("cue-tnit"), entry("cue-b"), entry("cue-b")], DAY)
    assert [item.id for item in found] == ["cue-tint", UNMATCHED]
    assert found[0].decision is None
    assert found[1].message == Message(key="decision_unmatched", args={"findings": ["cue-b", "cue-tnit"]})


def test_a_decision_about_decisions_is_unmatched_as_well():
    found = apply_decisions([], [entry(UNMATCHED)], DAY)
    assert [item.message.args for item in found] == [{"findings": [UNMATCHED]}]


names = st.sampled_from(["cue-a", "cue-b", "cue-c", "worst-group"])


@given(
    st.lists(names, unique=True),
    st.lists(st.builds(entry, names, st.integers(-3, 3), st.sampled_from(["accepted", "disputed", "legitimate"]))),
)
def test_nothing_is_hidden_and_twice_is_once(identities, entries):
    given_findings = [finding(identity) for identity in identities]
    found = apply_decisions(given_findings, entries, DAY)
    kept = [item for item in found if item.id != UNMATCHED]
    assert [item.model_copy(update={"decision": None}) for item in kept] == given_findings
    assert {item.id for item in kept if item.decision} == {one.finding for one in entries} & set(identities)
    assert (len(found) > len(kept)) == bool({one.finding for one in entries} - set(identities))
    assert apply_decisions(found, entries, DAY) == found
    assert apply_decisions(found, [], DAY) == given_findings
