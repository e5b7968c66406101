"""The state machine: every state and every reason, and what may never be said."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import Assay, Direction, Estimate, Explained, TrustCheck
from figureground.audit.judge import verdict as verdict_module
from figureground.audit.judge.contrast import Contrast, Equivalence, Simultaneous
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.evidence import Evidence, Setting
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.plain_doses import Dosed, DoseResponse
from figureground.audit.judge.severity import severity_of
from figureground.audit.judge.verdict import CueJudge, needed_clusters
from figureground.reports import catalogue

TOWARDS = Direction(class_name="cat", arm="grass", reference="gravel")
SETTING = Setting(
    finding=None,
    n_classes=2,
    accuracy=0.9,
    majority=0.5,
    aligned_accuracy=0.95,
    strata="environment",
    clusters_given=True,
)
FOUND = Assay(smallest_found=0.05, power={"0.05": 0.93, "0.1": 1.0, "0.2": 1.0}, redraws=100)
MISSED = Assay(smallest_found=0.2, power={"0.05": 0.2, "0.1": 0.6, "0.2": 0.9}, redraws=100)
BLIND = Assay(smallest_found=None, power={}, redraws=0, reason="no logits")


def interval(estimate, half, level=0.95, groups=100):
    return Simultaneous(estimate, estimate - half, estimate + half, level, 300, groups, half / 2, groups - 1)


def check(status, value=0.6):
    return TrustCheck(check="contrast_check", status=status, value=value, threshold=0.7, n=100, reason=None)


def contrast(effect=0.4, half=0.05, *, specific=None, halves=(0.3, 0.3), wide=None, fragile=0.02, **more):
    """A contrast whose primary effect is ``effect`` with an interval of ``half`` to both sides."""
    defaults = {
        "cue": "background",
        "scale": "decision",
        "tests": pd.DataFrame(),
        "primary": Hypothesis(0, 0, 1),
        "part": None,
        "effect": interval(effect, half),
        "specific": interval(effect if specific is None else specific, half),
        "control": interval(0.0, half),
        "replication": tuple(interval(value, half, 0.9, 50) for value in halves),
        "equivalence": (Equivalence("decision", interval(effect, half, 0.9) if wide is None else wide, 0.05),),
        "changed_other": interval(0.4, 0.05),
        "changed_same": interval(0.02, 0.01),
        "fragility": interval(fragile, 0.01),
        "rarest_share": 0.4,
        "primary_class_clusters": 60,
        "n_clusters": 100,
        "n_recipients": 300,
        "n_donor_clusters": 80,
        "n_positive_clusters": 50,
    }
    return Contrast(**(defaults | more))


def seen(found, **more):
    """The evidence around a contrast: nothing against it unless the test says so."""
    known = {"p_adjusted": 0.001, "check": check("passed", 0.9), "assay": FOUND}
    return Evidence(contrast=found, direction=TOWARDS, **(known | more))


def judged(found, setting=SETTING, policy=None, cue="background", **more):
    policy = policy or ({"target": AGE} if found.scale == "native" else {})
    return CueJudge(Policy(**(policy or {})), cue)(seen(found, **more), setting)


def keys(verdict):
    return [reason.key for reason in verdict.reasons]


NULL = contrast(0.0, 0.02, halves=(0.0, 0.0))
MATERIAL = contrast()
SMALL = contrast(0.08, 0.04)
UNCLEAR = contrast(0.05, 0.08)
INCOMPETENT = replace(SETTING, accuracy=0.55, aligned_accuracy=0.58)
GUESSES = replace(INCOMPETENT, measure="auroc")
UNLABELLED = replace(SETTING, accuracy=float("nan"), majority=float("nan"), aligned_accuracy=float("nan"))
FEW = {"n_clusters": 19}
LEFT = Estimate(n=9, n_clusters=9, estimate=0.03, ci_low=0.0, ci_high=0.06, ci_level=0.95, status="ok")
TINT = Explained(by="tint", share=0.92, left=LEFT)
RARE = {"scale": "log_odds", "equivalence": (Equivalence("log_odds", interval(1.6, 0.2, 0.9), 0.41),)}

AGE = {"name": "age", "unit": "years", "cut": 60, "material": 5, "negligible": 2}
WIDE = (Equivalence("native", interval(0.5, 3.0, 0.9), 2.0),)
NUMBER = {"scale": "native", "equivalence": (Equivalence("native", interval(0.5, 0.3, 0.9), 2.0),), "rarest_share": 0.0}
LESS = (Equivalence("native", interval(4.0, 2.0, 0.9), 2.0),)
SIZED = Assay(smallest_found=5.0, power={"2.5": 0.6, "5": 0.9, "10": 1.0}, redraws=100)
UNSIZED = Assay(smallest_found=10.0, power={"2.5": 0.1, "5": 0.5, "10": 0.9}, redraws=100)

# name: (contrast, setting, further evidence, state, reasons)
CASES = {
    "a material, specific, replicated effect": (MATERIAL, SETTING, {}, "demonstrated", []),
    "the same of an incompetent model": (MATERIAL, INCOMPETENT, {}, "demonstrated", []),
    "the same of a fragile model": (contrast(fragile=0.3), SETTING, {}, "demonstrated", []),
    "the same where levels look alike": (MATERIAL, SETTING, {"check": check("failed")}, "demonstrated", []),
    "the same without an assay": (MATERIAL, SETTING, {"assay": None}, "demonstrated", []),
    "exactly at the limit": (contrast(0.15, 0.05 - 1e-9), SETTING, {}, "demonstrated", []),
    "just below the limit": (contrast(0.149, 0.05), SETTING, {}, "suspected", ["small_effect"]),
    "one of many cues": (MATERIAL, SETTING, {"p_adjusted": 0.06}, "suspected", ["not_simultaneous"]),
    "machine masks only": (MATERIAL, SETTING, {"masks_disagree": True}, "suspected", ["masks_disagree"]),
    "a cue that was not held": (MATERIAL, SETTING, {"unheld": ["tint"]}, "suspected", ["held_not_measured"]),
    "the effect of another cue": (
        MATERIAL,
        SETTING,
        {"explained": [TINT], "yields_to": [TINT]},
        "suspected",
        ["explained_by"],
    ),
    "decisions at the boundary": (
        contrast(
            equivalence=(
                Equivalence("decision", interval(0.4, 0.05, 0.9), 0.05),
                Equivalence("probability", interval(0.01, 0.01, 0.9), 0.05),
            )
        ),
        SETTING,
        {},
        "suspected",
        ["probability_negligible"],
    ),
    "another cue could explain it, and was not held": (
        MATERIAL,
        SETTING,
        {"unheld": ("tint",)},
        "suspected",
        ["held_not_measured"],
    ),
    "partly that of another": (MATERIAL, SETTING, {"explained": [TINT]}, "demonstrated", []),
    "not specific": (contrast(specific=0.0), SETTING, {}, "inconclusive", ["not_specific"]),
    "one half silent": (contrast(halves=(0.3, 0.01)), SETTING, {}, "suspected", ["not_replicated_halves"]),
    "the other half silent": (contrast(halves=(0.01, 0.3)), SETTING, {}, "suspected", ["not_replicated_halves"]),
    "a half without interval": (
        contrast(halves=(0.3, math.nan)),
        SETTING,
        {},
        "suspected",
        ["not_replicated_halves"],
    ),
    "a rare class": (contrast(rarest_share=0.01), SETTING, {}, "suspected", ["rare_class"]),
    "a rare class among many": (
        contrast(rarest_share=0.0),
        replace(SETTING, n_classes=11),
        {},
        "demonstrated",
        [],
    ),
    "a rare primary class among many": (
        contrast(primary_class_clusters=19),
        replace(SETTING, n_classes=11),
        {},
        "suspected",
        ["rare_class"],
    ),
    "a rare finding on log-odds": (contrast(1.6, 0.2, rarest_share=0.0, **RARE), SETTING, {}, "demonstrated", []),
    "a rare finding with few positives": (
        contrast(1.6, 0.2, n_positive_clusters=19, **RARE),
        SETTING,
        {},
        "suspected",
        ["few_positive"],
    ),
    "half an odds ratio on log-odds": (contrast(0.5, 0.2, **RARE), SETTING, {}, "suspected", ["small_effect"]),
    "too few clusters": (contrast(**FEW), SETTING, {}, "inconclusive", ["too_few_clusters"]),
    "just enough clusters": (contrast(n_clusters=20), SETTING, {}, "demonstrated", []),
    "a small effect": (SMALL, SETTING, {}, "suspected", ["small_effect"]),
    "a small effect of an incompetent model": (SMALL, INCOMPETENT, {}, "inconclusive", ["not_competent"]),
    "a small effect of a fragile model": (
        contrast(0.08, 0.04, fragile=0.11),
        SETTING,
        {},
        "inconclusive",
        ["fragile"],
    ),
    "a small effect from few": (contrast(0.08, 0.04, **FEW), SETTING, {}, "inconclusive", ["too_few_clusters"]),
    "a precise null, and an assay that found": (NULL, SETTING, {}, "not_detected", []),
    "a tiny effect that is certainly tiny": (contrast(0.02, 0.01), SETTING, {}, "not_detected", []),
    "a null whose assay missed": (NULL, SETTING, {"assay": MISSED}, "inconclusive", ["assay_missed"]),
    "a null whose assay could not run": (NULL, SETTING, {"assay": BLIND}, "inconclusive", ["assay_not_run"]),
    "a null without assay": (NULL, SETTING, {"assay": None}, "inconclusive", ["assay_not_run"]),
    "a null where nobody looked at the levels": (NULL, SETTING, {"check": None}, "inconclusive", ["contrast_unknown"]),
    "a null where levels could not be compared": (
        NULL,
        SETTING,
        {"check": check("not_run", None)},
        "inconclusive",
        ["contrast_unknown"],
    ),
    "a null where levels look alike": (NULL, SETTING, {"check": check("failed")}, "inconclusive", ["no_contrast"]),
    "a null of an incompetent model": (NULL, INCOMPETENT, {}, "inconclusive", ["not_competent"]),
    "a null without labels": (NULL, UNLABELLED, {}, "inconclusive", ["competence_unknown"]),
    "a null of a model that ranks at random": (NULL, GUESSES, {}, "inconclusive", ["not_competent_auroc"]),
    "a null of a fragile model": (
        contrast(0.0, 0.02, halves=(0.0, 0.0), fragile=0.2),
        SETTING,
        {},
        "inconclusive",
        ["fragile"],
    ),
    "a null beside a gap that something explains": (
        NULL,
        replace(SETTING, gap=0.2),
        {},
        "inconclusive",
        ["gap_unexplained"],
    ),
    "a null from few": (
        contrast(0.0, 0.02, halves=(0.0, 0.0), **FEW),
        SETTING,
        {},
        "inconclusive",
        ["too_few_clusters"],
    ),
    "a null that is none on images with the finding": (
        contrast(0.0, 0.02, halves=(0.0, 0.0), on_positives=interval(0.2, 0.05), on_negatives=interval(-0.01, 0.02)),
        SETTING,
        {},
        "inconclusive",
        ["more_on_positives"],
    ),
    "a null that is none on the others": (
        contrast(
            0.0, 0.02, halves=(0.0, 0.0), on_positives=interval(0.3, 0.1, groups=19), on_negatives=interval(-0.2, 0.05)
        ),
        SETTING,
        {},
        "inconclusive",
        ["more_on_negatives"],
    ),
    "an effect whose rival was not held": (
        MATERIAL,
        SETTING,
        {"unheld": ("tint",)},
        "suspected",
        ["held_not_measured"],
    ),
    "too wide on log-odds": (
        contrast(0.1, 0.6, scale="log_odds", equivalence=(Equivalence("log_odds", interval(0.1, 0.6, 0.9), 0.41),)),
        SETTING,
        {},
        "inconclusive",
        ["imprecise_odds"],
    ),
    "a number that moves by what is material": (
        contrast(8.0, 2.0, halves=(7.0, 9.0), **NUMBER),
        SETTING,
        {"assay": SIZED},
        "demonstrated",
        [],
    ),
    "a number that moves by less": (
        contrast(4.0, 2.0, halves=(3.0, 5.0), **(NUMBER | {"equivalence": LESS})),
        SETTING,
        {"assay": SIZED},
        "suspected",
        ["small_effect"],
    ),
    "a number that hardly moves": (
        contrast(0.5, 0.4, halves=(0.1, 0.9), **NUMBER),
        SETTING,
        {"assay": SIZED},
        "not_detected",
        [],
    ),
    "the same where five years would not have been found": (
        contrast(0.1, 0.4, halves=(0.1, 0.1), **NUMBER),
        SETTING,
        {"assay": UNSIZED},
        "inconclusive",
        ["assay_missed_native"],
    ),
    "a number of which too little is known": (
        contrast(0.5, 3.0, halves=(0.1, 0.9), **(NUMBER | {"equivalence": WIDE})),
        SETTING,
        {"assay": SIZED},
        "inconclusive",
        ["imprecise_native"],
    ),
    "too wide": (UNCLEAR, SETTING, {}, "inconclusive", ["imprecise"]),
    "too wide and missed": (UNCLEAR, SETTING, {"assay": MISSED}, "inconclusive", ["imprecise", "assay_missed"]),
}


@pytest.mark.parametrize("name", CASES)
def test_states_and_reasons(name):
    found, setting, more, state, reasons = CASES[name]
    verdict = judged(found, setting, **more)
    assert (verdict.status, keys(verdict)) == (state, reasons)
    assert verdict.evidence_level == ("L3" if found.shown else "L1" if setting.gap else None)
    assert found.shown or state != "demonstrated"
    assert (verdict.estimate, verdict.n_clusters) == (found.effect.estimate, found.n_clusters)
    assert (verdict.bound is not None) == (state == "not_detected")
    for message in (*verdict.reasons, *verdict.does_not_show, *verdict.next_step, *verdict.alternatives):
        assert catalogue.load("en").message(message)
        assert None not in message.args.values()


def test_every_state_and_reason_of_the_machine_is_in_the_table():
    assert {state for *_, state, _ in CASES.values()} == {"demonstrated", "suspected", "inconclusive", "not_detected"}
    source = inspect.getsource(verdict_module)
    reasons = {key for *_, found in CASES.values() for key in found}
    said = set(re.findall(r'Message\(\s*key="([a-z_]+)"', source))
    other = {"not_legal", "subsample", "grid_coarse", "global_whole_picture", "attribution_alone", "agrees"}
    other |= {"not_everyday_errors", "compositing_artificial", "these_backgrounds_only", "label_strata_blind"}
    other |= {"assumes_independent_images", "not_comparable", "maps_not_trusted", "looks_does_not_use"}
    other |= {"uses_not_visible", "more_images_no_help", "few_with_finding", "assay_missed_odds"}
    assert {key for key in said if not key.startswith(("next_", "alt_"))} - other == reasons


@pytest.mark.parametrize("effect", [-0.4, 0.0, 0.02, 0.08, 0.4])
@pytest.mark.parametrize("half", [0.001, 0.04, 0.3])
@pytest.mark.parametrize(
    ("setting", "more"),
    [
        (SETTING, {"assay": MISSED}),
        (SETTING, {"assay": None}),
        (INCOMPETENT, {}),
        (SETTING, {"check": check("failed")}),
    ],
)
def test_no_gate_can_be_passed_over_on_the_way_to_not_detected(effect, half, setting, more):
    assert judged(contrast(effect, half), setting, **more).status != "not_detected"


def test_competence_counts_in_the_best_alignment():
    verdict = judged(SMALL, replace(INCOMPETENT, aligned_accuracy=0.61))
    assert verdict.status == "suspected"
    (reason,) = judged(SMALL, INCOMPETENT).reasons
    assert reason.args == {"accuracy": 0.58, "majority": 0.5}


def test_equivalence_is_judged_on_the_widest_interval_of_the_family():
    wide = contrast(0.0, 0.02, halves=(0.0, 0.0), wide=interval(0.04, 0.03, 0.9))
    assert "imprecise" in keys(judged(wide))
    both = (
        Equivalence("decision", interval(0.0, 0.02, 0.9), 0.05),
        Equivalence("probability", interval(0.1, 0.02, 0.9), 0.05),
    )
    assert judged(contrast(0.0, 0.02, halves=(0.0, 0.0), equivalence=both)).status != "not_detected"


def test_severity_comes_from_the_policy_and_only_for_what_is_demonstrated():
    critical = judged(MATERIAL, policy={"consequence": {"background": "critical"}})
    times = MATERIAL.effect.low / 0.10
    assert (critical.consequence, critical.times_material) == ("critical", pytest.approx(times))
    assert critical.severity == severity_of(Policy(consequence={"background": "critical"}), "background", times)
    assert judged(MATERIAL).severity == "not_declared"
    assert judged(MATERIAL, policy={"default_consequence": "low", "severity_raise": 99}).severity == "low"
    assert judged(SMALL, policy={"consequence": {"background": "critical"}}).severity == "info"


def test_thresholds_are_those_of_the_policy():
    assert judged(MATERIAL, policy={"delta_material": 0.36}).status == "suspected"
    assert judged(contrast(**FEW), policy={"min_clusters": 10}).status == "demonstrated"
    assert judged(contrast(rarest_share=0.01), policy={"min_class_share": 0.01}).status == "demonstrated"


def test_limits_of_the_claim_are_named():
    def shown(found=MATERIAL, **setting):
        return {message.key for message in judged(found, replace(SETTING, **setting)).does_not_show}

    always = {"not_everyday_errors", "compositing_artificial", "attribution_alone", "not_legal"}
    assert shown() == always
    assert shown(contrast(n_donor_clusters=19)) == always | {"these_backgrounds_only"}
    assert shown(strata="label") == always | {"label_strata_blind"}
    assert shown(clusters_given=False) == always | {"assumes_independent_images"}
    part = judged(MATERIAL, cue="place", subsampled=True)
    assert {"subsample", "grid_coarse"} <= {message.key for message in part.does_not_show}
    assert part.tested_on == "subsample"


def test_other_readings_of_an_effect_are_named_and_none_where_there_is_no_effect():
    def others(found=MATERIAL, setting=SETTING, **more):
        return {message.key for message in judged(found, setting, **more).alternatives}

    assert others() == {"alt_inside_background", "alt_compositing"}
    assert others(NULL) == set()
    assert others(setting=replace(SETTING, strata="label")) == {
        "alt_inside_background",
        "alt_compositing",
        "alt_label_strata",
    }
    half = TINT.model_copy(update={"share": 0.5})
    assert "alt_correlated" in others(explained=[half])
    assert others(cue="tint", whole_picture=True) == {
        "alt_background_carries",
        "alt_legitimate_colour",
        "alt_compositing",
    }


def test_where_a_tint_counts_is_told_beside_the_state_and_never_changes_it():
    def at(place):
        zero, large = (Dosed(interval(e, 0.05), interval(0.0, 0.02), interval(e, 0.05)) for e in (0.0, 0.45))
        parts = {"background": large if place != "object" else zero, "object": large if place != "background" else zero}
        by = {(part, dose): one for part, one in (parts | {"whole": large}).items() for dose in (0.5, 1.0)}
        return DoseResponse("decision", by, {"whole": interval(0.2, 0.05)}, [])

    plainly = judged(MATERIAL, cue="tint")
    assert plainly.dose_response == []
    for place, key in (("background", "alt_background_property"), ("object", "alt_object_property"), ("both", None)):
        found = judged(MATERIAL, cue="tint", doses=at(place))
        named = {m.key for m in found.alternatives} - {m.key for m in plainly.alternatives}
        assert named == ({key} if key else set())
        assert [m.key for m in found.dose_response] == ["dose_places", "dose_rising"]
        assert (found.status, found.reasons) == (plainly.status, plainly.reasons)


@pytest.mark.parametrize(
    ("found", "look", "said"),
    [
        (NULL, "cue", "looks_does_not_use"),
        (NULL, "elsewhere", "agrees"),
        (MATERIAL, "cue", "agrees"),
        (MATERIAL, "elsewhere", "uses_not_visible"),
        (MATERIAL, "not_trusted", "maps_not_trusted"),
        (MATERIAL, "not_comparable", "not_comparable"),
    ],
)
def test_maps_and_causal_test_are_set_side_by_side(found, look, said):
    assert judged(found, look=look).attribution.key == said
    assert judged(found, look=look).status == judged(found).status  # whatever the maps say


def test_an_unclear_map_says_nothing():
    assert judged(MATERIAL, look="unclear").attribution is None


def test_attribution_alone_is_level_two_and_association_level_one():
    assert judged(NULL, look="cue").evidence_level == "L2"
    assert judged(NULL, replace(SETTING, gap=0.02)).evidence_level == "L1"
    assert judged(NULL).evidence_level is None


def test_next_steps():
    def steps(verdict):
        return [message.key for message in verdict.next_step]

    assert steps(judged(MATERIAL)) == ["next_break_association"]
    assert steps(judged(NULL, assay=MISSED)) == ["next_more_data"]
    assert steps(judged(UNCLEAR)) == ["next_more_data"]
    assert steps(judged(contrast(**FEW))) == ["next_more_data"]
    assert steps(judged(NULL, INCOMPETENT)) == ["next_check_model", "more_images_no_help"]
    assert steps(judged(NULL, UNLABELLED)) == ["next_add_labels", "more_images_no_help"]
    assert steps(judged(NULL, check=check("failed"))) == ["next_name_environments", "more_images_no_help"]


def test_needed_clusters_is_the_formula_of_the_method():
    policy = Policy()
    widest = Interval(0.1, 0.0, 0.2, 0.9, 90, 25, 0.06, 24)

    def needed(n_clusters=25, margin=0.05, effect=0.1, **more):
        item = Equivalence("decision", replace(widest, **more), margin)
        return needed_clusters(contrast(effect, 0.2, equivalence=(item,), n_clusters=n_clusters), policy)

    assert needed() == math.ceil((2.93 * 0.06 * 5 / 0.05) ** 2) == 310
    assert needed(standard_error=1e-6) == 25
    assert needed(n_clusters=1, standard_error=math.nan) == 20
    assert needed(margin=0.41) == 25
    # An effect that is there must be told from the material one, which takes the fewer units the further it lies.
    assert needed(effect=0.25) == math.ceil((2.93 * 0.06 * 5 / 0.15) ** 2) == 35
    assert needed(effect=0.8) == 25


def test_units_that_an_assay_would_take_and_that_none_would_do():
    def asked(power, n_clusters=100):
        assay = Assay(smallest_found=None, power={"0.05": 0.0, "0.1": power}, redraws=100)
        return {s.key: s.args for s in judged(contrast(0.0, 0.02, n_clusters=n_clusters), assay=assay).next_step}

    # Half of the power wanted: the distance is 1.96 standard errors, and must be 2.80.
    assert asked(0.5)["next_more_data"]["n_needed"] == math.ceil(100 * (2.8016 / 1.9600) ** 2) == 205
    assert asked(0.5, 50)["next_more_data"]["n_needed"] == 103
    for hopeless in (0.0, 0.04):  # no more often than by chance
        assert list(asked(hopeless)) == ["more_images_no_help"]


def test_a_single_donor_cluster_gives_a_verdict_without_nan():
    nothing = Interval(0.4, math.nan, math.nan, 0.9, 30, 1, math.nan, 0)
    verdict = judged(contrast(0.4, 0.6, wide=nothing, halves=(math.nan, math.nan), n_clusters=1))
    assert verdict.status == "inconclusive"
    values = [value for message in (*verdict.reasons, *verdict.next_step) for value in message.args.values()]
    assert not any(isinstance(value, float) and math.isnan(value) for value in values)
