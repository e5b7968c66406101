"""Two runs whose difference is known, compared whole: what is said, and what is never said."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import figureground as fg
from figureground.audit.compare.document import json_schema
from figureground.audit.keeping.run_folder import read_table
from figureground.cli import app
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
    assert found.document.gate.reasons[0].key == "gate.new"


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
    found = compare_runs(runs(0.6), runs(0.95))
    assert (cue(found).state, cue(found).first_status, found.exit_code) == ("worse", "demonstrated", 1)


def test_a_run_against_itself_is_unchanged_with_differences_of_nothing(runs):
    found = compare_runs(runs(0.6), runs(0.6))
    assert {item.state for item in (*found.cues, *found.document.measures)} == {"unchanged"}
    assert set(found.differences["estimate"]) == {0.0}
    assert found.exit_code == 0
    assert not any(item.changed for item in found.document.inputs)


def test_the_order_of_rows_does_not_matter(runs, rename):
    other = runs.altered(runs(0.6), rename)
    against, renamed = (compare_runs(runs(0.0), run) for run in (runs(0.6), other))
    for one, two in zip(against.document.cues, renamed.document.cues, strict=True):
        assert one.difference.model_dump() == pytest.approx(two.difference.model_dump())
    assert renamed.document.rows == against.document.rows
    itself = compare_runs(runs(0.6), other)
    assert set(itself.differences["estimate"]) == {0.0}
    assert itself.document.rows.common == 159


def test_rows_of_one_audit_only_are_counted_and_left_out(runs, only_some):
    found = compare_runs(runs(0.0), runs.altered(runs(0.6), only_some(lambda at: at < 120)))
    rows = found.document.rows
    assert (rows.how, rows.common, rows.only_first, rows.only_second) == ("paired", 119, 40, 0)
    assert measure(found, "accuracy").difference.n == 119
    assert cue(found).difference.n < 240


def test_without_a_common_picture_wholes_are_compared(runs):
    found = compare_runs(runs(0.0), runs.changed(runs(0.6), sha256=[f"{i:064d}" for i in range(160)]))
    assert (found.document.rows.how, found.document.rows.reason) == ("aggregates", "none_common")
    paired = cue(compare_runs(runs(0.0), runs(0.6))).difference
    whole = cue(found).difference
    assert (cue(found).state, whole.how) == ("new", "aggregates")
    assert whole.estimate == pytest.approx(paired.estimate, abs=0.02)
    assert whole.ci_high - whole.ci_low > paired.ci_high - paired.ci_low


def test_with_few_common_pictures_wholes_are_compared(runs):
    names = read_table(runs(0.6), "examples")["sha256"]
    mixed = names.where(np.arange(160) < 12, [f"{i:064d}" for i in range(160)])
    found = compare_runs(runs(0.0), runs.changed(runs(0.6), sha256=mixed)).document.rows
    assert (found.how, found.reason, found.common) == ("aggregates", "too_few_common", 11)


def test_another_mask_is_another_test_of_the_background_but_not_of_accuracy(runs):
    masks = read_table(runs(0.6), "examples")["mask_sha256"].where(np.arange(160) >= 60, "redrawn")
    found = compare_runs(runs(0.0), runs.changed(runs(0.6), mask_sha256=masks))
    rows = found.document.rows
    assert rows.masks_recorded
    assert (rows.common, rows.same_mask) == (159, 100)
    assert measure(found, "accuracy").difference.n == 159
    assert measure(found, "background_share").difference.n == 100
    assert cue(found).difference.n == 200


def test_a_picture_with_another_label_is_not_compared_and_told(runs):
    examples = read_table(runs(0.6), "examples")
    labels = examples["label"].where(np.arange(160) >= 10, "cat")
    moved = int((labels != examples["label"])[examples["status"] == "ok"].sum())
    rows = compare_runs(runs(0.0), runs.changed(runs(0.6), label=labels)).document.rows
    assert moved > 0
    assert (rows.other_label, rows.common) == (moved, 159 - moved)


def test_what_is_no_longer_tested_is_never_resolved(runs):
    def untested(document):
        document["verdict"]["cues"][0] |= {"status": "not_tested", "estimate": None, "direction": None}
        return document

    blind = runs.altered(runs(0.0), document=untested)
    found = compare_runs(runs(0.6), blind)
    assert cue(found).state == "lost_coverage"
    assert found.exit_code == 3
    back = compare_runs(blind, runs(0.6))
    assert (cue(back).state, cue(back).reason, back.exit_code) == ("new", "not_tested_before", 1)


def test_below_the_power_line_nothing_is_called_unchanged(runs, only_some):
    few = [runs.altered(run, only_some(lambda at: at < 100)) for run in (runs(0.0), runs(0.0, answers=5))]
    found = compare_runs(*few)
    item = cue(found)
    assert (item.state, item.reason) == ("not_comparable", "below_power_line")
    assert item.difference.smallest > item.difference.line == 0.10
    assert item.difference.n_clusters >= 20
    assert found.exit_code == 3


def test_on_too_few_units_nothing_is_said(runs, only_some):
    few = [runs.altered(run, only_some(lambda at: at < 40)) for run in (runs(0.0), runs(0.6))]
    item = cue(compare_runs(*few))
    assert item.difference.n_clusters < 20
    assert (item.state, item.reason) == ("not_comparable", "too_few_units")


def test_other_policies_and_preprocessing_are_told_and_refuse_nothing(runs):
    assert cue(compare_runs(runs(0.0), runs(0.6), policy={"delta_material": 0.3})).difference.line == 0.3

    def other(document):
        document["policy"]["alpha"] = 0.01
        document["subject"]["preprocessing"] = {"resize": [64, 64]}
        return document

    found = compare_runs(runs(0.0), runs.altered(runs(0.6), document=other))
    told = found.document
    assert [(item.field, item.declared, item.now) for item in told.policy_changes] == [("alpha", 0.05, 0.01)]
    assert {"policy", "preprocessing", "model"} == {item.name for item in told.inputs if item.changed}
    assert (cue(found).state, cue(found).difference.how) == ("new", "paired")


@pytest.mark.parametrize(("severity", "shut"), [("low", ["low"]), ("high", ["low", "moderate", "high"]), ("x", None)])
def test_the_severity_from_which_the_gate_is_shut(runs, severity, shut):
    def declared(document):
        document["verdict"]["cues"][0]["severity"] = severity
        return document

    run = runs.altered(runs(0.6), document=declared)
    limits = ["low", "moderate", "high", "critical"]
    found = [limit for limit in limits if "gate.new" in reasons(compare_runs(runs(0.0), run, fail_on=limit))]
    assert found == (limits if shut is None else shut)  # what nobody declared is never low


def reasons(found):
    return [reason.key for reason in found.document.gate.reasons]


def test_a_decision_keeps_a_finding_from_shutting_the_gate_and_is_told(runs):
    def decided(document):
        decision = {"decision": "accepted", "reason": "known", "by": "A", "expires": "2027-01-31", "active": True}
        first = next(item for item in document["findings"] if item["id"] == "cue-background")
        first["decision"] = decision
        return document

    found = compare_runs(runs(0.0), runs.altered(runs(0.6), document=decided))
    assert (cue(found).state, cue(found).decided) == ("new", True)
    assert "gate.new" not in reasons(found)


def test_the_document_is_valid_and_the_same_twice(runs, tmp_path):
    twin = tmp_path / "deep" / "compare.json"
    compare_runs(runs(0.0), runs(0.6), json=twin)
    text = twin.read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), json_schema())
    assert compare_runs(runs(0.0), runs(0.6)).json() == text
    assert str(runs.folder) not in text


def test_the_packaged_schema_is_the_one_of_the_code():
    packaged = resources.files("figureground.audit") / "schema" / "compare.schema.json"
    assert json.loads(packaged.read_text(encoding="utf-8")) == json_schema()


def test_a_run_that_was_altered_is_refused(runs):
    altered = runs.altered(runs(0.0))
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


@pytest.mark.parametrize(
    ("first", "second", "options", "code", "last"),
    [
        (0.0, 0.6, [], 1, "New: background."),
        (0.6, 0.0, [], 0, "The gate is open (exit code 0)"),
        (0.0, 0.6, ["--fail-on", "grave"], 2, "POLICY_FIELD"),
        (0.0, 0.6, ["--lang", "xx"], 2, "REPORT_LANGUAGE"),
    ],
)
def test_the_command_answers_by_its_exit_code(runs, first, second, options, code, last):
    done = CliRunner().invoke(app, ["compare", str(runs(first)), str(runs(second)), *options])
    # Errors that are meant for people pass through the command; ``__main__`` makes them a line and an exit code.
    assert getattr(done.exception, "exit_code", done.exit_code) == code
    assert last in f"{done.output}{done.exception}"


def test_the_command_writes_what_is_asked_for(runs, tmp_path):
    page, twin = tmp_path / "compare.html", tmp_path / "compare.json"
    done = CliRunner().invoke(app, ["compare", *map(str, (runs(0.0), runs(0.6), "-o", page, "--json", twin))])
    assert done.exit_code == 1
    assert f"page: {page}" in done.output
    assert "<h1>figureground comparison</h1>" in page.read_text(encoding="utf-8")
    assert json.loads(twin.read_text(encoding="utf-8"))["gate"]["exit_code"] == 1
    assert fg.compare(runs(0.0), runs(0.6)).json() == twin.read_text(encoding="utf-8")
