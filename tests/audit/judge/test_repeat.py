"""Evidence level 4: found again on other data or by another training, and on nothing less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from figureground.api import judge_again
from figureground.audit.declared.config import MEASURED_FIELDS, Policy
from figureground.audit.document.audit_json import CueVerdict, Direction, OtherRun
from figureground.audit.judge.next_steps import with_commands
from figureground.audit.judge.repeat import FREE_FIELDS, other_thresholds, same_direction, what_differs, with_repeats
from figureground.audit.keeping.run_folder import check_seal
from figureground.errors import UsageError

POLICY = Policy(assay_redraws=20, placebo_draws=50)
GRAVEL = Direction(class_name="coat", arm="gravel", reference="grass")


def turned(way):
    return Direction(class_name=way.class_name, arm=way.reference, reference=way.arm)


def verdict(status="demonstrated", direction=GRAVEL, low=0.3, cue="background", **more):
    return CueVerdict.model_construct(
        cue=cue, finding=None, status=status, direction=direction, estimate=0.4, ci_low=low, ci_high=0.5, level=0.95,
        scale="decision", n=100, n_clusters=90, evidence_level="L3", repeats=[], **more,
    )  # fmt: skip


def other(*cues, classes=("coat", "pullover"), policy=None, seal="s" * 64):
    return OtherRun.model_construct(
        seal=seal, audit_id="a", model_sha256="m", data_sha256="d", classes=list(classes), differs=["data"],
        policy=(policy or Policy()).declared, cues=list(cues),
    )  # fmt: skip


def repeated(here, *there, **more):
    return with_repeats(here, [other(*there, **more)], Policy())


def test_a_cue_that_is_demonstrated_there_in_the_same_direction_is_level_4():
    found = repeated(verdict(), verdict())
    assert (found.evidence_level, found.repeats[0].holds, found.repeats[0].reason) == ("L4", True, None)
    assert (found.repeats[0].estimate, found.repeats[0].n_clusters, found.repeats[0].seal) == (0.4, 90, "s" * 64)


OTHER_LEVELS = Direction(class_name="coat", arm="snow", reference="grass")
THIRD = Direction(class_name="shoe", arm="grass", reference="gravel")


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (verdict("suspected"), "not_demonstrated_there"),
        (verdict("not_tested", None), "not_tested_there"),
        (verdict(cue="tint"), "not_tested_there"),
        (verdict(direction=turned(GRAVEL)), "other_direction"),
        (verdict(direction=OTHER_LEVELS), "other_levels"),
        (verdict(low=0.09), "not_material_there"),
        (verdict(low=None), "not_material_there"),
    ],
)
def test_what_does_not_repeat_it_is_said_with_its_reason(there, reason):
    found = repeated(verdict(), there)
    assert (found.evidence_level, found.repeats[0].holds, found.repeats[0].reason) == ("L3", False, reason)


@pytest.mark.parametrize("status", ["suspected", "not_detected", "inconclusive"])
def test_what_is_not_demonstrated_here_cannot_be_repeated(status):
    found = repeated(verdict(status), verdict())
    assert (found.evidence_level, found.repeats[0].reason) == ("L3", "not_demonstrated_here")


def test_one_of_several_runs_is_enough_and_all_are_told():
    found = with_repeats(verdict(), [other(verdict("suspected")), other(verdict(), seal="t" * 64)], Policy())
    assert found.evidence_level == "L4"
    assert [item.holds for item in found.repeats] == [False, True]
    assert with_repeats(verdict(), [], Policy()) == verdict()


def test_of_two_classes_the_other_one_on_the_other_level_is_the_same_effect():
    pullover = Direction(class_name="pullover", arm="grass", reference="gravel")
    assert repeated(verdict(), verdict(direction=pullover)).evidence_level == "L4"
    three = ("coat", "pullover", "shoe")
    assert repeated(verdict(), verdict(direction=THIRD), classes=three).repeats[0].reason == "other_direction"
    assert not same_direction(GRAVEL, turned(pullover), binary=True)


def test_thresholds_are_all_fields_that_decide_about_states():
    assert other_thresholds(Policy().declared, Policy()) == []
    free = Policy(fail_on="high", consequence={"tint": "low"}, passes=2, subgroups=("site",), max_bad=0.5)
    assert other_thresholds(free.declared, Policy()) == []
    assert other_thresholds(Policy(alpha=0.01, delta_material=0.2).declared, Policy()) == ["alpha", "delta_material"]
    assert set(FREE_FIELDS) <= set(Policy.model_fields)
    assert set(MEASURED_FIELDS) <= set(FREE_FIELDS)


def tables(names, logits):
    rows = np.arange(len(names))
    examples = pd.DataFrame({"row_id": rows, "sha256": names, "status": "ok"})
    predictions = pd.DataFrame({"row_id": rows, "intervention": "none", "logits": list(logits)})
    return examples, predictions


def differs(models, names, logits):
    (one, first), (two, second) = (tables(n, z) for n, z in zip(names, logits, strict=True))
    return what_differs(models, (one, two), (first, second))


def test_in_what_two_runs_differ():
    z = np.random.default_rng(0).normal(size=(4, 2))
    same, elsewhere, overlap = list("abcd"), list("efgh"), list("dxyz")
    assert differs("mm", (same, same), (z, z)) == []
    assert differs("mm", (same, elsewhere), (z, z)) == ["data"]
    assert differs("mm", (same, overlap), (z, z)) == []
    assert differs("mn", (same, same), (z, z[::-1])) == ["training"]
    assert differs("mn", (same, elsewhere), (z, z)) == ["data", "training"]
    # The same weights, saved in another form, are no other training.
    assert differs("mn", (same, same), (z, z + 1e-7)) == []
    assert differs("mn", (same, list("dcba")), (z, z[::-1])) == []


@pytest.fixture(scope="module", autouse=True)
def fewer_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 199)
        yield


@pytest.fixture(scope="module")
def runs(make, evidence_from, sealed, tmp_path_factory):
    """The run, one on other images, one of another training, and one that is judged under another policy."""
    where = tmp_path_factory.mktemp("runs")

    def evidence(seed, prefix, **changes):
        examples, predictions, _ = make(reliance=0.6, n=102, seed=seed)
        examples = examples.assign(sha256=[f"{prefix}{at}" for at in range(len(examples))])
        return replace(evidence_from(examples, predictions, policy=POLICY), **changes)

    first = evidence(0, "a")
    noisy = first.predictions.assign(logits=[z + 0.01 for z in first.predictions["logits"]])
    return {
        "run": sealed(where / "run", first),
        "data": sealed(where / "data", evidence(1, "b")),
        "training": sealed(where / "training", replace(first, predictions=noisy), model_sha256="n" * 64),
        "saved": sealed(where / "saved", first, model_sha256="n" * 64),
        "strict": sealed(where / "strict", evidence(1, "b", policy=POLICY.model_copy(update={"alpha": 0.01}))),
    }


@pytest.mark.slow
def test_a_repeat_on_other_data_and_by_another_training_is_recorded_and_shown(runs, tmp_path):
    found = judge_again(runs["run"], out=tmp_path / "again", repeat=[runs["data"], runs["training"]])
    (cue,) = found.verdict.cues
    assert cue.evidence_level == "L4"
    assert [(item.differs, item.holds) for item in cue.repeats] == [(["data"], True), (["training"], True)]
    seals = [check_seal(runs[name]) for name in ("data", "training")]
    assert [item.seal for item in cue.repeats] == found.document.audit.judged.repeats == seals
    page = (found.path / "report.en.html").read_text()
    assert "L4" in page
    assert seals[0][:12] in page
    assert "It repeats the finding in the same direction." in page
    assert "next_repeat" not in [step.key for step in cue.next_step]
    # What was given once is known later, without the other run's folder.
    later = judge_again(found.path, out=tmp_path / "later", by=["site"], report=False)
    assert later.verdict.cues[0].repeats == cue.repeats
    with pytest.raises(UsageError, match="REPEAT_POLICY"):
        judge_again(found.path, out=tmp_path / "other", policy={"alpha": 0.01}, report=False)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("run", "REPEAT_SAME", "101 of 101 images"),
        ("saved", "REPEAT_SAME", "the same model"),
        ("strict", "REPEAT_POLICY", "other alpha"),
    ],
)
def test_what_is_no_repeat_is_refused_by_name(runs, tmp_path, name, code, words):
    with pytest.raises(UsageError) as caught:
        judge_again(runs["run"], out=tmp_path / "again", repeat=[runs[name]], report=False)
    assert caught.value.code == code
    assert words in caught.value.found
    assert not (tmp_path / "again").exists()


def test_other_classes_are_refused(runs, make, evidence_from, sealed, tmp_path, monkeypatch):
    from figureground.audit.declared.task import Task

    examples, predictions, _ = make(reliance=0.6, n=102)
    renamed = examples.assign(label=examples["label"].map({"cat": "cat", "dog": "wolf"}))
    found = replace(evidence_from(renamed, predictions, policy=POLICY), task=Task("multiclass", ("cat", "wolf")))
    path = sealed(tmp_path / "wolves", found, classes=("cat", "wolf"))
    with pytest.raises(UsageError, match="REPEAT_CLASSES"):
        judge_again(runs["run"], out=tmp_path / "again", repeat=[path], report=False)


def test_a_run_that_was_altered_repeats_nothing(runs, tmp_path):
    import shutil

    from figureground.errors import IntegrityError

    copy = tmp_path / "copy"
    shutil.copytree(runs["data"], copy)
    (copy / "audit.json").write_text((copy / "audit.json").read_text().replace("suspected", "demonstrated") + " ")
    with pytest.raises(IntegrityError, match="RUN_ALTERED"):
        judge_again(runs["run"], out=tmp_path / "again", repeat=[copy], report=False)


def test_what_is_demonstrated_once_is_to_be_repeated(runs):
    import json

    (cue,) = json.loads((runs["run"] / "audit.json").read_text())["verdict"]["cues"]
    steps = {step["key"]: step["args"].get("commands") for step in cue["next_step"]}
    assert steps["next_repeat"][-1] == "figureground judge RUN --repeat OTHER_RUN -o RUN2"
    assert with_commands.__doc__
