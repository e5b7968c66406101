"""The state machine: every state and every reason, and what may never be said."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from figureground.audit.config import Policy
from figureground.audit.document import STATE_ORDER, Direction
from figureground.audit.judge.contrast import Contrast, Hypothesis
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.verdict import CueJudge, Setting, needed_clusters, overall
from figureground.reports import catalogue

TOWARDS = Direction(class_name="cat", arm="grass", reference="gravel")
SETTING = Setting(
    n=300,
    n_clusters=100,
    n_classes=2,
    accuracy=0.9,
    majority=0.5,
    aligned_accuracy=0.95,
    by_environment=True,
    clusters_given=True,
)


def interval(estimate, half, level=0.95, groups=100):
    return Interval(estimate, estimate - half, estimate + half, level, 300, groups, half / 2, groups - 1)


def contrast(effect=0.4, half=0.05, *, specific=None, halves=(0.3, 0.3), wide=None, fragile=0.02, **more):
    """A contrast whose primary effect is ``effect`` with an interval of ``half`` to both sides."""
    defaults = {
        "tests": pd.DataFrame(),
        "primary": Hypothesis(0, 0, 1),
        "effect": interval(effect, half),
        "specific": interval(effect if specific is None else specific, half),
        "common": interval(0.0, half),
        "replication": tuple(interval(value, half, 0.9, 50) for value in halves),
        "widest90": interval(effect, half, 0.9) if wide is None else wide,
        "changed_other": interval(0.4, 0.05),
        "changed_same": interval(0.02, 0.01),
        "fragility": interval(fragile, 0.01),
        "rarest_share": 0.4,
        "primary_class_clusters": 60,
        "n_donor_clusters": 80,
    }
    return Contrast(**(defaults | more))


def judged(found, setting=SETTING, **policy):
    return CueJudge(Policy(**policy))(found, setting, TOWARDS)


def keys(verdict):
    return [reason.key for reason in verdict.reasons]


NULL = contrast(0.0, 0.02, halves=(0.0, 0.0))
MATERIAL = contrast()
SMALL = contrast(0.08, 0.04)
UNCLEAR = contrast(0.05, 0.08)
INCOMPETENT = replace(SETTING, accuracy=0.55, aligned_accuracy=0.58)
FEW = replace(SETTING, n_clusters=19)

CASES = {
    "a material, specific, replicated effect": (MATERIAL, SETTING, "demonstrated", []),
    "the same of an incompetent model": (MATERIAL, INCOMPETENT, "demonstrated", []),
    "the same of a fragile model": (contrast(fragile=0.3), SETTING, "demonstrated", []),
    "exactly at the limit": (contrast(0.15, 0.05 - 1e-9), SETTING, "demonstrated", []),
    "just below the limit": (contrast(0.149, 0.05), SETTING, "suspected", ["small_effect"]),
    "not specific": (contrast(specific=0.0), SETTING, "inconclusive", ["not_specific"]),
    "one half silent": (contrast(halves=(0.3, 0.01)), SETTING, "suspected", ["not_replicated_halves"]),
    "the other half silent": (contrast(halves=(0.01, 0.3)), SETTING, "suspected", ["not_replicated_halves"]),
    "a half without interval": (
        contrast(halves=(0.3, math.nan)),
        SETTING,
        "suspected",
        ["not_replicated_halves"],
    ),
    "a rare class": (contrast(rarest_share=0.01), SETTING, "suspected", ["rare_class"]),
    "a rare class among many": (
        contrast(rarest_share=0.0),
        replace(SETTING, n_classes=11),
        "demonstrated",
        [],
    ),
    "a rare primary class among many": (
        contrast(primary_class_clusters=19),
        replace(SETTING, n_classes=11),
        "suspected",
        ["rare_class"],
    ),
    "too few clusters": (MATERIAL, FEW, "inconclusive", ["too_few_clusters"]),
    "just enough clusters": (MATERIAL, replace(SETTING, n_clusters=20), "demonstrated", []),
    "a small effect": (SMALL, SETTING, "suspected", ["small_effect"]),
    "a small effect of an incompetent model": (SMALL, INCOMPETENT, "inconclusive", ["not_competent"]),
    "a small effect of a fragile model": (
        contrast(0.08, 0.04, fragile=0.11),
        SETTING,
        "inconclusive",
        ["fragile"],
    ),
    "a small effect from few": (SMALL, FEW, "inconclusive", ["too_few_clusters"]),
    "a precise null": (NULL, SETTING, "inconclusive", ["no_assay"]),
    "a precise null of an incompetent model": (
        NULL,
        INCOMPETENT,
        "inconclusive",
        ["no_assay", "not_competent"],
    ),
    "a null from few": (NULL, FEW, "inconclusive", ["no_assay", "too_few_clusters"]),
    "a tiny effect that is certainly tiny": (contrast(0.02, 0.01), SETTING, "inconclusive", ["no_assay"]),
    "too wide": (UNCLEAR, SETTING, "inconclusive", ["imprecise", "no_assay"]),
}


@pytest.mark.parametrize("name", CASES)
def test_states_and_reasons(name):
    found, setting, state, reasons = CASES[name]
    verdict = judged(found, setting)
    assert (verdict.status, keys(verdict)) == (state, reasons)
    replicated = all(half.low > 0 for half in found.replication) and found.effect.low > 0 and found.specific.low > 0
    assert verdict.evidence_level == ("L3" if replicated else None)
    assert replicated or state != "demonstrated"
    assert (verdict.estimate, verdict.n_clusters) == (found.effect.estimate, setting.n_clusters)
    for message in (*verdict.reasons, *verdict.does_not_show, *verdict.next_step):
        assert catalogue.load("en").message(message)
        assert None not in message.args.values()


def test_every_state_and_reason_of_the_machine_is_in_the_table():
    assert {state for _, _, state, _ in CASES.values()} == {"demonstrated", "suspected", "inconclusive"}
    assert {key for *_, reasons in CASES.values() for key in reasons} == {
        "not_specific",
        "not_replicated_halves",
        "rare_class",
        "too_few_clusters",
        "small_effect",
        "not_competent",
        "fragile",
        "no_assay",
        "imprecise",
    }


@pytest.mark.parametrize("effect", [-0.4, 0.0, 0.02, 0.08, 0.4])
@pytest.mark.parametrize("half", [0.001, 0.04, 0.3])
@pytest.mark.parametrize("setting", [SETTING, INCOMPETENT, FEW])
def test_without_an_assay_nothing_is_ever_cleared(effect, half, setting):
    assert judged(contrast(effect, half), setting).status != "not_detected"


def test_competence_counts_in_the_best_alignment():
    verdict = judged(SMALL, replace(INCOMPETENT, aligned_accuracy=0.61))
    assert verdict.status == "suspected"
    (reason,) = judged(SMALL, INCOMPETENT).reasons
    assert reason.args == {"accuracy": 0.58, "majority": 0.5}


def test_equivalence_is_judged_on_the_widest_interval_of_the_family():
    wide = contrast(0.0, 0.02, halves=(0.0, 0.0), wide=interval(0.04, 0.03, 0.9))
    assert "imprecise" in keys(judged(wide))


def test_severity_comes_from_the_policy_and_only_for_what_is_demonstrated():
    assert judged(MATERIAL, consequence={"background": "critical"}).severity == "critical"
    assert judged(MATERIAL).severity == "moderate"
    assert judged(SMALL, consequence={"background": "critical"}).severity == "info"


def test_thresholds_are_those_of_the_policy():
    assert judged(MATERIAL, delta_material=0.36).status == "suspected"
    assert judged(MATERIAL, FEW, min_clusters=10).status == "demonstrated"
    assert judged(contrast(rarest_share=0.01), min_class_share=0.01).status == "demonstrated"


def test_limits_of_the_claim_are_named():
    def shown(found=MATERIAL, **setting):
        return {message.key for message in judged(found, replace(SETTING, **setting)).does_not_show}

    always = {
        "not_everyday_errors",
        "other_cues_untested",
        "compositing_artificial",
        "attribution_alone",
        "not_legal",
    }
    assert shown() == always
    assert shown(contrast(n_donor_clusters=19)) == always | {"these_backgrounds_only"}
    assert shown(by_environment=False) == always | {"label_strata_blind"}
    assert shown(clusters_given=False) == always | {"assumes_independent_images"}


def test_next_steps():
    def steps(verdict):
        return [message.key for message in verdict.next_step]

    assert steps(judged(MATERIAL)) == ["next_break_association"]
    assert steps(judged(NULL)) == ["next_assay"]
    assert steps(judged(UNCLEAR)) == ["next_more_data", "next_assay"]
    assert steps(judged(MATERIAL, FEW)) == ["next_more_data"]


def test_needed_clusters_is_the_formula_of_the_method():
    policy = Policy()
    found = Interval(0.1, 0.0, 0.2, 0.9, 90, 25, 0.06, 24)
    assert needed_clusters(found, policy) == math.ceil((2.93 * 0.06 * 5 / 0.05) ** 2) == 310
    assert needed_clusters(replace(found, standard_error=1e-6), policy) == 25
    assert needed_clusters(replace(found, standard_error=math.nan, n_clusters=1), policy) == 20


def test_a_single_donor_cluster_gives_a_verdict_without_nan():
    nothing = Interval(0.4, math.nan, math.nan, 0.9, 30, 1, math.nan, 0)
    found = contrast(0.4, 0.6, wide=nothing, halves=(math.nan, math.nan))
    verdict = judged(found, replace(SETTING, n_clusters=1))
    assert verdict.status == "inconclusive"
    values = [value for message in (*verdict.reasons, *verdict.next_step) for value in message.args.values()]
    assert not any(isinstance(value, float) and math.isnan(value) for value in values)


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("no_masks", "next_add_masks"),
        ("one_level", "next_add_environment"),
        ("too_few_donors", "next_more_backgrounds"),
    ],
)
def test_what_could_not_run_is_not_tested_with_the_reason(reason, step):
    verdict = CueJudge(Policy()).not_tested(reason, step)
    assert (verdict.status, verdict.estimate, keys(verdict)) == ("not_tested", None, [reason])
    assert [message.key for message in verdict.next_step] == [step]
    assert all(
        catalogue.load("en").message(message)
        for message in (*verdict.reasons, *verdict.next_step, *verdict.does_not_show)
    )


def cue(name, status):
    return CueJudge(Policy(), cue=name).not_tested("no_masks", "next_add_masks").model_copy(update={"status": status})


def test_the_overall_status_is_the_worst_of_the_required():
    assert STATE_ORDER == ("demonstrated", "error", "suspected", "inconclusive", "not_tested", "not_detected")
    for at, better in enumerate(STATE_ORDER):
        for worse in STATE_ORDER[: at + 1]:
            cues = [cue("one", better), cue("two", worse)]
            assert overall(cues, ["one", "two"]).status == worse
            assert overall(cues, ["one"]).status == better
            assert overall(cues, []).status == worse


def test_a_required_cue_that_is_missing_is_not_tested():
    found = overall([cue("one", "not_detected")], ["one", "two"])
    assert found.status == "not_tested"
    assert found.counts["not_detected"] == 1
    assert overall([], ["background"]).status == overall([], []).status == "not_tested"
    assert sum(overall([], []).counts.values()) == 0
