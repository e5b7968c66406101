"""The donor contrast on observations whose effects are known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from figureground.audit.declared.config import Policy
from figureground.audit.declared.target import Target
from figureground.audit.judge import contrast as module
from figureground.audit.judge.changes import changed_answers
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.contrast import DonorContrast, rarest_share
from figureground.audit.judge.effects import Clusterings, Hypothesis, hypotheses
from figureground.audit.judge.multiplicity import tost
from figureground.audit.judge.observations import SwapObservations

LEVELS, CLASSES = ("grass", "gravel", "sand"), ("cat", "dog", "eel")


def observed(
    seed=0,
    n=120,
    passes=1,
    pull=0.3,
    levels=2,
    classes=2,
    per_cluster=1,
    common_pull=0.0,
    own_share=None,
    agree=0.0,
):
    """Recipients whose answer follows the background with probability ``pull``, else their label."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(n), passes)
    cluster = ids // per_cluster
    label = rng.integers(0, classes, n)[ids]
    count = len(ids)

    def answers(strength):
        shared = rng.random((n // per_cluster + 1, 1))[cluster]  # ``agree``: clusters answer as one
        chance = np.where(rng.random((count, 1)) < agree, shared, rng.random((count, 1)))
        follows = chance < strength
        return np.where(follows, np.arange(levels) % classes, label[:, None])

    swapped, common = answers(pull), answers(common_pull)
    own = rng.integers(0, levels, n)[ids]
    names = np.array([f"r{c}" for c in cluster], dtype=object)
    # 0.9 for the answer, the rest shared among the others
    logits = np.zeros((count, levels, classes))
    np.put_along_axis(logits, swapped[..., None], np.log(9.0 * max(classes - 1, 1)), axis=2)
    same = np.where(rng.random(count) < 0.95, swapped[np.arange(count), own], (label + 1) % classes)
    return SwapObservations(
        cue="background",
        parts=("",),
        levels=LEVELS[:levels],
        classes=CLASSES[:classes],
        row_id=ids,
        number=np.tile(np.arange(passes), n),
        recipient=names,
        half=np.where(cluster % 2, "b", "a").astype(object),
        own=own,
        label=label,
        original=label,
        reference=np.where(rng.random(count) < 0.04, (label + 1) % classes, label),
        same=same,
        swapped=swapped[:, None],
        control=common[:, None],
        donor=np.array(
            [[f"d{level}-{2 * rng.integers(0, n // 4) + c % 2}" for level in range(levels)] for c in cluster],
            dtype=object,
        ),
        donor_row=np.zeros((count, levels), dtype=np.int64),
        logits=logits[:, None],
        control_logits=logits[:, None],
        original_logits=logits[:, 0],
        score=None,
        control_score=None,
        incomplete={},
    )


def judged(found, **policy):
    return DonorContrast(Policy(**policy), seed=0)(found)


def row(contrast, test, scale="decision", **names):
    tests = contrast.tests
    keep = (tests["test"] == test) & (tests["scale"] == scale)
    for name, value in names.items():
        keep &= tests[name] == value
    (line,) = tests[keep].to_dict("records")
    return line


def test_every_effect_is_the_difference_of_two_shares():
    found = observed(levels=3, classes=3)
    contrast = judged(found)
    effects = contrast.tests[(contrast.tests["test"] == "donor_contrast") & (contrast.tests["scale"] == "decision")]
    assert len(effects) == 3 * 3
    for line in effects.to_dict("records"):
        c, a, r = (
            CLASSES.index(line["class_name"]),
            *(LEVELS.index(line[name]) for name in ("arm", "reference")),
        )
        expected = np.mean(found.swapped[:, 0, a] == c) - np.mean(found.swapped[:, 0, r] == c)
        assert line["estimate"] == pytest.approx(expected, abs=1e-12)
        probability = row(
            contrast,
            "donor_contrast",
            "probability",
            class_name=CLASSES[c],
            arm=LEVELS[a],
            reference=LEVELS[r],
        )
        likely = softmax(found.logits[:, 0], axis=2)
        expected = np.mean(likely[:, a, c] - likely[:, r, c])
        assert probability["estimate"] == pytest.approx(expected, abs=1e-12)
        control = row(contrast, "control", class_name=CLASSES[c], arm=LEVELS[a], reference=LEVELS[r])
        specific = row(contrast, "specific", class_name=CLASSES[c], arm=LEVELS[a], reference=LEVELS[r])
        assert specific["estimate"] == pytest.approx(line["estimate"] - control["estimate"], abs=1e-12)


@pytest.mark.parametrize("flip", [False, True])
def test_the_primary_effect_is_the_largest_and_turned_so_that_it_is_positive(flip):
    found = observed(pull=0.5)
    if flip:
        found = replace(found, swapped=found.swapped[:, :, ::-1].copy(), logits=found.logits[:, :, ::-1].copy())
    contrast = judged(found)
    primary = contrast.primary
    expected = np.mean(found.swapped[:, 0, primary.arm] == primary.class_index) - np.mean(
        found.swapped[:, 0, primary.reference] == primary.class_index
    )
    assert contrast.effect.estimate == pytest.approx(expected)
    assert 0 < contrast.effect.low < expected < contrast.effect.high
    # grass pulls to cat, and dog on gravel is the same effect; exchanged arms turn the names
    arm, reference = (1, 0) if flip else (0, 1)
    assert primary == Hypothesis(0, arm, reference)
    assert contrast.specific.estimate > 0
    line = row(contrast, "replication_a")
    assert (line["class_name"], line["arm"], line["reference"]) == ("cat", LEVELS[arm], LEVELS[reference])


def test_two_levels_and_two_classes_pay_nothing_for_being_two_hypotheses():
    """The effects of the two classes are each other's negative."""
    found = judged(observed())
    alone = multiway_mean(
        found.primary.values(observed(), "decision"), *Clusterings.of(observed()).of_hypothesis(found.primary)
    )
    assert (found.effect.low, found.effect.high) == pytest.approx((alone.low, alone.high), abs=0.004)
    line = row(found, "donor_contrast", class_name="cat")
    assert line["p_adjusted"] == pytest.approx(line["p_raw"], abs=0.01)


def test_several_levels_make_wider_intervals_and_larger_p():
    answers = np.random.default_rng(0).integers(0, 3, (120, 1, 3))
    found = judged(replace(observed(levels=3, classes=3), swapped=answers))
    t = stats.t.ppf(0.975, found.effect.df)
    assert (found.effect.high - found.effect.estimate) / found.effect.standard_error > 1.1 * t
    tests = found.tests[found.tests["test"] == "donor_contrast"]
    assert tests["simultaneous"].astype(bool).all()
    assert (tests["p_adjusted"] >= tests["p_raw"] - 0.01).all()
    assert (tests["p_adjusted"] > tests["p_raw"] + 0.01).any()


def test_images_of_one_cluster_are_one_piece_of_evidence():
    clustered = observed(n=240, per_cluster=8, agree=0.95)
    alone = replace(clustered, recipient=np.array([f"x{i}" for i in range(240)], dtype=object))
    wide, narrow = judged(clustered).effect, judged(alone).effect
    assert wide.estimate == narrow.estimate
    assert wide.n_clusters == 30
    assert wide.standard_error > 1.5 * narrow.standard_error


def test_donors_that_serve_often_widen_the_interval():
    found = observed(n=200)
    few = replace(
        found,
        donor=np.array(
            [
                [f"{a}{int(s)}", f"{b}{int(s)}"]
                for a, b, s in zip(
                    ["a"] * 200,
                    ["b"] * 200,
                    (found.swapped[:, 0, 0] != found.swapped[:, 0, 1]) * 7 + np.arange(200) % 7,
                    strict=True,
                )
            ],
            dtype=object,
        ),
    )
    assert judged(few).effect.n_clusters < 20
    assert judged(few).effect.high - judged(few).effect.low > 1.5 * (
        judged(found).effect.high - judged(found).effect.low
    )


def test_halves_hold_disjoint_recipients_and_one_sided_levels():
    found = observed()
    contrast = judged(found)
    primary = contrast.primary
    for name, half in zip("ab", contrast.replication, strict=True):
        part = found.take(found.half == name)
        assert half.estimate == pytest.approx(primary.values(part, "decision").mean())
        assert (half.n, half.level) == (len(part), 0.9)
    assert sum(half.n for half in contrast.replication) == len(found)


def test_what_the_holes_alone_do_is_subtracted():
    holes = judged(observed(n=300, pull=0.3, common_pull=0.3))
    assert holes.effect.low > 0
    assert holes.control.estimate > 0.2
    assert abs(holes.specific.estimate) < 0.12
    assert holes.specific.low <= 0
    clean = judged(observed(n=300, pull=0.3))
    assert clean.specific.low > 0
    assert clean.specific.estimate == pytest.approx(clean.effect.estimate)


def test_the_specific_effect_may_exceed_one():
    found = observed(pull=1.0)
    against = replace(found, control=found.swapped[:, :, ::-1].copy())
    contrast = judged(against)
    assert contrast.specific.estimate == 2.0
    assert 1 < contrast.specific.low <= 2.0 == contrast.specific.high


@pytest.fixture
def fewer_draws(monkeypatch):
    """Enough for a simulation: the critical value is off by about 0.05."""
    monkeypatch.setattr(module, "max_t", partial(module.max_t, draws=2000))


def test_no_effect_is_called_one_in_at_most_one_run_of_twenty(fewer_draws):
    alarms, runs = 0, 40
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        found = observed(seed, n=80, pull=0.0, levels=3)
        noise = np.where(rng.random(found.swapped.shape) < 0.2, 1 - found.swapped, found.swapped)
        contrast = judged(replace(found, swapped=noise, logits=None))
        alarms += contrast.effect.low > 0
    assert alarms <= stats.binom.ppf(0.999, runs, 0.05)


def test_a_strong_effect_is_nearly_always_found(fewer_draws):
    found = [judged(replace(observed(seed, n=120, pull=0.3), logits=None)) for seed in range(24)]
    assert sum(c.effect.low > 0.1 for c in found) >= 22
    assert sum(all(half.low > 0 for half in c.replication) for c in found) >= 22
    assert sum(c.effect.low <= 0.3 <= c.effect.high for c in found) >= 20


def test_the_widest_interval_judges_equivalence_of_the_whole_family():
    found = observed(n=400, levels=3, classes=3, pull=0.02)
    contrast = judged(found)
    codes = Clusterings.of(found)
    assert [item.scale for item in contrast.equivalence] == ["decision", "probability"]
    for item in contrast.equivalence:
        every = [
            module.multiway_mean(h.values(found, item.scale), *codes.of_hypothesis(h), level=0.9)
            for h in hypotheses(found, item.scale)
        ]
        assert item.widest.level == pytest.approx(0.9)
        furthest = max(max(abs(i.low), abs(i.high)) for i in every)
        assert max(abs(item.widest.low), abs(item.widest.high)) == furthest
        assert tost(item.widest, 0.1) == all(tost(i, 0.1) for i in every)
    assert contrast.negligible(0.05) == all(tost(i.widest, i.margin) for i in contrast.equivalence)


def test_one_donor_cluster_bounds_nothing():
    found = observed(n=30)
    lone = replace(found, donor=np.full((30, 2), "only", dtype=object))
    contrast = judged(lone)
    assert (contrast.effect.low, contrast.effect.high) == (-1, 1)
    assert not any(tost(item.widest, 0.99) for item in contrast.equivalence)


def test_a_model_that_always_answers_the_same_has_no_effect_but_an_interval():
    found = observed(n=30)
    same = np.zeros_like(found.swapped)
    contrast = judged(replace(found, swapped=same, control=same, logits=None))
    assert contrast.effect.estimate == 0
    assert contrast.effect.low < 0 < contrast.effect.high


def test_changed_answers_against_hand_counts():
    found = observed(n=200, levels=3, classes=3, passes=2)
    changes = changed_answers(found, 0.95)
    swapped = found.swapped[:, 0]
    own = swapped[np.arange(400), found.own]
    by_hand = np.mean([np.mean([swapped[i, e] != own[i] for e in range(3) if e != found.own[i]]) for i in range(400)])
    assert changes["changed_other_level"].estimate == pytest.approx(by_hand)
    assert changes["changed_same_level"].estimate == pytest.approx(np.mean(found.same != own))
    first = found.number == 0
    assert changes["reference_fragility"].estimate == pytest.approx(np.mean((found.original != found.reference)[first]))
    assert changes["reference_fragility"].n == 200
    kept = np.mean(
        [
            float(own[i] == found.original[i])
            - np.mean([swapped[i, e] == found.original[i] for e in range(3) if e != found.own[i]])
            for i in range(400)
        ]
    )
    assert changes["same_minus_other"].estimate == pytest.approx(kept)


def test_predicted_shares_and_the_rarest_class():
    found = observed(levels=3, classes=3)
    contrast = judged(found)
    for index, level in enumerate(LEVELS):
        for c, name in enumerate(CLASSES):
            line = row(contrast, "predicted_share", class_name=name, arm=level)
            assert line["estimate"] == pytest.approx(np.mean(found.swapped[:, 0, index] == c))
    counts = np.bincount(np.concatenate([found.original, found.swapped.ravel()]), minlength=3)
    assert rarest_share(found) == counts.min() / counts.sum()
    assert rarest_share(replace(found, classes=(*CLASSES, "never"))) == 0


def test_beyond_32_classes_there_is_no_probability_scale():
    contrast = judged(replace(observed(), logits=None))
    assert set(contrast.tests["scale"]) == {"decision"}


def test_the_same_seed_gives_the_same_numbers():
    assert judged(observed(levels=3)).tests.equals(judged(observed(levels=3)).tests)


# -- beyond decisions and whole cues


def rare(n=400, shift=1.6, seed=0):
    """A finding that is hardly ever called present, but whose odds grow with the background."""
    base = observed(seed=seed, n=n)
    rng = np.random.default_rng(seed)
    z = rng.normal(-4.6, 0.5, (n, 1, 2))
    z[:, 0, 1] = z[:, 0, 0] + shift + rng.normal(0, 0.3, n)
    control = z[:, :, :1] + rng.normal(0, 0.1, (n, 1, 2))
    stack = [np.stack([np.zeros_like(values), values], axis=3) for values in (z, control)]
    return replace(
        base,
        logits=stack[0],
        control_logits=stack[1],
        swapped=stack[0].argmax(3),
        control=stack[1].argmax(3),
        label=(np.arange(n) % 50 == 0).astype(np.int64),
    )


def test_an_odds_ratio_of_five_at_one_percent_is_material_although_no_decision_changes():
    found = DonorContrast(Policy(), 0, "log_odds")(rare())
    assert found.scale == "log_odds"
    assert found.effect.low < 1.6 < found.effect.high
    assert found.effect.low > Policy().delta_material_log_odds
    assert found.effect.p_material < 0.001
    assert not found.negligible(0.05)
    decision = row(found, "donor_contrast", "decision", class_name="cat")
    assert abs(decision["estimate"]) < 0.05  # what raw decisions would have called nothing
    assert found.n_positive_clusters == 8


def test_on_the_log_odds_scale_the_finding_is_asked_and_not_its_mirror_image():
    found = DonorContrast(Policy(), 0, "log_odds")(rare())
    tests = found.tests[(found.tests["test"] == "donor_contrast") & (found.tests["scale"] == "log_odds")]
    assert set(tests["class_name"]) == {"dog"}
    expected = np.mean(rare().logits[:, 0, 1, 1] - rare().logits[:, 0, 0, 1])
    assert found.effect.estimate == pytest.approx(expected)
    assert (found.primary.arm, found.primary.reference) == (1, 0)


def test_log_odds_of_many_classes_are_against_all_others():
    found = observed(classes=3, levels=2)
    h = Hypothesis(1, 0, 1)
    p = softmax(found.logits[:, 0], axis=2)[:, :, 1]
    expected = np.log(p[:, 0] / (1 - p[:, 0])) - np.log(p[:, 1] / (1 - p[:, 1]))
    np.testing.assert_allclose(h.values(found, "log_odds"), expected, atol=1e-9)


def test_the_cell_of_a_grid_that_matters_is_found_and_the_family_is_larger():
    base = observed(n=150, pull=0.0)
    rng = np.random.default_rng(1)
    swapped = np.repeat(base.swapped, 9, axis=1)
    noise = rng.random(swapped.shape) < 0.05
    swapped = np.where(noise, 1 - swapped, swapped)
    follows = rng.random(150) < 0.4
    swapped[follows, 4] = [0, 1]
    grid = replace(base, parts=tuple(f"r{i}" for i in range(9)), swapped=swapped, control=swapped[:, ::-1], logits=None)
    found = judged(grid)
    assert found.part == "r4"
    assert found.effect.low > 0.1
    single = judged(replace(base, swapped=swapped[:, 4:5], control=swapped[:, :1], logits=None))
    assert found.effect.high - found.effect.low > single.effect.high - single.effect.low
    assert len(found.tests[found.tests["test"] == "donor_contrast"]) == 9 * 2
    assert not (found.tests["test"] == "predicted_share").any()


def test_p_of_the_material_effect_agrees_with_the_interval():
    for pull in (0.05, 0.15, 0.2, 0.3, 0.5):
        found = judged(observed(n=200, pull=pull))
        exceeds = found.effect.low >= Policy().delta_material
        assert (found.effect.p_material <= 0.05) == exceeds or abs(found.effect.low - 0.1) < 0.01


def test_without_a_reference_there_is_no_fragility():
    base = observed()
    found = judged(replace(base, reference=np.full(len(base), -1)))
    assert found.fragility.n == 0


AGE = Target(name="age", unit="years", cut=60, material=2.0, negligible=0.5)
IN_YEARS = Policy(target=AGE)


def numbers(pull=3.0, n=120, seed=0, passes=1):
    """Numbers that are higher by ``pull`` on the second level, behind the fixture's recipients and donors."""
    found, rng = observed(seed=seed, n=n, passes=passes), np.random.default_rng(seed + 1)
    own = rng.normal(0, 4, len(found))
    z = own[:, None] + np.array([0.0, pull]) + rng.normal(0, 0.5, (len(found), 2))
    pairs = {name: np.stack([np.zeros_like(own), own + rng.normal(0, 1.5, len(own))], 1) for name in "orc"}
    logits, control = (np.stack([np.zeros_like(v), v], axis=2)[:, None] for v in (z, np.repeat(own[:, None], 2, 1)))
    return replace(
        found,
        swapped=(z >= 0).astype(np.int64)[:, None],
        logits=logits,
        control_logits=control,
        original_logits=pairs["o"],
        reference_logits=pairs["r"],
        same_logits=pairs["c"],
    )


def test_a_number_is_judged_by_its_mean_difference_and_against_its_own_limits():
    found = numbers()
    contrast = DonorContrast(IN_YEARS, seed=0, scale="native")(found)
    z = found.logits[:, 0, :, 1]
    assert contrast.scale == "native"
    assert contrast.effect.estimate == pytest.approx((z[:, 1] - z[:, 0]).mean())
    assert (contrast.primary.arm, contrast.primary.reference) == (1, 0)
    assert [item.scale for item in contrast.equivalence] == ["native"]
    assert contrast.equivalence[0].margin == AGE.negligible
    assert set(contrast.tests.loc[contrast.tests["test"] == "donor_contrast", "scale"]) == {"native"}


def test_a_number_in_another_unit_has_the_same_states_and_the_effect_in_that_unit():
    """Months instead of years: everything that has the unit is twelve times as large, and nothing else moves."""
    found = numbers()
    logits = {name: getattr(found, name) * 12 for name in ("logits", "control_logits", "original_logits")}
    logits |= {name: getattr(found, name) * 12 for name in ("reference_logits", "same_logits")}
    months = Target(name="age", unit="months", cut=720, material=24.0, negligible=6.0)
    years = DonorContrast(IN_YEARS, seed=0, scale="native")(found)
    other = DonorContrast(Policy(target=months), seed=0, scale="native")(replace(found, **logits))
    assert other.effect.estimate == pytest.approx(12 * years.effect.estimate)
    assert other.effect.low == pytest.approx(12 * years.effect.low)
    assert other.effect.p_adjusted == pytest.approx(years.effect.p_adjusted)
    assert other.effect.p_material == pytest.approx(years.effect.p_material)
    assert other.changed_other.estimate == years.changed_other.estimate
    assert other.fragility.estimate == years.fragility.estimate
    assert other.negligible(0.05) == years.negligible(0.05)


def test_a_number_changes_where_it_moves_by_what_is_material():
    found = numbers(n=80, passes=2)
    changes = changed_answers(found, 0.95, 0, 2.0)
    z = found.logits[:, 0, :, 1]
    own = z[np.arange(160), found.own]
    other = z[np.arange(160), 1 - found.own]
    assert changes["changed_other_level"].estimate == pytest.approx((abs(other - own) >= 2).mean())
    assert changes["changed_same_level"].estimate == pytest.approx((abs(found.same_logits[:, 1] - own) >= 2).mean())
    first = found.number == 0
    moved = abs(found.original_logits[:, 1] - found.reference_logits[:, 1])[first] >= 2
    assert changes["reference_fragility"].estimate == pytest.approx(moved.mean())
    original = found.original_logits[:, 1]
    kept = (abs(own - original) < 2).astype(float) - (abs(other - original) < 2)
    assert changes["same_minus_other"].estimate == pytest.approx(kept.mean())


@pytest.mark.parametrize(("pull", "small"), [(0.0, True), (1.0, False)])
def test_a_number_is_negligible_by_its_own_margin(pull, small):
    assert DonorContrast(IN_YEARS, seed=0, scale="native")(numbers(pull)).negligible(0.05) is small
