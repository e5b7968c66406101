"""What a finding was measured against, and who set that."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from figureground.reports.catalogue import load
from figureground.reports.sections import standards
from figureground.reports.sections.context import Context


def said(run: Any, **changes: Any) -> list[str]:
    context = Context(run, load("en"))
    cue = next(cue for cue in context.cues if cue.status == "demonstrated")
    return standards.lines(context, cue.model_copy(update=changes))


def supplied(finished: Any, policy: str | None) -> dict[str, Any]:
    audit = finished.document.audit.model_dump(mode="json")
    return audit | {"supplied_by": audit["supplied_by"] | {"policy": policy}}


@pytest.mark.parametrize(
    ("party", "words"),
    [
        ("tool", "the tool’s own limits"),
        ("client", "by the client"),
        ("auditor", "by the auditor"),
        (None, "by whom was not said"),
    ],
)
def test_limits_stand_with_their_origin(party: str | None, words: str, make_run: Any, finished: Any) -> None:
    first, attack = said(make_run(audit=supplied(finished, party)))
    policy = finished.document.policy
    assert (
        f"{100 * policy['delta_material']:g} points matter, {100 * policy['delta_negligible']:g} points do not" in first
    )
    assert words in first
    assert "can move the answer" in attack


def test_limits_that_came_after_the_measurements_say_so(make_run: Any, finished: Any) -> None:
    later = [{"field": "delta_material", "declared": 0.1, "now": 0.2}]
    assert "when the run was judged again" in said(make_run(deviations=later))[0]
    other = [{"field": "alpha", "declared": 0.05, "now": 0.1}]
    assert "when the run was judged again" not in said(make_run(deviations=other))[0]


def test_odds_stand_as_ratios(make_run: Any, finished: Any) -> None:
    logs = {"delta_material_log_odds": 0.69, "delta_negligible_log_odds": 0.41}
    first = said(make_run(policy=finished.document.policy | logs), scale="log_odds")[0]
    assert f"odds {exp(0.69):.2f} times as large matter, {exp(0.41):.2f} times do not" in first


@pytest.mark.parametrize("state", ["not_tested", "error"])
def test_what_was_not_compared_names_no_limit(state: str, finished: Any) -> None:
    assert said(finished, status=state) == []


@pytest.mark.parametrize("state", ["suspected", "not_detected", "inconclusive"])
def test_only_what_was_demonstrated_is_called_a_way_to_move_the_answer(state: str, finished: Any) -> None:
    assert len(said(finished, status=state)) == 1
