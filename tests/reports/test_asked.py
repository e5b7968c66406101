"""Decisions that people are asked for, and the block in which they sign."""

from __future__ import annotations

from typing import Any

import pytest

from figureground.reports.catalogue import load
from figureground.reports.html import render_html
from figureground.reports.sections.asked import MAX_ASKED, decisions
from figureground.reports.sections.context import Context

DECIDED = {"decision": "accepted", "reason": "<b>rare</b> setting", "by": "A. Martin", "expires": "2027-06-30"}


def asked(run: Any) -> tuple[str, ...]:
    return decisions(Context(run, load("en")))


def finding(finished: Any, **changes: Any) -> dict[str, Any]:
    first = next(item for item in finished.document.findings if item.status == "demonstrated")
    return {**first.model_dump(mode="json"), **changes}


def test_a_demonstrated_cue_asks_for_one_of_three_answers(make_run: Any, finished: Any) -> None:
    (line,) = asked(make_run(findings=[finding(finished)]))
    assert "accept it with a reason" in line
    assert "dispute it" in line
    assert finding(finished)["id"] in line


@pytest.mark.parametrize("state", ["suspected", "inconclusive", "not_tested", "error"])
def test_other_states_ask_otherwise_and_the_worst_comes_first(state: str, make_run: Any, finished: Any) -> None:
    lines = asked(make_run(findings=[finding(finished, status=state, id="other"), finding(finished)]))
    assert len(lines) == 2
    assert "Reliance on" in lines[0]
    assert "(other)" in lines[1]


def test_what_was_decided_is_told_with_who_until_when_and_why(make_run: Any, finished: Any) -> None:
    run = make_run(findings=[finding(finished, decision=DECIDED | {"active": True})])
    (line,) = asked(run)
    assert "accepted by A. Martin until 30 June 2027" in line
    assert "&lt;b&gt;rare&lt;/b&gt; setting" in render_html(run)


def test_a_decision_that_has_ended_is_asked_for_again(make_run: Any, finished: Any) -> None:
    (line,) = asked(make_run(findings=[finding(finished, decision=DECIDED | {"active": False})]))
    assert "accept it with a reason" in line


def test_nothing_found_asks_for_no_decision_and_says_so(make_run: Any, finished: Any) -> None:
    assert asked(make_run(findings=[finding(finished, status="not_detected")])) == (load("en").say("asked.none"),)


def test_many_are_counted(make_run: Any, finished: Any) -> None:
    many = [finding(finished, id=f"f{n}") for n in range(MAX_ASKED + 3)]
    lines = asked(make_run(findings=many))
    assert len(lines) == MAX_ASKED + 1
    assert "3 more" in lines[-1]


def test_the_block_is_blank(report: str) -> None:
    block = report[report.index('class="sign"') : report.index('class="boxes"')]
    assert block.count("<dd></dd>") == 4
    assert load("en").say("sign.note") in report
