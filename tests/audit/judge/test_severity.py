"""Severity: what was declared, moved by how far the effect goes beyond what matters."""

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import SEVERITIES
from figureground.audit.judge.severity import NOT_DECLARED, consequence_of, severity_of, step, times_material


@pytest.mark.parametrize(
    ("low", "expected"),
    [(0.10, "moderate"), (0.149, "moderate"), (0.15, "high"), (0.299, "high"), (0.30, "critical"), (1.0, "critical")],
)
def test_the_table_on_the_decision_scale(low, expected):
    policy = Policy(consequence={"tint": "high"})
    assert severity_of(policy, "tint", times_material(low, policy, "decision")) == expected


@pytest.mark.parametrize(
    ("odds", "expected"), [(2.0, "low"), (2.7, "low"), (3.0, "moderate"), (7.8, "moderate"), (8.0, "high")]
)
def test_the_table_on_the_log_odds_scale(odds, expected):
    policy = Policy(default_consequence="moderate")
    assert severity_of(policy, "border", times_material(log(odds), policy, "log_odds")) == expected


def test_the_figures_of_the_documentation():
    policy = Policy()
    limits = (policy.severity_lower, policy.severity_raise)
    assert [times * policy.delta_material for times in limits] == pytest.approx([0.15, 0.30])
    assert [exp(times * policy.delta_material_log_odds) for times in limits] == pytest.approx([2.8, 7.9], abs=0.05)


def test_a_consequence_of_its_own_goes_before_the_default():
    policy = Policy(consequence={"tint": "critical"}, default_consequence="low")
    assert (consequence_of(policy, "tint"), consequence_of(policy, "border")) == ("critical", "low")
    assert consequence_of(Policy(), "tint") is None


@given(st.floats(0.0, 20.0))
def test_what_nobody_declared_is_never_a_class(times):
    assert severity_of(Policy(), "tint", times) == NOT_DECLARED


@given(st.sampled_from(SEVERITIES), st.floats(1.0, 20.0), st.floats(0.0, 10.0))
def test_a_larger_effect_is_never_less_severe_and_no_more_than_a_class_away(declared, times, more):
    policy = Policy(default_consequence=declared)
    at = SEVERITIES.index(severity_of(policy, "tint", times))
    assert at <= SEVERITIES.index(severity_of(policy, "tint", times + more))
    assert abs(at - SEVERITIES.index(declared)) <= 1


@given(st.integers(0, 2), st.floats(1.0, 20.0))
def test_a_graver_consequence_is_never_less_severe(at, times):
    found = [severity_of(Policy(default_consequence=SEVERITIES[at + more]), "tint", times) for more in (0, 1)]
    assert SEVERITIES.index(found[0]) <= SEVERITIES.index(found[1])


def test_limits_belong_to_the_upper_class_in_spite_of_rounding():
    policy = Policy()
    assert step(policy, times_material(3 * 0.1, policy, "decision")) == 1
    assert step(policy, times_material(0.1 + 0.05, policy, "decision")) == 0
