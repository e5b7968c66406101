"""What is asked of each finding, whose masks say what is background to it, and how good a model must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.outputs import declared_task
from figureground.audit.declared.task import Task
from figureground.audit.judge.asked import asked_findings
from figureground.audit.judge.competence import competence
from figureground.audit.judge.contrast import DonorContrast
from figureground.audit.judge.evidenced import Evidenced
from figureground.audit.judge.judging import judge_run
from figureground.audit.judge.observations import observe
from figureground.audit.judge.performance import scored
from figureground.audit.judge.views import views
from figureground.audit.keeping import tables
from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw
from figureground.audit.rows.strata import StrataDraw, by_environment, usable_rows
from figureground.errors import UsageError
from figureground.reports import catalogue

FINDINGS = ("mass", "rare")
POLICY = Policy(uncertain="exclude", background_findings=("rare",))
CUES = ("background", "corner_top_left")


def task(policy=POLICY, classes=FINDINGS, **more):
    return declared_task(Task("multilabel", classes, **more), policy)


def made(n=400, prevalence=0.02, odds=5.0, seed=0, base=None, spread=1.0):
    """Examples and predictions of a model whose log-odds of "rare" rise by ln(odds) under level "b" of both cues."""
    rng = np.random.default_rng(seed)
    present = rng.permutation(n) < round(prevalence * n)
    other = rng.choice(["1", "0", "-1", ""], n, p=[0.3, 0.6, 0.05, 0.05])
    examples = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**60, n, replace=False)),
            "path": [f"{i}.png" for i in range(n)],
            "split": None,
            "sha256": "x",
            "reason": None,
            "label": "no finding",
            "cluster": [f"c{i}" for i in range(n)],
            "environment": np.where(rng.random(n) < 0.5, "a", "b"),
            "object_area": 0.3,
            "status": "ok",
            "label:mass": other,
            "label:rare": np.where(present, "1", "0"),
            "site": "X",
        }
    )
    own = dict(
        zip(examples["row_id"], zip(rng.normal(0, 1, n), spread * rng.normal(0, 1, n), strict=True), strict=True)
    )
    place = logit(prevalence) if base is None else base
    hit = dict(zip(examples["row_id"], present, strict=True))
    level = examples.set_index("row_id")["environment"]
    lines = []

    def answer(row, shown, **keys):
        first, second = own[row]
        z = place + second + 2.0 * hit[row] + (np.log(odds) if shown == "b" else 0.0)
        lines.append({"row_id": row, "dose": 1.0, "logits": [first, z], "status": "ok", **keys})

    strata = StrataDraw(5000, 0)(by_environment(examples), "environment")
    plan = DonorDraw(1)(usable_rows(examples).merge(strata, on="row_id"))
    for row in examples["row_id"]:
        answer(row, level[row], cue="none", intervention="none", arm="own", **{"pass": 0})
    for cue in CUES:
        for drawn in plan.to_dict("records"):
            row, arm = drawn["row_id"], drawn["arm"]
            keys = {"cue": cue, "pass": 0, "donor_row_id": drawn["donor_row_id"]}
            if arm == SAME_LEVEL:
                answer(row, drawn["stratum"], intervention="same_level", arm=drawn["stratum"], **keys)
            else:
                answer(row, arm, intervention="swap", arm=arm, **keys)
                answer(row, drawn["stratum"], intervention="control", arm=arm, **keys)
    predictions = tables.conform(pd.DataFrame(lines, dtype=object), tables.PREDICTIONS).to_pandas()
    predictions["donor_row_id"] = pd.array([line.get("donor_row_id") for line in lines], dtype="Int64")
    return examples, predictions, strata


def judged(examples, predictions, strata, policy=POLICY, cues=CUES, **more):
    ids = examples["row_id"]
    maps = pd.DataFrame({"row_id": ids, "method": "saliency", "sign": "absolute", "target": "rare", "status": "ok"})
    measures = dict.fromkeys(["background_share", "background_area", "bleed_floor", "ldr"], 0.5)
    return judge_run(
        Evidenced(
            examples=examples,
            attributions=maps.assign(reason=None, region_shares=None, **measures),
            predictions=predictions,
            strata=strata,
            scores=pd.DataFrame(columns=tables.SCORES.names),
            attributes=("site",),
            clusters_given=True,
            task=task(policy, **more),
            cues=cues,
            config=AuditConfig(),
            policy=policy,
            checks=(),
            source={"source": "manifest", "manifest_sha256": None},
            preprocessing_source="model",
        )
    )


@pytest.fixture(scope="module")
def found():
    given = made()
    return *given, judged(*given)


def by(found):
    return {(cue.finding, cue.cue): cue for cue in found.verdict.cues}


def test_masks_count_only_for_the_findings_that_the_policy_lists(found):
    *_, verdict = found
    cues = by(verdict)
    assert cues["mass", "background"].status == "not_tested"
    assert [reason.key for reason in cues["mass", "background"].reasons] == ["masks_not_of_finding"]
    assert cues["rare", "background"].estimate is not None
    assert cues["mass", "corner_top_left"].estimate is not None  # a corner needs no mask
    assert ("background", "mass") in {(entry.subject, entry.finding) for entry in verdict.not_tested}


def test_an_odds_ratio_of_five_is_seen_on_the_scale_of_a_rare_finding(found):
    *_, verdict = found
    cue = by(verdict)["rare", "background"]
    assert cue.scale == "log_odds"
    assert cue.estimate == pytest.approx(np.log(5), abs=1e-5)
    assert cue.status == "suspected"  # eight positives carry no demonstration
    assert [reason.key for reason in cue.reasons] == ["few_positive"]
    assert "few_with_finding" in {message.key for message in cue.does_not_show}


def test_effects_stand_beside_each_other_for_images_with_and_without_the_finding(found):
    examples, predictions, strata, verdict = found
    cue = by(verdict)["mass", "corner_top_left"]
    (view, _) = views(examples, predictions, task())
    observed = observe(view.examples, view.predictions, strata, view.classes, "corner_top_left", clusters=view.clusters)
    contrast = DonorContrast(POLICY, 0, view.scale)(observed)
    values = contrast.primary.values(observed, contrast.scale)
    for part, label in ((cue.on_positives, 1), (cue.on_negatives, 0)):
        assert part.n == int((observed.label == label).sum())
        assert part.estimate == pytest.approx(values[observed.label == label].mean())
    rows = verdict.tests[(verdict.tests["finding"] == "mass") & (verdict.tests["cue"] == "corner_top_left")]
    assert {"on_positives", "on_negatives"} <= set(rows["test"])
    assert set(rows.loc[rows["test"] == "donor_contrast", "class_name"]) == {"mass"}  # its absence is its mirror


def test_the_sheet_of_each_finding_adds_up(found):
    examples, _, _, verdict = found
    mass, rare = verdict.data.findings
    counts = examples["label:mass"].value_counts()
    assert (mass.present, mass.absent) == (counts["1"], counts["0"])
    assert (mass.uncertain, mass.unknown) == (counts["-1"], counts[""])
    assert mass.prevalence.estimate == pytest.approx(counts["1"] / (counts["1"] + counts["0"]))
    assert mass.prevalence.n == mass.with_mask == counts["1"] + counts["0"]
    assert (rare.present, rare.scale, rare.threshold) == (8, "log_odds", 0.5)
    assert [item.masks for item in (mass, rare)] == ["none", "shared"]
    assert verdict.data.ok == verdict.data.with_mask == len(examples)  # whatever labels are known


@pytest.mark.parametrize(("uncertain", "present"), [("positive", 1), ("negative", 0)])
def test_uncertain_labels_count_as_the_policy_says(found, uncertain, present):
    examples, predictions, *_ = found
    policy = Policy(uncertain=uncertain)
    asked = task(policy)
    mass, _ = asked_findings(examples, list(views(examples, predictions, asked)), asked, policy)
    counts = examples["label:mass"].value_counts()
    assert mass.present == counts["1"] + present * counts["-1"]
    assert mass.absent == counts["0"] + (1 - present) * counts["-1"]
    assert mass.uncertain == counts["-1"]


def test_uncertain_labels_are_never_read_in_silence(found):
    examples, predictions, *_ = found
    with pytest.raises(UsageError, match="UNCERTAIN"):
        list(views(examples, predictions, task(Policy())))


def test_masks_of_its_own_are_needed_where_a_finding_could_be_exchanged_or_lent(found):
    examples, predictions, *_ = found
    given = examples.assign(**{"mask:rare": np.where(np.arange(len(examples)) % 2, "given", "")})
    asked = task(Policy(uncertain="exclude"))
    _, rare = views(given, predictions, asked)
    loose = set(given.loc[(given["mask:rare"] == "") & (given["label:rare"] != "0"), "row_id"])
    assert loose
    assert rare.masks_apply
    background = rare.predictions[rare.predictions["cue"] == "background"]
    assert not set(background["row_id"]) & loose
    assert not set(background["donor_row_id"].dropna()) & loose
    corner = rare.predictions[rare.predictions["cue"] == "corner_top_left"]
    assert set(corner["row_id"]) >= loose


def test_rows_of_unknown_label_may_lend(found):
    examples, predictions, strata, _ = found
    mass, _ = views(examples, predictions, task())
    unknown = set(examples["row_id"]) - set(mass.examples["row_id"])
    observed = observe(mass.examples, mass.predictions, strata, mass.classes, "corner_top_left", clusters=mass.clusters)
    assert set(observed.donor_row.ravel()) & unknown
    assert not set(observed.row_id) & unknown


def test_a_finding_that_nobody_knows_is_inconclusive_and_breaks_nothing(found):
    examples, predictions, strata, _ = found
    verdict = judged(examples.assign(**{"label:mass": ""}), predictions, strata)
    cues = by(verdict)
    assert {cues["mass", cue].status for cue in CUES} <= {"inconclusive", "not_tested"}
    assert verdict.data.findings[0].unknown == len(examples)
    assert cues["rare", "background"].estimate == pytest.approx(np.log(5), abs=1e-5)


def test_everything_said_has_words(found):
    *_, verdict = found
    words = catalogue.load("en")
    for cue in verdict.verdict.cues:
        for message in (*cue.reasons, *cue.does_not_show, *cue.next_step, *cue.alternatives):
            assert words.message(message)
    assert all(f"test.{name}" in words.sentences for name in set(verdict.tests["test"]))
    assert len({finding.id for finding in verdict.findings}) == len(verdict.findings)


@pytest.mark.slow
@given(
    prevalence=st.sampled_from([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]),
    threshold=st.sampled_from([0.02, 0.1, 0.5]),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    base=st.sampled_from([None, -8.0, 0.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_an_odds_ratio_of_five_is_never_called_negligible(prevalence, threshold, spread, base, seed):
    examples, predictions, strata = made(200, prevalence, 5.0, seed, base, spread)
    policy = Policy(uncertain="exclude", background_findings=FINDINGS, thresholds={"rare": threshold})
    _, view = views(examples, predictions, task(policy))
    observed = observe(view.examples, view.predictions, strata, view.classes, "background", clusters=view.clusters)
    assert not DonorContrast(policy, 0, view.scale)(observed).negligible(policy.alpha)


# -- two classes with an operating threshold


def test_two_classes_are_decided_at_the_threshold(found):
    examples, predictions, *_ = found
    binary = examples.assign(label=np.where(examples["label:rare"] == "1", "sick", "healthy"))
    asked = declared_task(Task("multiclass", ("healthy", "sick")), Policy(thresholds={"sick": 0.1}))
    (view,) = views(binary, predictions, asked)
    z = np.array([pair[1] - pair[0] for pair in predictions["logits"]])
    np.testing.assert_array_equal(view.predictions["predicted"].to_numpy(dtype=int), (expit(z) >= 0.1).astype(int))
    assert asked.findings == ("sick",)
    (sheet,) = asked_findings(binary, [view], asked, Policy())
    assert (sheet.finding, sheet.threshold, sheet.present, sheet.masks) == ("sick", 0.1, 8, "shared")


@pytest.mark.parametrize(
    ("policy", "asked", "told"),
    [
        ({"thresholds": {"healthy": 0.3}}, Task("multiclass", ("healthy", "sick")), "expected one of sick"),
        ({"thresholds": {"a": 0.3}}, Task("multiclass", ("a", "b", "c")), "there are several classes"),
        ({"thresholds": {"mass": 1.0}}, Task("multilabel", FINDINGS), "a probability between 0 and 1"),
        ({"background_findings": ["lung"]}, Task("multilabel", FINDINGS), "findings of the model: mass, rare"),
        ({"background_findings": ["sick"]}, Task("multiclass", ("healthy", "sick")), "a multi-label model"),
    ],
)
def test_declarations_that_fit_no_finding_are_refused_by_name(policy, asked, told):
    with pytest.raises(UsageError, match=told):
        declared_task(asked, Policy(**policy))


def test_a_policy_goes_before_the_model():
    asked = Task("multilabel", FINDINGS, {"mass": 0.2, "rare": 0.4})
    assert declared_task(asked, Policy(thresholds={"mass": 0.7})).thresholds == {"mass": 0.7, "rare": 0.4}


# -- competence


def test_competence_of_a_rare_finding_is_its_area_under_the_curve(found):
    examples, predictions, *_ = found
    _, view = views(examples, predictions, task())
    rows = scored(view.examples, view.predictions, view.classes)
    able = competence(rows, view)
    base = predictions[predictions["intervention"] == "none"].set_index("row_id")["logits"]
    score = [base[row][1] for row in rows["row_id"]]
    assert able.measure == "auroc"
    assert able.guess == 0.5
    assert able.overall == pytest.approx(roc_auc_score(rows["label"] == "rare", score))
    assert able.best >= able.overall


@pytest.mark.slow
def test_a_model_that_ranks_at_random_is_not_competent_in_any_alignment():
    best = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        examples, predictions, _ = made(400, 0.05, 1.0, seed)
        noise = [[0.0, float(value)] for value in rng.normal(-3, 1, len(predictions))]
        _, view = views(examples, predictions.assign(logits=pd.Series(noise, dtype=object)), task())
        best.append(competence(scored(view.examples, view.predictions, view.classes), view).aligned)
    assert np.mean(best) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("label", ["1", "0"])
def test_one_label_alone_shows_no_competence(found, label):
    examples, predictions, *_ = found
    _, view = views(examples.assign(**{"label:rare": label}), predictions, task())
    able = competence(scored(view.examples, view.predictions, view.classes), view)
    assert np.isnan(able.overall)
