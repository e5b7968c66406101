"""From the tables of a run to its parts of the document, for runs with a known answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.task import Task
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.competence import _aligned_accuracy
from figureground.audit.judge.evidenced import Evidenced
from figureground.audit.judge.judging import judge_run
from figureground.audit.judge.observations import observe
from figureground.audit.judge.records import records
from figureground.audit.keeping import tables
from figureground.audit.rows.strata import StrataDraw, by_environment, by_label
from figureground.reports import catalogue

CLASSES = ("cat", "dog")


def judge(examples, predictions, clusters_given=True, config=None, strata=None, checks=(), **policy):
    usable = examples.loc[examples["status"] == "ok", "row_id"]
    values = np.random.default_rng(0).uniform(0.2, 0.8, len(usable))
    measures = dict.fromkeys(["background_share", "background_area", "bleed_floor", "ldr"], values)
    maps = [
        pd.DataFrame({"row_id": usable, "method": method, "sign": sign, "status": "ok", "reason": None, **measures})
        for method, sign in (("saliency", "absolute"), ("gradcam", "positive"))
    ]
    settings = config or AuditConfig()
    return judge_run(
        Evidenced(
            examples=examples,
            attributions=pd.concat(maps),
            predictions=predictions,
            strata=strata_table(examples) if strata is None else strata,
            scores=pd.DataFrame(columns=tables.SCORES.names),
            attributes=("site",),
            clusters_given=clusters_given,
            task=Task("multiclass", CLASSES),
            cues=("background",) if settings.cues is None else settings.cues,
            config=settings,
            policy=Policy(**policy),
            checks=checks,
            source={"source": "manifest", "manifest_sha256": None},
            preprocessing_source="model",
        )
    )


def strata_table(examples):
    named = by_environment(examples)
    source = "label" if named is None else "environment"
    return StrataDraw(500, 0)(by_label(examples) if named is None else named, source)


@pytest.fixture(scope="module", autouse=True)
def fewer_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 199)
        yield


@pytest.fixture(scope="module")
def reliant(make):
    """Examples, predictions and judgement of a model that follows the background in 6 of 10 images."""
    examples, predictions, _ = make(reliance=0.6)
    return examples, predictions, judge(examples, predictions)


def cue(found):
    (one,) = found.verdict.cues
    return one


def reasons(found):
    return [reason.key for reason in cue(found).reasons]


def test_a_reliant_model_is_demonstrated_with_its_direction_and_size(reliant):
    examples, predictions, found = reliant
    observed = observe(examples, predictions, strata_table(examples), CLASSES, "background")
    expected = np.mean(observed.swapped[:, 0, 0] == 0) - np.mean(observed.swapped[:, 0, 1] == 0)
    assert found.verdict.status == cue(found).status == "demonstrated"
    assert cue(found).estimate == pytest.approx(expected)
    assert cue(found).ci_low <= 0.6 <= cue(found).ci_high
    direction = cue(found).direction
    assert (direction.class_name, direction.arm, direction.reference) in {
        ("cat", "grass", "gravel"),
        ("dog", "gravel", "grass"),
    }
    gap = found.tests[found.tests["test"] == "performance_gap"].iloc[0]
    assert gap["estimate"] > 0.3
    assert gap["p_raw"] < 0.01
    assert set(found.swaps["rule"]) == {"swap_changed", "swap_random_unchanged"}


def test_a_fully_reliant_model_is_demonstrated_although_it_is_at_chance(make):
    examples, predictions, _ = make(reliance=1.0)
    found = judge(examples, predictions)
    assert found.performance.overall.estimate < 0.65
    assert cue(found).status == "demonstrated"


def test_a_model_without_reliance_is_inconclusive_for_want_of_an_assay(make):
    found = judge(*make(reliance=0.0)[:2])
    assert cue(found).status == "inconclusive"
    assert {"contrast_unknown", "assay_not_run"} <= set(reasons(found))
    assert cue(found).estimate == 0


def test_one_environment_of_three_that_pulls_is_found_and_named(make):
    found = judge(*make(reliance=0.5, levels=("grass", "gravel", "sand"))[:2])
    assert cue(found).status == "demonstrated"
    assert "grass" in {cue(found).direction.arm, cue(found).direction.reference}


def test_few_clusters_give_no_verdict(make):
    examples, predictions, _ = make(reliance=0.8, n=96, per_cluster=6)
    found = judge(examples, predictions)
    assert cue(found).n_clusters <= 16
    assert (cue(found).status, reasons(found)[0]) == ("inconclusive", "too_few_clusters")
    assert judge(examples, predictions, min_clusters=5).verdict.status != "not_detected"


def test_label_strata_stand_in_and_say_so(make):
    found = judge(*make(environment=False)[:2])
    assert "label_strata_blind" in {message.key for message in cue(found).does_not_show}
    gap = found.tests[found.tests["test"] == "performance_gap"].iloc[0]
    assert (gap["status"], gap["reason"]) == ("not_estimable", "no environment column")
    assert found.data.environment is None


def test_without_a_swap_the_cue_is_not_tested_and_the_rest_is_there(reliant):
    examples, predictions, _ = reliant
    alone = predictions[predictions["intervention"] == "none"]
    for area, environment, reason in (
        (np.nan, "grass", "no_masks"),
        (0.2, "grass", "one_level"),
        (0.2, None, "too_few_donors"),
    ):
        table = examples.assign(object_area=area, environment=environment or examples["environment"])
        found = judge(table, alone)
        assert (cue(found).status, reasons(found)) == ("not_tested", [reason])
        assert found.not_tested[0].subject == "background"
        assert found.swaps.empty
        assert len(found.tiles) == 24
        assert set(found.subgroups["measure"]) >= {"accuracy", "ldr"}
        assert catalogue.load("en").message(cue(found).reasons[0])


def test_a_level_of_one_cluster_breaks_nothing(make):
    def one_cluster(table):
        return table.assign(cluster=table["cluster"].where(table["environment"] != "gravel", "only"))

    examples, predictions, plan = make(change=one_cluster, n=60)
    assert plan["half"].nunique() == 1
    found = judge(examples, predictions)
    assert cue(found).status == "inconclusive"
    assert (cue(found).ci_low, cue(found).ci_high) == (-1, 1)
    assert not any(check.status == "passed" for check in found.trust if check.check == "replication")
    json.dumps(_document(found), allow_nan=False)


def _document(found):
    whole = found.parts()
    return {
        name: value
        if isinstance(value, list) and (not value or isinstance(value[0], dict))
        else [part.model_dump(mode="json") for part in value]
        if isinstance(value, list)
        else value.model_dump(mode="json")
        for name, value in whole.items()
    }


@pytest.mark.parametrize("reliance", [0.0, 0.1])
def test_everything_said_has_words_and_no_number_is_nan(make, reliance):
    found = judge(*make(reliance=reliance)[:2], clusters_given=False)
    json.dumps(_document(found), allow_nan=False)
    words = catalogue.load("en")
    said = [
        *cue(found).reasons,
        *cue(found).does_not_show,
        *cue(found).next_step,
        *(finding.message for finding in found.findings),
    ]
    assert all(words.message(message) for message in said)
    assert all(f"test.{name}" in words.sentences for name in set(found.tests["test"]))
    assert all(f"check.{check.check}" in words.sentences for check in found.trust)


def test_the_data_part_is_a_ledger_that_adds_up(reliant):
    examples, predictions, found = reliant
    data = found.data
    assert data.given == data.ok + data.quarantined + data.filtered == len(examples)
    assert data.quarantined_by_reason == {"image_broken": 1}
    assert sum(data.labels.values()) == sum(data.environments.values()) == data.ok
    for attribute in ("environment", "site"):
        assert sum(cell.n for cell in data.composition if cell.attribute == attribute) == data.ok
    assert len(data.composition) == 2 * 2 * 2
    alone = predictions[predictions["intervention"] == "none"]
    changed = examples.assign(site=["A", *examples["site"].tolist()[1:][::-1]])
    assert judge(changed, alone).data.sha256 != data.sha256
    assert judge(examples.assign(path="elsewhere"), alone).data.sha256 == data.sha256


def test_stored_tables_judged_again_give_the_same(reliant):
    examples, predictions, first = reliant
    second = judge(examples, predictions.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(first.tests, second.tests)
    pd.testing.assert_frame_equal(first.subgroups, second.subgroups)
    assert first.verdict == second.verdict


def test_a_cue_that_was_not_asked_for_is_not_judged_but_required(reliant):
    examples, predictions, _ = reliant
    found = judge(examples, predictions, config=AuditConfig(cues=()))
    assert [(one.cue, one.status, one.reasons[0].key) for one in found.verdict.cues] == [
        ("background", "not_tested", "cue_not_run")
    ]
    assert (found.verdict.tested, found.verdict.not_tested) == ([], ["background"])
    assert found.verdict.status == "not_tested"


# -- competence in the best alignment


def scored(chance, n=400, levels=2, seed=0):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "label": rng.choice(CLASSES, n),
            "environment": rng.integers(0, levels, n).astype(str),
            "cluster": [f"c{i}" for i in range(n)],
        }
    )
    share = [chance(label, int(level)) for label, level in zip(rows["label"], rows["environment"], strict=True)]
    return rows.assign(correct=(rng.random(n) < share).astype(float))


def test_a_fully_reliant_model_is_competent_where_label_and_background_agree():
    rows = scored(lambda label, level: float((label == "cat") == (level == 0)))
    assert rows["correct"].mean() == pytest.approx(0.5, abs=0.1)
    assert _aligned_accuracy(rows) == 1.0


@pytest.mark.parametrize("levels", [2, 5, 10])
def test_a_guessing_model_is_not_competent_in_the_best_of_many_cells(levels):
    found = [_aligned_accuracy(scored(lambda *_: 0.5, n=200, levels=levels, seed=seed)) for seed in range(15)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_without_environments_competence_is_accuracy():
    rows = scored(lambda *_: 0.8)
    assert _aligned_accuracy(rows.assign(environment=None)) == rows["correct"].mean()


def test_a_cell_of_one_image_does_not_break_it():
    rows = scored(lambda *_: 1.0, n=3)
    assert _aligned_accuracy(rows) == 1.0
    assert _aligned_accuracy(rows[:1]) == 1.0


def test_records_are_plain_json():
    frame = pd.DataFrame(
        {
            "a": pd.array([1, None], dtype="Int64"),
            "b": [np.nan, np.inf],
            "c": [np.float64(0.5), None],
            "d": ["x", None],
        }
    )
    assert json.loads(json.dumps(records(frame), allow_nan=False)) == [
        {"a": 1, "b": None, "c": 0.5, "d": "x"},
        {"a": None, "b": None, "c": None, "d": None},
    ]


def test_a_failed_search_for_levels_leaves_the_background_inconclusive(make):
    examples, predictions, _ = make(environment=False)
    alone = predictions[predictions["intervention"] == "none"]
    failed = TrustCheck(check="strata", status="failed", value=0.5, threshold=None, n=None, reason="balanced")
    found = judge(examples, alone, checks=[failed])
    assert (cue(found).status, reasons(found)) == ("inconclusive", ["no_strata"])
    assert [message.key for message in cue(found).next_step] == ["next_name_environments"]


def test_properties_of_the_object_need_levels_other_than_labels(make):
    examples, predictions, _ = make(environment=False)
    found = judge(examples, predictions, config=AuditConfig(cues=("tint", "place", "object_size", "region:tag")))
    keys = {one.cue: (one.status, one.reasons[0].key) for one in found.verdict.cues}
    assert keys == {
        "tint": ("not_tested", "needs_environment"),
        "place": ("not_tested", "needs_environment"),
        "object_size": ("not_tested", "needs_environment"),
        "region:tag": ("not_tested", "region_absent"),
        "background": ("not_tested", "cue_not_run"),  # required, though nobody asked for it
    }


def test_masks_of_people_that_disagree_keep_a_cue_from_being_demonstrated(make):
    examples, predictions, _ = make(reliance=0.9, n=240)
    human = np.arange(len(examples)) % 2 == 0
    marked = examples.assign(mask_source=np.where(human, "human", "model"))
    assert cue(judge(marked, predictions)).status == "demonstrated"
    ids = set(examples.loc[human, "row_id"])
    swaps = predictions["intervention"].isin(["swap"])
    both = swaps & predictions["row_id"].isin(ids) & predictions["donor_row_id"].isin(ids)
    silent = predictions.assign(predicted=predictions["predicted"].where(~both, 0))
    found = judge(marked, silent)
    assert cue(found).status in ("suspected", "inconclusive")
    assert "masks_disagree" in reasons(found)


@pytest.mark.fault("F8")
@pytest.mark.parametrize("broken", ["contrasts.observe", "judging.assay_cues", "judging.look_at"])
def test_a_computation_that_fails_is_an_error_of_its_cue_alone(make, monkeypatch, broken):
    examples, predictions, _ = make(reliance=0.6)
    twin = predictions[predictions["cue"] == "background"].assign(cue="tint")
    asked = AuditConfig(cues=("background", "tint"))
    module, name = broken.split(".")
    whole = __import__(f"figureground.audit.judge.{module}", fromlist=[name])
    original = getattr(whole, name)

    def fails_for_tint(*given, **more):
        if any((isinstance(one, str) and one == "tint") or (isinstance(one, dict) and "tint" in one) for one in given):
            raise ZeroDivisionError("planted")
        return original(*given, **more)

    monkeypatch.setattr(whole, name, fails_for_tint)
    found = judge(examples, pd.concat([predictions, twin]), config=asked)
    states = {item.cue: item for item in found.verdict.cues}
    assert states["background"].status == "demonstrated"
    assert states["tint"].status == "error"
    (reason,) = states["tint"].reasons
    assert reason.key == "cue_failed"
    said = catalogue.load("en").message(reason)
    assert "ZeroDivisionError: planted" in said
