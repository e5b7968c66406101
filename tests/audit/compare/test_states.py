"""From two states and an interval to what changed, and to what the gate answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.compare.differing import Ruler, of_rows
from figureground.audit.compare.document import CueChange, Difference, MeasureChange
from figureground.audit.compare.gate import gate
from figureground.audit.compare.states import Moved, cue_state, measure_state
from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import STATE_ORDER, CueVerdict
from figureground.audit.judge.clustered import multiway_mean

TESTED = ("demonstrated", "suspected", "not_detected", "inconclusive")


def verdict(status, estimate=0.2):
    known = status in TESTED
    fields = dict.fromkeys(CueVerdict.model_fields)
    fields |= {"cue": "background", "status": status, "severity": "high", "n": 100, "n_clusters": 100}
    fields |= {name: [] for name in ("reasons", "does_not_show", "next_step", "explained", "alternatives", "repeats")}
    return CueVerdict(**fields | {"dose_response": [], "estimate": estimate if known else None})


def difference(low, high, smallest=0.05, line=0.1):
    ends = None if low is None else (low + high) / 2
    return Difference(
        how="paired",
        scale="share",
        n=100,
        n_clusters=100,
        first=0.5,
        second=None if ends is None else 0.5 + ends,
        estimate=ends,
        ci_low=low,
        ci_high=high,
        ci_level=0.95,
        smallest=smallest,
        line=line,
    )


GREW = Moved(rose=True, grew=True, powered=True)
SHRANK = Moved(shrank=True, powered=True)
STILL, WEAK = Moved(powered=True), Moved()


@pytest.mark.parametrize(
    ("first", "second", "moved", "expected"),
    [
        ("inconclusive", "demonstrated", GREW, ("new", None)),
        ("not_detected", "demonstrated", STILL, ("unchanged", "state_flipped")),
        ("not_detected", "demonstrated", WEAK, ("not_comparable", "below_power_line")),
        ("demonstrated", "demonstrated", GREW, ("worse", None)),
        ("demonstrated", "demonstrated", Moved(rose=True, turned=True), ("new", "other_direction")),
        ("demonstrated", "demonstrated", Moved(rose=True, grew=True, turned=True), ("new", "other_direction")),
        ("demonstrated", "demonstrated", SHRANK, ("better", None)),
        ("demonstrated", "not_detected", SHRANK, ("resolved", None)),
        ("demonstrated", "inconclusive", SHRANK, ("better", None)),
        ("demonstrated", "not_detected", STILL, ("unchanged", "state_flipped")),
        ("demonstrated", "not_detected", WEAK, ("not_comparable", "below_power_line")),
        ("suspected", "suspected", GREW, ("worse", None)),
        ("demonstrated", "not_tested", SHRANK, ("lost_coverage", None)),
        ("demonstrated", "error", SHRANK, ("lost_coverage", None)),
        ("not_detected", None, STILL, ("lost_coverage", "no_longer_listed")),
        ("not_tested", "demonstrated", STILL, ("new", "not_tested_before")),
        (None, "demonstrated", STILL, ("new", "not_tested_before")),
        ("not_tested", "not_detected", STILL, ("gained_coverage", None)),
        ("not_tested", "error", STILL, ("not_tested", None)),
        (None, None, STILL, ("not_tested", None)),
    ],
)
def test_what_changed(first, second, moved, expected):
    sides = [None if status is None else verdict(status) for status in (first, second)]
    assert cue_state(*sides, moved) == expected


STATES = st.sampled_from([None, *STATE_ORDER])
MOVES = st.builds(Moved, rose=st.booleans(), grew=st.booleans(), shrank=st.booleans(), turned=st.booleans())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.04, -0.01, ("worse", "negligible")), (-0.06, -0.01, ("worse", None)), (0.01, 0.05, ("better", "negligible"))],
)
def test_a_change_that_does_not_matter_is_said_not_to(low, high, expected):
    found = difference(low, high).model_copy(update={"negligible": 0.05})
    assert measure_state(found, less_is_worse=True) == expected


def test_on_too_few_units_nothing_is_said_of_a_difference():
    found = difference(-0.5, -0.4).model_copy(update={"reason": "too_few_units"})
    assert measure_state(found, less_is_worse=True) == ("not_comparable", "too_few_units")
    alike = multiway_mean(np.zeros(8), np.arange(8), bounds=(-1.0, 1.0))
    few, enough = (of_rows(alike, (0.5, 0.5), "share", Ruler(0.95, 0.8, 0.9, least=n)) for n in (9, 8))
    assert (few.reason, enough.reason) == ("too_few_units", None)
    assert few.estimate == 0.0


@given(STATES, STATES, MOVES, st.booleans())
def test_what_is_never_said(first, second, moved, powered):
    sides = [None if status is None else verdict(status) for status in (first, second)]
    moved = Moved(moved.rose, moved.grew, moved.shrank, moved.turned, powered)
    state, _ = cue_state(*sides, moved)
    if second not in TESTED:
        assert state in ("lost_coverage", "not_tested")
    if state == "new":
        assert second == "demonstrated"
    if state == "resolved":
        assert (first, second, moved.shrank) == ("demonstrated", "not_detected", True)
    if state == "unchanged":
        assert powered
    if not (moved.rose or moved.grew or moved.shrank) and first in TESTED and second in TESTED:
        assert state in ("unchanged", "not_comparable")


@pytest.mark.parametrize(
    ("low", "high", "smallest", "expected"),
    [
        (-0.09, -0.01, 0.05, "worse"),
        (0.01, 0.09, 0.05, "better"),
        (-0.04, 0.04, 0.05, "unchanged"),
        (-0.2, 0.2, 0.25, "not_comparable"),
        (-0.5, -0.1, 0.25, "worse"),
        (None, None, None, "not_comparable"),
    ],
)
def test_what_a_number_did(low, high, smallest, expected):
    assert measure_state(difference(low, high, smallest), less_is_worse=True)[0] == expected
    opposite = {"worse": "better", "better": "worse"}
    assert measure_state(difference(low, high, smallest), less_is_worse=False)[0] == opposite.get(expected, expected)


def cue(state, second="demonstrated", **more):
    fields = dict.fromkeys(CueChange.model_fields)
    fields |= {"cue": "background", "state": state, "first_status": "inconclusive", "second_status": second}
    return CueChange(**fields | {"severity": "moderate", "decided": False} | more)


def measure(name, low, high, state="worse"):
    fields = dict.fromkeys(MeasureChange.model_fields)
    return MeasureChange(**fields | {"measure": name, "state": state, "difference": difference(low, high)})


@pytest.mark.parametrize(
    ("cues", "measures", "policy", "code"),
    [
        ([cue("new")], [], {}, 1),
        ([cue("worse")], [], {}, 1),
        ([cue("worse", "suspected")], [], {}, 0),
        ([cue("new")], [], {"fail_on": "high"}, 0),
        ([cue("new", severity="not_declared")], [], {"fail_on": "critical"}, 1),
        ([cue("new", decided=True)], [], {}, 0),
        ([cue("unchanged")], [], {}, 0),
        ([cue("lost_coverage", None)], [], {}, 3),
        ([cue("lost_coverage", None, cue="tint")], [], {}, 0),
        ([cue("lost_coverage", None, cue="tint", first_status="demonstrated")], [], {}, 3),
        ([cue("lost_coverage", None, cue="tint")], [], {"required_cues": ("tint",)}, 3),
        ([cue("not_comparable", "inconclusive")], [], {}, 3),
        ([cue("not_comparable", "inconclusive", cue="tint")], [], {}, 0),
        ([cue("not_comparable", cue="tint")], [], {}, 3),
        ([cue("not_comparable", cue="tint", first_status="demonstrated")], [], {}, 0),
        ([cue("lost_coverage", None), cue("new", cue="tint")], [], {}, 1),
        ([], [measure("accuracy", -0.09, -0.04)], {}, 0),
        ([], [measure("accuracy", -0.09, -0.06)], {}, 1),
        ([], [measure("worst_group_accuracy", -0.2, -0.1)], {}, 1),
        ([], [measure("worst_group_accuracy", 0.06, 0.2, "better")], {}, 0),
        ([], [measure("background_share", 0.3, 0.4)], {}, 0),
    ],
)
def test_what_the_gate_answers(cues, measures, policy, code):
    found = gate(cues, measures, Policy(**policy))
    assert found.exit_code == code
    assert bool(found.reasons) == bool(code)
