"""The donor contrast on observations whose effects are known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from figureground.audit.config import Policy
from figureground.audit.judge import contrast as module
from figureground.audit.judge.contrast import (
    BackgroundContrast,
    Hypothesis,
    changed_answers,
    hypotheses,
    rarest_share,
)
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
    probability = np.full((count, levels, classes), 0.1 / max(classes - 1, 1))
    np.put_along_axis(probability, swapped[..., None], 0.9, axis=2)
    same = np.where(rng.random(count) < 0.95, swapped[np.arange(count), own], (label + 1) % classes)
    return SwapObservations(
        levels=LEVELS[:levels],
        classes=CLASSES[:classes],
        row_id=ids,
        number=np.tile(np.arange(passes), n),
        recipient=names,
        half=np.where(cluster % 2, "b", "a").astype(object),
        own=own,
        label=label,
        original=label,
        mirrored=np.where(rng.random(count) < 0.04, (label + 1) % classes, label),
        same=same,
        swapped=swapped,
        common=common,
        donor=np.array(
            [[f"d{level}-{2 * rng.integers(0, n // 4) + c % 2}" for level in range(levels)] for c in cluster],
            dtype=object,
        ),
        probability=probability,
        incomplete=0,
    )


def judged(found, **policy):
    return BackgroundContrast(Policy(**policy), seed=0)(found)


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
        expected = np.mean(found.swapped[:, a] == c) - np.mean(found.swapped[:, r] == c)
        assert line["estimate"] == pytest.approx(expected, abs=1e-12)
        probability = row(
            contrast,
            "donor_contrast",
            "probability",
            class_name=CLASSES[c],
            arm=LEVELS[a],
            reference=LEVELS[r],
        )
        expected = np.mean(found.probability[:, a, c] - found.probability[:, r, c])
        assert probability["estimate"] == pytest.approx(expected, abs=1e-12)
        control = row(contrast, "common_background", class_name=CLASSES[c], arm=LEVELS[a], reference=LEVELS[r])
        specific = row(contrast, "specific", class_name=CLASSES[c], arm=LEVELS[a], reference=LEVELS[r])
        assert specific["estimate"] == pytest.approx(line["estimate"] - control["estimate"], abs=1e-12)


@pytest.mark.parametrize("flip", [False, True])
def test_the_primary_effect_is_the_largest_and_turned_so_that_it_is_positive(flip):
    found = observed(pull=0.5)
    if flip:
        found = replace(found, swapped=found.swapped[:, ::-1].copy(), probability=found.probability[:, ::-1].copy())
    contrast = judged(found)
    primary = contrast.primary
    expected = np.mean(found.swapped[:, primary.arm] == primary.class_index) - np.mean(
        found.swapped[:, primary.reference] == primary.class_index
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
    t = stats.t.ppf(0.975, found.effect.df)
    assert (found.effect.high - found.effect.estimate) / found.effect.standard_error == pytest.approx(t, abs=0.04)
    line = row(found, "donor_contrast", class_name="cat")
    assert line["p_adjusted"] == pytest.approx(line["p_raw"], abs=0.01)


def test_several_levels_make_wider_intervals_and_larger_p():
    answers = np.random.default_rng(0).integers(0, 3, (120, 3))
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
                    (found.swapped[:, 0] != found.swapped[:, 1]) * 7 + np.arange(200) % 7,
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
        assert half.estimate == pytest.approx(primary.values(part, "swapped").mean())
        assert (half.n, half.level) == (len(part), 0.9)
    assert sum(half.n for half in contrast.replication) == len(found)


def test_what_the_holes_alone_do_is_subtracted():
    holes = judged(observed(n=300, pull=0.3, common_pull=0.3))
    assert holes.effect.low > 0
    assert holes.common.estimate > 0.2
    assert abs(holes.specific.estimate) < 0.12
    assert holes.specific.low <= 0
    clean = judged(observed(n=300, pull=0.3))
    assert clean.specific.low > 0
    assert clean.specific.estimate == pytest.approx(clean.effect.estimate)


def test_the_specific_effect_may_exceed_one():
    found = observed(pull=1.0)
    against = replace(found, common=found.swapped[:, ::-1].copy())
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
        contrast = judged(replace(found, swapped=noise, probability=None))
        alarms += contrast.effect.low > 0
    assert alarms <= stats.binom.ppf(0.999, runs, 0.05)


def test_a_strong_effect_is_nearly_always_found(fewer_draws):
    found = [judged(replace(observed(seed, n=120, pull=0.3), probability=None)) for seed in range(24)]
    assert sum(c.effect.low > 0.1 for c in found) >= 22
    assert sum(all(half.low > 0 for half in c.replication) for c in found) >= 22
    assert sum(c.effect.low <= 0.3 <= c.effect.high for c in found) >= 20


def test_the_widest_interval_judges_equivalence_of_the_whole_family():
    found = observed(n=400, levels=3, classes=3, pull=0.02)
    contrast = judged(found)
    every = [module.multiway_mean(h.values(found, "swapped"), *h.codes(found), level=0.9) for h in hypotheses(found)]
    assert contrast.widest90.level == pytest.approx(0.9)
    assert max(abs(contrast.widest90.low), abs(contrast.widest90.high)) == max(
        max(abs(i.low), abs(i.high)) for i in every
    )
    assert tost(contrast.widest90, 0.1) == all(tost(i, 0.1) for i in every)


def test_one_donor_cluster_bounds_nothing():
    found = observed(n=30)
    lone = replace(found, donor=np.full((30, 2), "only", dtype=object))
    contrast = judged(lone)
    assert (contrast.effect.low, contrast.effect.high) == (-1, 1)
    assert not tost(contrast.widest90, 0.99)


def test_a_model_that_always_answers_the_same_has_no_effect_but_an_interval():
    found = observed(n=30)
    same = np.zeros_like(found.swapped)
    contrast = judged(replace(found, swapped=same, common=same, probability=None))
    assert contrast.effect.estimate == 0
    assert contrast.effect.low < 0 < contrast.effect.high


def test_changed_answers_against_hand_counts():
    found = observed(n=200, levels=3, classes=3, passes=2)
    changes = changed_answers(found, 0.95)
    own = found.swapped[np.arange(400), found.own]
    by_hand = np.mean(
        [np.mean([found.swapped[i, e] != own[i] for e in range(3) if e != found.own[i]]) for i in range(400)]
    )
    assert changes["changed_other_level"].estimate == pytest.approx(by_hand)
    assert changes["changed_same_level"].estimate == pytest.approx(np.mean(found.same != own))
    first = found.number == 0
    assert changes["mirrored_fragility"].estimate == pytest.approx(np.mean((found.original != found.mirrored)[first]))
    assert changes["mirrored_fragility"].n == 200
    kept = np.mean(
        [
            float(own[i] == found.original[i])
            - np.mean([found.swapped[i, e] == found.original[i] for e in range(3) if e != found.own[i]])
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
            assert line["estimate"] == pytest.approx(np.mean(found.swapped[:, index] == c))
    counts = np.bincount(np.concatenate([found.original, found.swapped.ravel()]), minlength=3)
    assert rarest_share(found) == counts.min() / counts.sum()
    assert rarest_share(replace(found, classes=(*CLASSES, "never"))) == 0


def test_beyond_32_classes_there_is_no_probability_scale():
    contrast = judged(replace(observed(), probability=None))
    assert set(contrast.tests["scale"]) == {"decision"}


def test_the_same_seed_gives_the_same_numbers():
    assert judged(observed(levels=3)).tests.equals(judged(observed(levels=3)).tests)
