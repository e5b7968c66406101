"""Two runs whose difference is known, compared whole: what is said, and what is never said."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import jsonschema
import numpy as np
import pandas as pd
import pytest

from figureground.audit.compare.document import json_schema
from figureground.comparing import compare_runs
from figureground.errors import IntegrityError, UsageError


def cue(found, name="background"):
    return next(item for item in found.cues if item.cue == name)


def measure(found, name):
    return next(item for item in found.document.measures if item.measure == name)


def test_a_reliance_that_appears_is_new_and_shuts_the_gate(runs):
    found = compare_runs(runs(0.0), runs(0.6))
    item = cue(found)
    assert (item.state, item.first_status == "demonstrated", item.second_status) == ("new", False, "demonstrated")
    assert item.difference.how == "paired"
    assert item.difference.ci_low < item.difference.second - item.difference.first < item.difference.ci_high
    assert found.exit_code == 1
    assert [reason.key for reason in found.document.gate.reasons][0] == "gate.new"


def test_a_reliance_that_is_repaired_is_better_or_resolved_and_opens_it(runs):
    found = compare_runs(runs(0.6), runs(0.0))
    item = cue(found)
    assert item.state in ("better", "resolved")
    assert (item.state == "resolved") == (item.second_status == "not_detected")
    assert item.difference.ci_high < 0
    assert found.exit_code == 0
    assert measure(found, "accuracy").state == "better"


def test_the_two_directions_mirror_each_other(runs):
    there, back = compare_runs(runs(0.0), runs(0.6)), compare_runs(runs(0.6), runs(0.0))
    one, other = cue(there).difference, cue(back).difference
    assert (one.estimate, one.ci_low, one.ci_high) == pytest.approx((-other.estimate, -other.ci_high, -other.ci_low))
    one, other = measure(there, "accuracy").difference, measure(back, "accuracy").difference
    assert (one.first, one.second, one.ci_low) == pytest.approx((other.second, other.first, -other.ci_high))


def test_a_reliance_that_grows_is_worse(runs):
    found = compare_runs(runs(0.4), runs(0.9))
    assert (cue(found).state, cue(found).first_status, found.exit_code) == ("worse", "demonstrated", 1)


def test_a_run_against_itself_is_unchanged_with_differences_of_nothing(runs):
    found = compare_runs(runs(0.6), runs(0.6))
    assert {item.state for item in (*found.cues, *found.document.measures)} == {"unchanged"}
    assert set(found.differences["estimate"]) == {0.0}
    assert found.exit_code == 0
    assert not any(item.changed for item in found.document.inputs)


def test_the_order_of_rows_does_not_matter(runs, rename):
    evidence = runs.evidence(0.6)
    other = runs.sealed(rename(evidence), model="n" * 64)
    against, renamed = (compare_runs(runs(0.0), run) for run in (runs(0.6), other))
    for one, two in zip(against.document.cues, renamed.document.cues, strict=True):
        assert one.difference.model_dump() == pytest.approx(two.difference.model_dump())
    assert renamed.document.rows == against.document.rows
    itself = compare_runs(runs(0.6), other)
    assert set(itself.differences["estimate"]) == {0.0}


def part_of(evidence, keep):
    """The same evidence on some of its rows, their donors included."""
    rows = evidence.examples["row_id"][keep]
    tables = {}
    for name in ("examples", "strata", "predictions", "attributions"):
        frame = getattr(evidence, name)
        kept = frame["row_id"].isin(rows)
        if "donor_row_id" in frame:
            kept &= frame["donor_row_id"].isna() | frame["donor_row_id"].isin(rows)
        tables[name] = frame[kept].reset_index(drop=True)
    return replace(evidence, **tables)


def test_rows_of_one_audit_only_are_counted_and_left_out(runs):
    whole = runs.evidence(0.6)
    half = part_of(whole, np.arange(len(whole.examples)) < 120)
    found = compare_runs(runs(0.0), runs.sealed(half, model="h" * 64))
    rows = found.document.rows
    usable = int((half.examples["status"] == "ok").sum())
    assert (rows.how, rows.common, rows.only_second) == ("paired", usable, 0)
    assert rows.only_first == 159 - usable
    assert measure(found, "accuracy").difference.n == usable


def test_without_a_common_picture_wholes_are_compared(runs):
    other = runs.evidence(0.6)
    renamed = other.examples.assign(sha256=[f"{i:064d}" for i in range(len(other.examples))])
    found = compare_runs(runs(0.0), runs.sealed(replace(other, examples=renamed), model="o" * 64))
    assert (found.document.rows.how, found.document.rows.reason) == ("aggregates", "none_common")
    paired = cue(compare_runs(runs(0.0), runs(0.6))).difference
    whole = cue(found).difference
    assert (cue(found).state, whole.how) == ("new", "aggregates")
    assert whole.estimate == pytest.approx(paired.estimate, abs=0.02)
    assert whole.ci_high - whole.ci_low > paired.ci_high - paired.ci_low


def test_another_mask_is_another_test_of_the_background_but_not_of_accuracy(runs):
    other = runs.evidence(0.6)
    masks = other.examples["mask_sha256"].where(np.arange(len(other.examples)) >= 60, "redrawn")
    found = compare_runs(
        runs(0.0), runs.sealed(replace(other, examples=other.examples.assign(mask_sha256=masks)), "k" * 64)
    )
    rows = found.document.rows
    assert rows.masks_recorded
    assert (rows.common, rows.same_mask) == (159, 100)
    assert measure(found, "accuracy").difference.n == 159
    assert measure(found, "background_share").difference.n == 100
    assert cue(found).difference.n == 200


def test_a_picture_with_another_label_is_not_compared_and_told(runs):
    other = runs.evidence(0.6)
    labels = other.examples["label"].where(np.arange(len(other.examples)) >= 10, "cat")
    moved = int((labels != other.examples["label"])[other.examples["status"] == "ok"].sum())
    found = compare_runs(runs(0.0), runs.sealed(replace(other, examples=other.examples.assign(label=labels)), "l" * 64))
    assert moved > 0
    assert (found.document.rows.other_label, found.document.rows.common) == (moved, 159 - moved)


def test_what_is_no_longer_tested_is_never_resolved(runs):
    evidence = runs.evidence(0.0)
    bare = evidence.examples.assign(object_area=np.nan)
    without = evidence.predictions[evidence.predictions["cue"] != "background"].reset_index(drop=True)
    blind = runs.sealed(replace(evidence, examples=bare, predictions=without), "b" * 64)
    found = compare_runs(runs(0.6), blind)
    assert cue(found).state == "lost_coverage"
    assert found.exit_code == 3
    back = compare_runs(blind, runs(0.6))
    assert (cue(back).state, cue(back).reason, back.exit_code) == ("new", "not_tested_before", 1)


def test_below_the_power_line_nothing_is_called_unchanged(runs):
    found = compare_runs(runs(0.05, n=50), runs(0.05, n=50, answers=5))
    item = cue(found)
    assert (item.state, item.reason) == ("not_comparable", "below_power_line")
    assert item.difference.smallest > item.difference.line == 0.10
    assert found.exit_code == 3


def test_other_policies_and_preprocessing_are_told_and_refuse_nothing(runs):
    found = compare_runs(runs(0.0), runs(0.6), policy={"delta_material": 0.3, "delta_negligible": 0.2})
    assert cue(found).difference.line == 0.3
    strict = runs.sealed(
        replace(runs.evidence(0.6), policy=runs.evidence(0.6).policy.model_copy(update={"alpha": 0.01}))
    )
    told = compare_runs(runs(0.0), strict).document
    assert [(item.field, item.declared, item.now) for item in told.policy_changes] == [("alpha", 0.05, 0.01)]
    assert {"policy", "model"} <= {item.name for item in told.inputs if item.changed}


def test_the_severity_from_which_the_gate_is_shut(runs):
    policy = {"default_consequence": "moderate"}
    declared = runs(0.45, policy=runs.evidence(0.0).policy.model_copy(update=policy))
    severity = cue(compare_runs(runs(0.0), declared)).severity
    order = ["low", "moderate", "high", "critical"]
    for limit in order:
        found = compare_runs(runs(0.0), declared, fail_on=limit)
        shut = order.index(severity) >= order.index(limit)
        assert ("gate.new" in [reason.key for reason in found.document.gate.reasons]) == shut


def test_the_document_is_valid_and_the_same_twice(runs, tmp_path):
    page, twin = tmp_path / "deep" / "compare.html", tmp_path / "compare.json"
    first = compare_runs(runs(0.0), runs(0.6), out=page, json=twin)
    texts = page.read_bytes(), twin.read_bytes()
    jsonschema.validate(json.loads(texts[1]), json_schema())
    compare_runs(runs(0.0), runs(0.6), out=page, json=twin)
    assert (page.read_bytes(), twin.read_bytes()) == texts
    assert str(runs.folder) not in texts[0].decode() + texts[1].decode()
    assert first.html() == texts[0].decode()


def test_the_packaged_schema_is_the_one_of_the_code():
    packaged = resources.files("figureground.audit") / "schema" / "compare.schema.json"
    assert json.loads(packaged.read_text(encoding="utf-8")) == json_schema()


def test_a_run_that_was_altered_is_refused(runs):
    altered = runs.sealed(runs.evidence(0.0), "a" * 64)
    document = altered / "audit.json"
    document.write_text(document.read_text().replace("inconclusive", "not_detected"))
    with pytest.raises(IntegrityError, match="RUN_ALTERED"):
        compare_runs(altered, runs(0.0))


def test_a_folder_that_is_no_run_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="RUN_INCOMPLETE"):
        compare_runs(runs(0.0), tmp_path)


def test_differences_are_a_frame(runs):
    frame = compare_runs(runs(0.0), runs(0.6)).differences
    assert set(frame["kind"]) == {"cue", "measure", "group"}
    assert frame.loc[frame["name"] == "background", "estimate"].item() > 0.3
    assert isinstance(frame, pd.DataFrame)
