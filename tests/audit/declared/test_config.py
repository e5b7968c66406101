"""Policies: every field checked before the first image, the same fields the same hash."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from figureground.audit.declared.config import (
    AuditConfig,
    Policy,
    canonical_json,
    canonical_sha256,
    check_cues,
    load_policy,
)
from figureground.errors import UsageError

FIELDS = {"delta_material": 0.2, "required_cues": ["background"], "consequence": {"background": "high"}}
ENTRY = {"finding": "cue-tint", "decision": "accepted", "reason": "known", "by": "A", "expires": "2027-01-31"}
DECIDED = {"decision": [ENTRY]}
TOML = 'delta_material = 0.2\nrequired_cues = ["background"]\n[consequence]\nbackground = "high"\n'


def refused(policy):
    with pytest.raises(UsageError) as caught:
        load_policy(policy)
    assert caught.value.exit_code == 2
    return caught.value


def test_the_same_policy_from_every_form(tmp_path):
    (tmp_path / "policy.toml").write_text(TOML)
    (tmp_path / "policy.json").write_text(json.dumps(FIELDS))
    forms = (FIELDS, Policy(**FIELDS), tmp_path / "policy.toml", str(tmp_path / "policy.json"))
    found = [load_policy(form) for form in forms]
    assert all(policy == found[0] for policy in found)
    assert len({policy.sha256 for policy in found}) == 1
    assert found[0].delta_material == 0.2
    assert found[0].consequence == {"background": "high"}
    assert load_policy(None) == load_policy({}) == Policy()


def test_a_given_policy_stays_itself():
    policy = Policy(passes=2)
    assert load_policy(policy) is policy


@pytest.mark.parametrize(
    ("fields", "where", "near"),
    [
        ({"delta_materiel": 0.2}, "delta_materiel", "delta_material"),
        ({"min_cluster": 5}, "min_cluster", "min_clusters"),
        ({"required_cue": ["background"]}, "required_cue", "required_cues"),
        ({"decision": [{"findings": "cue-tint"}]}, "decision.0.findings", "finding"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_one(fields, where, near):
    error = refused(DECIDED | fields if "decision" not in fields else {"decision": [ENTRY | fields["decision"][0]]})
    assert (error.code, error.where) == ("POLICY_FIELD", f"policy:{where}")
    assert error.found == f"the unknown field {where.split('.')[-1]!r}"
    assert error.fix.startswith(f"did you mean {near!r}? ")


def test_a_field_that_is_like_no_other_is_named_with_all():
    error = refused({"xyzzy": 1})
    assert error.fix == f"fields are: {', '.join(Policy.model_fields)}"
    assert refused([1]).code == "POLICY_FIELD"


def test_a_consequence_of_no_cue_is_refused_with_the_nearest_one():
    error = refused({"consequence": {"backgruond": "high"}})
    assert (error.code, error.where, error.found) == ("CUE_UNKNOWN", "policy:consequence", "'backgruond'")
    assert error.fix.startswith("did you mean 'background'? ")
    assert load_policy({"consequence": {"region:ruler": "low"}}).consequence == {"region:ruler": "low"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 0), ("alpha", 0.5), ("alpha", float("nan")), ("delta_material", 1), ("delta_negligible", 0),
        ("min_clusters", 1), ("passes", 0), ("passes", 21), ("max_donor_reuse", 0), ("max_bad", 1.1),
        ("max_bad", -0.1), ("fail_on", "severe"),
        ("consequence", {"background": "severe"}), ("alpha", "small"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_named(field, value):
    error = refused({field: value})
    assert error.code == "POLICY_FIELD"
    assert error.where.startswith(f"policy:{field}")


@pytest.mark.parametrize("negligible", [0.2, 0.3])
def test_negligible_is_less_than_material_in_every_form(negligible):
    fields = {"delta_material": 0.2, "delta_negligible": negligible}
    for form in (fields, Policy(**fields)):
        error = refused(form)
        assert (error.code, error.where) == ("POLICY_FIELD", "policy:delta_negligible")
    assert load_policy(fields | {"delta_negligible": 0.19}).delta_negligible == 0.19


def test_an_unknown_cue_is_refused():
    for form in ({"required_cues": ["background", "ruler"]}, Policy(required_cues=("background", "ruler"))):
        error = refused(form)
        assert (error.code, error.found) == ("CUE_UNKNOWN", "'ruler'")
    with pytest.raises(UsageError, match="CUE_UNKNOWN"):
        check_cues(("Background",), "call")
    check_cues((), "call")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", "{"), ("p.json", "[1]"), ("p.json", "[]"), ("p.json", '"alpha"'), ("p.json", "null"),
        ("p.toml", "alpha = "), ("p.toml", "{}"), ("p.json", b"\xff\xfe"),
    ],
)  # fmt: skip
def test_files_that_hold_no_policy_are_refused(tmp_path, name, text):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    error = refused(tmp_path / name)
    assert (error.code, error.where) == ("POLICY_FILE", str(tmp_path / name))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert refused(tmp_path / "none.toml").code == "POLICY_FILE"
    assert refused(tmp_path).code == "POLICY_FILE"


def test_a_field_of_a_file_is_named_with_the_file(tmp_path):
    (tmp_path / "p.toml").write_text("alpha = 2\n")
    assert refused(tmp_path / "p.toml").where == f"{tmp_path / 'p.toml'}:alpha"


def test_hashes_do_not_change_from_version_to_version():
    text = canonical_json(Policy().declared)
    assert Policy().sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert text == (
        '{"alpha":0.05,"assay_effects":[0.05,0.1,0.2],"assay_redraws":100,"background_findings":[],"consequence":{},'
        '"default_consequence":null,"delta_material":0.1,"delta_material_log_odds":0.69,"delta_negligible":0.05,'
        '"delta_negligible_log_odds":0.41,"explains":0.8,"fail_on":"low","grid_rows":120,"max_bad":0.01,'
        '"max_degenerate":0.1,"max_donor_reuse":5,"max_fragility":0.1,"min_accuracy_margin":0.1,'
        '"min_class_share":0.02,"min_clusters":20,"min_contrast":0.7,"passes":3,"placebo_draws":200,"plain_rows":200,"power":0.8,'
        '"rare_share":0.1,"required_cues":["background"],"secondary_rows":500,"severity_lower":1.5,'
        '"severity_raise":3.0,"subgroups":null,"thresholds":{},"uncertain":null}'
    )


def test_a_decision_is_no_part_of_what_was_declared():
    entry = {"finding": "cue-tint", "decision": "accepted", "reason": "known", "by": "A", "expires": "2027-01-31"}
    decided = load_policy({"decision": [entry]})
    assert decided.sha256 == Policy().sha256
    assert decided.decision[0].expires.isoformat() == "2027-01-31"
    for missing in entry:
        refused({"decision": [{name: value for name, value in entry.items() if name != missing}]})
    refused({"decision": [entry | {"decision": "ignored"}]})


@pytest.mark.parametrize("change", [{"alpha": 0.01}, {"fail_on": "high"}, {"consequence": {"background": "low"}}])
def test_every_field_is_in_the_hash(change):
    assert Policy(**change).sha256 != Policy().sha256


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcé", max_size=3), values, max_size=5))
def test_canonical_json_does_not_depend_on_the_order_of_keys(fields):
    turned = dict(reversed(fields.items()))
    assert canonical_json(turned) == canonical_json(fields)
    assert canonical_sha256(turned) == canonical_sha256(fields)
    assert json.loads(canonical_json(fields)) == fields


def test_canonical_json_has_no_nan():
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("inf")})


def test_settings_are_closed_and_frozen():
    assert AuditConfig().batch_size == 64
    for fields in ({"output": "x"}, {"seed": -1}, {"seed": 2**63}, {"batch_size": 0}, {"max_images": 0}):
        with pytest.raises(ValidationError):
            AuditConfig(**fields)
    with pytest.raises(ValidationError):
        AuditConfig().seed = 1
    with pytest.raises(ValidationError):
        Policy().alpha = 0.2


@pytest.mark.parametrize(
    "text",
    [
        '{"delta_material_log_odds": Infinity}',
        '{"thresholds": {"a": NaN}}',
        '{"target": {"name": "a", "cut": 1, "material": 2, "negligible": 1, "values": {"x": NaN}}}',
        "[" * 100_000,
    ],
)
def test_what_json_cannot_say_is_refused_before_it_is_hashed(tmp_path, text):
    # Found by benchmarks/fuzz/configuration.py, or next to what it found.
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(UsageError, match="POLICY"):
        load_policy(tmp_path / "policy.json")
