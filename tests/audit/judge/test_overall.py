"""The status of a whole audit: the worst over the cues that the policy requires, and what was found."""

from __future__ import annotations

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import STATE_ORDER
from figureground.audit.judge.verdict import CueJudge, overall


def cue(name, status):
    return CueJudge(Policy(), cue=name).not_tested("no_masks", "next_add_masks").model_copy(update={"status": status})


def test_the_overall_status_is_the_worst_of_the_required():
    assert STATE_ORDER == ("demonstrated", "error", "suspected", "inconclusive", "not_tested", "not_detected")
    for at, better in enumerate(STATE_ORDER):
        for worse in STATE_ORDER[: at + 1]:
            cues = [cue("one", better), cue("two", worse)]
            assert overall(cues, ["one", "two"]).status == worse
            expected = "demonstrated" if worse == "demonstrated" else better  # what was found is found
            assert overall(cues, ["one"]).status == expected
            assert overall(cues, []).status == worse


def test_a_required_cue_that_is_missing_is_not_tested():
    found = overall([cue("one", "not_detected")], ["one", "two"])
    assert found.status == "not_tested"
    assert found.counts["not_detected"] == 1
    assert overall([], ["background"]).status == overall([], []).status == "not_tested"
    assert sum(overall([], []).counts.values()) == 0
