"""A sealed run is judged again: without its model, under other policies, and never without saying so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from datetime import date

import jsonschema
import pandas as pd
import pytest
from typer.testing import CliRunner

from figureground.api import judge_again
from figureground.audit.declared.config import MEASURED_FIELDS, AuditConfig, DecisionEntry, Policy, load_policy
from figureground.audit.declared.cues import BACKGROUND, DEFAULT_CUES, can_be_held
from figureground.audit.document import audit_json as document
from figureground.audit.exits import exit_code
from figureground.audit.judge import stored
from figureground.audit.judge.again import check_measured, deviations
from figureground.audit.judge.decisions import apply_decisions
from figureground.audit.judge.evidenced import Evidenced
from figureground.audit.keeping.run_folder import RunFolder, check_seal, read_seal
from figureground.cli import app
from figureground.errors import IntegrityError, UsageError

#: 2026-12-01 and 2027-02-01 as SOURCE_DATE_EPOCH.
BEFORE, AFTER = "1796083200", "1801440000"
DECISION = {"finding": "cue-background", "decision": "accepted", "reason": "known", "by": "A", "expires": "2027-01-31"}
ENTRY = DecisionEntry.model_validate(DECISION)


@pytest.fixture(scope="module", autouse=True)
def fewer_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 199)
        yield


@pytest.fixture(scope="module")
def reliant(make, evidence_from):
    """Evidence of a model that follows the background in 6 of 10 images."""
    examples, predictions, _ = make(reliance=0.6, n=102)
    examples = examples.assign(ward=[("x", "y", "z")[i % 3] for i in range(len(examples))])
    return replace(evidence_from(examples, predictions), attributes=("site", "ward"))


@pytest.fixture(scope="module")
def run(reliant, sealed, tmp_path_factory):
    found = replace(reliant, config=AuditConfig(by=("environment", "site")))
    return sealed(tmp_path_factory.mktemp("run") / "run", found)


def judged(run, out, **asked):
    return judge_again(run, out=out, report=False, **asked)


def contents(path, names):
    return {name: (path / name).read_bytes() for name in names}


def test_nothing_new_changes_no_number(run, tmp_path):
    whole = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    again = judged(run, tmp_path / "again")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == whole
    check_seal(again.path)
    before = json.loads((run / "audit.json").read_text())
    after = json.loads((again.path / "audit.json").read_text())
    same = [key for key in before if key != "audit"]
    assert {key: after[key] == before[key] for key in same} == dict.fromkeys(same, True)
    assert after["deviations"] == []
    written = {"audit.json"}
    kept = set(read_seal(run)) - written
    assert contents(again.path, kept) == contents(run, kept)
    assert set(read_seal(again.path)) == set(read_seal(run)) | {"origin.json"}


def test_what_was_measured_comes_over_and_says_where_from(run, tmp_path):
    before = document.AuditDocument.model_validate_json((run / "audit.json").read_text())
    after = judged(run, tmp_path / "again").document
    assert (after.audit.started, after.audit.ended, after.audit.cost) == (
        before.audit.started,
        before.audit.ended,
        before.audit.cost,
    )
    assert after.subject == before.subject
    assert after.audit.id != before.audit.id
    assert (after.audit.judged.of, after.audit.judged.first_id) == (check_seal(run), before.audit.id)
    jsonschema.Draft202012Validator(document.json_schema()).validate(after.model_dump(mode="json"))


def test_new_groups_are_exploratory_and_change_nothing_about_the_others(run, tmp_path):
    again = judged(run, tmp_path / "again", by=["ward", "site*ward", "site"])
    origins = again.subgroups.groupby("attribute")["origin"].unique().map(list).to_dict()
    assert origins == {
        "(all)": ["declared"],
        "environment": ["declared"],
        "site": ["declared"],
        "ward": ["exploratory"],
        "site*ward": ["exploratory"],
    }
    before = pd.read_parquet(run / "subgroups.parquet")
    kept = again.subgroups[again.subgroups["attribute"].isin(before["attribute"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before, check_dtype=False)
    later = again.subgroups.query("measure == 'contrast' and origin == 'exploratory' and p_raw.notna()")
    assert len(later)
    assert (later["p_adjusted"] >= later["p_raw"]).all()
    first = document.AuditDocument.model_validate_json((run / "audit.json").read_text()).performance
    kept_parts = ("overall", "worst_group", "worst_bound")
    assert {name: getattr(again.document.performance, name) for name in kept_parts} == {
        name: getattr(first, name) for name in kept_parts
    }
    groups = {group.attribute: group.origin for group in again.document.data.groups}
    assert groups == {"environment": "declared", "site": "declared", "ward": "exploratory", "site*ward": "exploratory"}
    assert again.document.deviations == []


def test_groups_asked_for_once_stay_and_stay_exploratory(run, tmp_path):
    second = judged(run, tmp_path / "second", by=["ward"])
    third = judged(second.path, tmp_path / "third", by=["site*ward"])
    assert third.document.audit.judged.exploratory == ["ward", "site*ward"]
    assert (third.document.audit.judged.of, third.document.audit.judged.first) == (second.seal, check_seal(run))
    assert set(third.subgroups.query("origin == 'exploratory'")["attribute"]) == {"ward", "site*ward"}


@pytest.mark.slow
def test_a_worse_exploratory_group_is_told_beside_the_worst_declared_one(reliant, sealed, tmp_path):
    base = reliant.predictions.query("intervention == 'none'").set_index("row_id")["predicted"]
    rows = reliant.examples.set_index("row_id")
    wrong = [row for row in base.index if ("cat", "dog")[base[row]] != rows.loc[row, "label"]]
    bad = set(wrong) | set(list(base.index)[:10])
    marked = reliant.examples.assign(batch=["late" if row in bad else "early" for row in reliant.examples["row_id"]])
    found = replace(reliant, examples=marked, attributes=("site", "batch"), config=AuditConfig(by=("site",)))
    first = sealed(tmp_path / "run", found)
    again = judge_again(first, out=tmp_path / "again", by=["batch"])
    worst = again.document.performance
    assert (
        worst.worst_group
        == document.AuditDocument.model_validate_json((first / "audit.json").read_text()).performance.worst_group
    )
    assert (worst.worst_exploratory.attribute, worst.worst_exploratory.level) == ("batch", "late")
    page = (again.path / "report.en.html").read_text()
    assert "worst-group-exploratory" in page
    assert "batch (exploratory)" in page
    assert "batch = late" in page


def test_an_unknown_column_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(UsageError, match="SUBGROUP"):
        judged(run, tmp_path / "again", by=["nowhere"])
    assert not (tmp_path / "again").exists()


def test_a_folder_that_is_there_is_left_alone(run, tmp_path):
    judged(run, tmp_path / "again")
    with pytest.raises(UsageError, match="RUN_EXISTS"):
        judged(run, tmp_path / "again")
    judged(run, tmp_path / "again", overwrite=True)
    with pytest.raises(IntegrityError, match="RUN_FOLDER"):
        judged(run, run, overwrite=True)
    check_seal(run)


def test_what_is_not_as_it_was_sealed_is_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "measured.json").write_text((copy / "measured.json").read_text() + " ")
    with pytest.raises(IntegrityError, match=r"measured\.json"):
        judged(copy, tmp_path / "again")
    (copy / "COMPLETE.json").unlink()
    with pytest.raises(UsageError, match="RUN_INCOMPLETE"):
        judged(copy, tmp_path / "again")


def test_a_run_of_an_earlier_version_is_refused_by_name(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    seal = json.loads((copy / "COMPLETE.json").read_text())
    del seal["files"]["measured.json"]
    RunFolder(copy).write_json("COMPLETE.json", seal)
    with pytest.raises(UsageError, match="RUN_FORMAT"):
        judged(copy, tmp_path / "again")


def test_every_deviation_is_listed_with_both_values_and_told(run, tmp_path):
    changed = {"alpha": 0.01, "consequence": {"background": "high"}, "decision": [DECISION]}
    again = judge_again(run, out=tmp_path / "again", policy=changed)
    assert [item.model_dump() for item in again.document.deviations] == [
        {"field": "alpha", "declared": 0.05, "now": 0.01},
        {"field": "consequence", "declared": {}, "now": {"background": "high"}},
    ]
    (told,) = [finding for finding in again.findings if finding.id == "policy-deviation"]
    assert told.message.args == {"fields": ["alpha", "consequence"]}
    page = (again.path / "report.en.html").read_text()
    assert "alpha: declared 0.05, now 0.01." in page
    assert load_policy(again.path / "policy.json").alpha == 0.01
    assert again.document.policy["sha256"] == Policy(**changed).sha256


def test_a_policy_without_subgroups_leaves_those_that_were_declared(reliant, sealed, tmp_path):
    declared = Policy(subgroups=("site",))
    first = sealed(tmp_path / "run", replace(reliant, policy=declared))
    silent = judged(first, tmp_path / "silent", policy={"decision": [DECISION]})
    assert silent.document.deviations == []
    assert silent.document.policy["sha256"] == declared.sha256
    other = judged(first, tmp_path / "other", policy={"subgroups": ["ward"]})
    assert [(item.declared, item.now) for item in other.document.deviations] == [(["site"], ["ward"])]
    origins = {group.attribute: group.origin for group in other.document.data.groups}
    assert origins == {"site": "declared", "ward": "exploratory"}


def test_deviations_are_from_what_was_declared_at_first_however_often_it_is_judged(run, tmp_path):
    second = judged(run, tmp_path / "second", policy={"alpha": 0.01})
    third = judged(second.path, tmp_path / "third")
    assert [item.field for item in third.document.deviations] == ["alpha"]
    back = judged(second.path, tmp_path / "back", policy={})
    assert back.document.deviations == []
    assert back.verdict == document.AuditDocument.model_validate_json((run / "audit.json").read_text()).verdict


def test_another_threshold_gives_another_state(run, tmp_path):
    again = judged(run, tmp_path / "again", policy={"delta_material": 0.9})
    (cue,) = again.verdict.cues
    assert (cue.status, [reason.key for reason in cue.reasons]) == ("suspected", ["small_effect"])
    assert exit_code(again.document, load_policy(again.path / "policy.json")) == 0


@pytest.mark.parametrize("name", MEASURED_FIELDS)
def test_what_would_have_been_measured_otherwise_is_refused_by_name(run, tmp_path, name):
    changed = {name: getattr(Policy(), name) + 7}
    with pytest.raises(UsageError) as caught:
        judged(run, tmp_path / "again", policy=changed)
    assert (caught.value.code, caught.value.where) == ("JUDGE_MEASURED", f"policy:{name}")
    assert "audit again" in caught.value.fix
    assert not (tmp_path / "again").exists()


def levels(source, per_level=(30, 25)):
    rows = [(level, source, f"c{level}{i}") for level, n in zip("ab", per_level, strict=True) for i in range(n)]
    return pd.DataFrame(rows, columns=["stratum", "source", "cluster"])


def strata_check(value):
    return document.TrustCheck(check="strata", status="passed", value=value, threshold=None, n=None, reason=None)


@pytest.mark.parametrize(
    ("source", "auroc", "changed", "field"),
    [
        ("label", 0.8, {"min_contrast": 0.9}, "min_contrast"),
        ("prediction", 0.6, {"min_contrast": 0.55}, "min_contrast"),
        ("prediction", 0.6, {"min_clusters": 26}, "min_clusters"),
    ],
)
def test_levels_that_another_policy_would_not_have_chosen_are_refused(source, auroc, changed, field):
    with pytest.raises(UsageError) as caught:
        check_measured(Policy(), Policy(**changed), levels(source), [strata_check(auroc)], "policy")
    assert caught.value.where == f"policy:{field}"


@pytest.mark.parametrize(
    ("source", "auroc", "changed"),
    [
        ("label", 0.8, {"min_contrast": 0.75}), ("prediction", 0.6, {"min_contrast": 0.65}),
        ("prediction", 0.6, {"min_clusters": 25}), ("environment", None, {"min_contrast": 0.99, "min_clusters": 99}),
        ("label", 0.8, {"min_clusters": 99}), ("label", None, {"min_contrast": 0.99}),
    ],
)  # fmt: skip
def test_levels_that_it_would_have_chosen_as_well_are_not(source, auroc, changed):
    check_measured(Policy(), Policy(**changed), levels(source), [strata_check(auroc)], "policy")
    check_measured(Policy(), Policy(**changed), levels(source).iloc[:0], [], "policy")


def test_a_required_cue_that_was_not_run_stands_in_the_verdict_and_fails_the_gate(run, tmp_path):
    asked = {"required_cues": ["background", "tint"], "decision": [DECISION]}
    again = judged(run, tmp_path / "again", policy=asked)
    cue = next(cue for cue in again.verdict.cues if cue.cue == "tint")
    assert (cue.status, cue.reasons[0].key) == ("not_tested", "cue_not_run")
    assert again.document.not_tested[0].subject == "tint"
    active = again.document.model_copy(update={"findings": apply_decisions(again.findings, [ENTRY], date(2026, 12, 1))})
    assert exit_code(active, load_policy(again.path / "policy.json")) == 3


@pytest.mark.slow
def test_an_effect_that_another_cue_might_explain_is_not_demonstrated_by_a_later_policy(reliant, sealed, tmp_path):
    border = reliant.predictions[reliant.predictions["cue"] == BACKGROUND].assign(cue="border")
    both = pd.concat([reliant.predictions, border], ignore_index=True)
    strict = Policy(delta_material=0.95)
    found = replace(reliant, predictions=both, cues=(BACKGROUND, "border"), policy=strict)
    first = sealed(tmp_path / "run", found)
    again = judged(first, tmp_path / "again", policy={})
    states = {cue.cue: (cue.status, [reason.key for reason in cue.reasons]) for cue in again.verdict.cues}
    assert states == {BACKGROUND: ("suspected", ["held_not_measured"]), "border": ("demonstrated", [])}


def test_cues_that_can_be_held_are_those_that_the_transfers_can_hold():
    from figureground.audit.measure.transfers.registry import can_hold

    names = (*DEFAULT_CUES, "region:ruler")
    pairs = [(name, held) for name in names for held in names if name != held]
    assert {pair: can_be_held(*pair) for pair in pairs} == {pair: can_hold(*pair) for pair in pairs}


def test_all_of_the_evidence_is_declared_or_kept_or_a_table(reliant, sealed, tmp_path):
    path = sealed(tmp_path / "run", reliant)
    kept = json.loads((path / "measured.json").read_text())
    names = {item.name for item in fields(Evidenced)}
    assert names == {*kept, *stored.table_names(), *stored.GIVEN}
    back = stored.evidence_of(path, kept, reliant.config, reliant.policy, date(2026, 12, 1), None)
    for name in kept:
        assert getattr(back, name) == getattr(reliant, name), name
    for name in stored.table_names():
        pd.testing.assert_frame_equal(getattr(back, name), getattr(reliant, name), check_like=True, obj=name)


def test_deviations_of_a_policy_from_itself_are_none():
    assert deviations(Policy(), Policy(decision=(DECISION,))) == ()
    assert [item.field for item in deviations(Policy(), Policy(fail_on="high", alpha=0.01))] == ["alpha", "fail_on"]


def call(*arguments, day=BEFORE):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"SOURCE_DATE_EPOCH": day})


def decide(path, *entries):
    lines = [
        f"[[decision]]\n{''.join(f'{key} = {json.dumps(value)}{chr(10)}' for key, value in e.items())}" for e in entries
    ]
    path.write_text("\n".join(lines).replace(f'"{DECISION["expires"]}"', DECISION["expires"]))
    return path


def test_a_decision_keeps_the_gate_open_until_it_expires_and_hides_nothing(run, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.api.render_report", lambda _: None)
        first = call("judge", run, "-o", tmp_path / "first")
    assert first.exit_code == 1, first.output
    policy = decide(tmp_path / "policy.toml", DECISION)
    accepted = call("judge", run, "--policy", policy, "-o", tmp_path / "accepted")
    assert accepted.exit_code == 0, accepted.output
    late = call("judge", run, "--policy", policy, "-o", tmp_path / "late", day=AFTER)
    assert late.exit_code == 1, late.output
    runs = [json.loads((tmp_path / name / "audit.json").read_text()) for name in ("first", "accepted", "late")]
    assert [found["deviations"] for found in runs] == [[], [], []]
    assert len({json.dumps(found["policy"]) for found in runs}) == 1
    ids = [[finding["id"] for finding in found["findings"]] for found in runs]
    assert ids[0] == ids[1] == ids[2]
    decisions = [found["findings"][0]["decision"] for found in runs]
    assert decisions[0] is None
    assert (decisions[1]["active"], decisions[2]["active"]) == (True, False)
    for name in ("accepted", "late"):
        page = (tmp_path / name / "report.en.html").read_text()
        assert "Relies on background: shown by intervention" in page
        assert "cue-background" in page
        assert "by A" in page
    assert "Relies on background: shown by intervention" in accepted.output


def test_a_decision_about_another_finding_opens_nothing(run, tmp_path):
    policy = decide(tmp_path / "policy.toml", DECISION | {"finding": "cue-tint"})
    again = judged(run, tmp_path / "again", policy=policy)
    assert exit_code(again.document, load_policy(again.path / "policy.json")) == 1
    assert "decision-unmatched" in [finding.id for finding in again.findings]


BLOCKED = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "pytorch_lightning", "captum", "torchmetrics"}:
            raise ImportError(f"{name} was asked for")
sys.meta_path.insert(0, NoTorch())
from figureground.cli import app
app(sys.argv[1:])
"""


@pytest.mark.slow
def test_the_command_needs_no_torch(run, tmp_path):
    arguments = ["judge", str(run), "--by", "site*ward", "-o", str(tmp_path / "again")]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True, env=dict(os.environ), timeout=300
    )
    assert done.returncode == 1, done.stderr
    assert "Relies on background" in done.stdout
    check_seal(tmp_path / "again")
    assert (tmp_path / "again" / "report.en.html").is_file()
