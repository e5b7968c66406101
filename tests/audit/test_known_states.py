"""The discordance table: what no combination of evidence may ever give, over all that evidence can be."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import Assay, Direction, TrustCheck
from figureground.audit.judge.contrast import Contrast, Equivalence, Simultaneous
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.evidence import Evidence, Setting
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.verdict import CueJudge
from figureground.reports import catalogue

POLICY = Policy()
TOWARDS = Direction(class_name="cat", arm="grass", reference="gravel")
LOOKS = ("cue", "elsewhere", "unclear", "no_place", "not_comparable", "not_trusted")
GOOD = Setting(
    finding=None,
    n_classes=2,
    accuracy=0.9,
    majority=0.5,
    aligned_accuracy=0.95,
    strata="environment",
    clusters_given=True,
)
PASSED = TrustCheck(check="contrast_check", status="passed", value=0.9, threshold=0.7, n=100, reason=None)
FOUND = Assay(smallest_found=0.05, power={"0.05": 0.93, "0.1": 1.0, "0.2": 1.0}, redraws=100)


def interval(estimate, half, groups=100, level=0.95):
    return Simultaneous(estimate, estimate - half, estimate + half, level, 3 * groups, groups, half / 2, groups - 1)


numbers = st.floats(-1, 1) | st.just(math.nan)
halves = st.sampled_from([0.001, 0.01, 0.03, 0.06, 0.3]) | st.just(math.nan)
groups = st.sampled_from([2, 8, 15, 19, 20, 40, 400])


@st.composite
def intervals(draw, n=groups):
    return interval(draw(numbers), draw(halves), draw(n))


@st.composite
def contrasts(draw):
    n = draw(groups)
    # The primary effect is turned so that it is positive.
    effect = interval(draw(st.floats(0, 1) | st.just(math.nan)), draw(halves), n)
    widest = replace(draw(st.sampled_from([effect, None])) or draw(intervals(st.just(n))), level=1 - 2 * POLICY.alpha)
    return Contrast(
        cue="background",
        scale="decision",
        tests=pd.DataFrame(),
        primary=Hypothesis(0, 0, 1),
        part=None,
        effect=effect,
        specific=draw(st.sampled_from([effect, None])) or draw(intervals(st.just(n))),
        control=draw(intervals(st.just(n))),
        replication=(draw(intervals()), draw(intervals())),
        equivalence=(Equivalence("decision", widest, 0.05),),
        changed_other=draw(intervals()),
        changed_same=draw(intervals()),
        fragility=draw(st.sampled_from([interval(0.02, 0.01), interval(0.4, 0.1), interval(math.nan, math.nan)])),
        rarest_share=draw(st.sampled_from([0.0, 0.4])),
        primary_class_clusters=n,
        n_clusters=n,
        n_recipients=3 * n,
        n_donor_clusters=n,
        n_positive_clusters=n,
    )


checks = st.sampled_from(
    [
        PASSED,
        None,
        PASSED.model_copy(update={"status": "failed", "value": 0.55}),
        PASSED.model_copy(update={"status": "not_run", "value": None}),
    ]
)
assays = st.sampled_from(
    [
        FOUND,
        None,
        Assay(smallest_found=None, power={}, redraws=0, reason="the cue could not be read"),
        Assay(smallest_found=0.2, power={"0.05": 0.1, "0.1": 0.4, "0.2": 0.9}, redraws=100),
        Assay(smallest_found=None, power={"0.05": 0.0, "0.1": 0.0, "0.2": 0.0}, redraws=100),
    ]
)
settings = st.builds(
    replace,
    st.just(GOOD),
    accuracy=st.sampled_from([0.5, 0.9, math.nan]),
    aligned_accuracy=st.sampled_from([0.5, 0.95]),
    gap=st.sampled_from([None, 0.0, 0.3]),
    failed_methods=st.sampled_from([(), ("saliency",), ("saliency", "gradcam")]),
)
evidences = st.builds(
    Evidence,
    contrast=contrasts(),
    direction=st.just(TOWARDS),
    p_adjusted=st.sampled_from([0.001, 0.2, 1.0]),
    check=checks,
    assay=assays,
    look=st.sampled_from(LOOKS),
    masks_disagree=st.booleans(),
)


def state(evidence, setting=GOOD):
    return CueJudge(POLICY, "background").state(evidence, setting)


@given(evidences, settings)
def test_where_the_maps_look_changes_no_state_and_no_reason(evidence, setting):
    found = {
        (status, tuple(reason.key for reason in reasons))
        for look in LOOKS
        for status, reasons in [state(replace(evidence, look=look), setting)]
    }
    assert len(found) == 1


@given(evidences, settings)
def test_demonstrated_rests_on_the_effect_alone_and_no_gate_can_take_it_away(evidence, setting):
    bare = replace(evidence, check=PASSED, assay=FOUND)
    assert (state(evidence, setting)[0] == "demonstrated") == (state(bare, GOOD)[0] == "demonstrated")


@given(evidences, settings)
def test_demonstrated_is_a_material_specific_replicated_effect_of_enough_units(evidence, setting):
    if state(evidence, setting)[0] == "demonstrated":
        contrast = evidence.contrast
        assert contrast.effect.low >= POLICY.delta_material
        assert contrast.shown
        assert contrast.n_clusters >= POLICY.min_clusters
        assert evidence.p_adjusted <= POLICY.alpha
        assert not evidence.masks_disagree


@given(evidences, settings)
def test_what_is_unknown_never_clears(evidence, setting):
    if state(evidence, setting)[0] != "not_detected":
        return
    contrast = evidence.contrast
    widest = contrast.equivalence[0].widest
    assert -0.05 < widest.low <= widest.high < 0.05
    assert evidence.check is not None
    assert evidence.check.status == "passed"
    assert evidence.assay is not None
    assert evidence.assay.smallest_found <= POLICY.delta_material
    assert max(setting.accuracy, setting.aligned_accuracy) >= setting.majority + POLICY.min_accuracy_margin
    assert contrast.fragility.estimate <= POLICY.max_fragility
    assert contrast.n_clusters >= POLICY.min_clusters


@given(evidences, settings)
def test_taking_knowledge_away_never_leads_to_cleared(evidence, setting):
    unknown = Interval(math.nan, math.nan, math.nan, 0.9, 0, 0, math.nan, 0)
    bare = replace(evidence.contrast, equivalence=(Equivalence("decision", unknown, 0.05),))
    for less in (replace(evidence, contrast=bare), replace(evidence, assay=None), replace(evidence, check=None)):
        assert state(less, setting)[0] != "not_detected"


@given(evidences, settings)
def test_every_state_says_why_what_next_and_how_far(evidence, setting):
    verdict = CueJudge(POLICY, "background")(evidence, setting)
    words = catalogue.load("en")
    assert (verdict.status in ("demonstrated", "not_detected")) == (not verdict.reasons)
    assert (verdict.bound is not None) == (verdict.status == "not_detected")
    assert verdict.bound is None or 0 <= verdict.bound < POLICY.delta_negligible
    assert all(words.message(message) for message in (*verdict.reasons, *verdict.next_step, *verdict.does_not_show))
    assert verdict.next_step or verdict.status in ("not_detected", "suspected")


@given(evidences, settings)
def test_an_inconclusive_cue_says_how_many_images_it_would_take_or_that_none_would_help(evidence, setting):
    verdict = CueJudge(POLICY, "background")(evidence, setting)
    steps = {step.key: step.args for step in verdict.next_step}
    if verdict.status == "inconclusive":
        assert ("next_more_data" in steps) != ("more_images_no_help" in steps)
    if "next_more_data" in steps:
        assert steps["next_more_data"]["n_needed"] >= max(evidence.contrast.n_clusters, POLICY.min_clusters)


@given(evidences, settings)
def test_the_maps_are_set_beside_the_intervention_only_where_it_says_something(evidence, setting):
    verdict = CueJudge(POLICY, "background")(evidence, setting)
    said, contrast = verdict.attribution.key if verdict.attribution else None, evidence.contrast
    if said == "looks_does_not_use":
        assert evidence.look == "cue"
        assert not contrast.shown
        assert contrast.effect.high < POLICY.delta_material or contrast.negligible(POLICY.alpha)
        assert contrast.n_clusters >= POLICY.min_clusters
        assert evidence.check is None or evidence.check.status != "failed"
    if said == "uses_not_visible":
        assert evidence.look in ("elsewhere", "no_place")
        assert contrast.shown
        assert contrast.effect.low >= POLICY.delta_material
    if evidence.look == "not_trusted":
        assert said == "maps_not_trusted"


NULL = interval(0.0, 0.02)
LARGE = interval(0.4, 0.05)
TABLE = {
    "on the cue, and used": ("cue", LARGE, "demonstrated", "agrees"),
    "on the cue, and not used": ("cue", NULL, "not_detected", "looks_does_not_use"),
    "elsewhere, and used": ("elsewhere", LARGE, "demonstrated", "uses_not_visible"),
    "nowhere in the picture, and used": ("no_place", LARGE, "demonstrated", "uses_not_visible"),
    "elsewhere, and not used": ("elsewhere", NULL, "not_detected", "agrees"),
    "nowhere in the picture, and not used": ("no_place", NULL, "not_detected", "not_comparable"),
    "neither here nor there": ("unclear", LARGE, "demonstrated", None),
    "not to be believed": ("not_trusted", LARGE, "demonstrated", "maps_not_trusted"),
}


@pytest.mark.parametrize("name", TABLE)
def test_discordance_table(name):
    look, effect, status, said = TABLE[name]
    contrast = Contrast(
        cue="background",
        scale="decision",
        tests=pd.DataFrame(),
        primary=Hypothesis(0, 0, 1),
        part=None,
        effect=effect,
        specific=effect,
        control=NULL,
        replication=(effect, effect),
        equivalence=(Equivalence("decision", replace(effect, level=0.9), 0.05),),
        changed_other=effect,
        changed_same=NULL,
        fragility=NULL,
        rarest_share=0.4,
        primary_class_clusters=100,
        n_clusters=100,
        n_recipients=300,
        n_donor_clusters=100,
        n_positive_clusters=50,
    )
    evidence = Evidence(contrast=contrast, direction=TOWARDS, p_adjusted=0.001, check=PASSED, assay=FOUND, look=look)
    verdict = CueJudge(POLICY, "background")(evidence, GOOD)
    assert (verdict.status, verdict.attribution.key if verdict.attribution else None) == (status, said)
