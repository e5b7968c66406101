"""Would it have been found? Implants of known size in numeric worlds, chance alone, and levels told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from figureground.audit.declared.config import Policy
from figureground.audit.declared.target import Target
from figureground.audit.judge.assay import SpikeIn
from figureground.audit.judge.contrast_check import as_check, auroc_interval, check_contrast
from figureground.audit.judge.implant import Implant
from figureground.audit.judge.observations import SwapObservations
from figureground.audit.judge.placebo import placebo


def world(seed=0, n=300, carried=1.0, pull=0.0, per_cluster=1, flips=0.05):
    """A model that answers by the label; composites carry a share of each donor's score."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    donors = np.stack([-1 + rng.normal(0, 0.4, n), 1 + rng.normal(0, 0.4, n)], axis=1)
    rows = np.arange(2 * n).reshape(n, 2) + 10_000

    def logits():
        wrong = rng.random((n, 2)) < flips
        follows = rng.random((n, 1)) < pull
        answer = np.where(follows, [0, 1], label[:, None]) ^ wrong
        strength = rng.exponential(2.0, (n, 2))
        z = np.where(answer == 1, strength, -strength)
        return np.stack([np.zeros_like(z), z], axis=2)[:, None]

    swapped, control = logits(), logits() if pull == 0 else world(seed + 1, n, carried, 0.0).logits
    score = carried * donors[:, None] + (1 - carried) * rng.normal(0, 1, (n, 1, 2))
    own = np.where(label == 1, 1, -1) * rng.exponential(2.0, n)
    return SwapObservations(
        cue="background",
        levels=("a", "b"),
        classes=("cat", "dog"),
        parts=("",),
        row_id=np.arange(n),
        number=np.zeros(n, dtype=np.int64),
        recipient=np.array([f"r{i // per_cluster}" for i in range(n)], dtype=object),
        half=np.array(["a", "b"] * (n // 2), dtype=object),
        own=np.zeros(n, dtype=np.int64),
        label=label,
        original=(own > 0).astype(np.int64),
        reference=label,
        same=label,
        swapped=swapped.argmax(axis=3),
        control=control.argmax(axis=3),
        donor=np.array([[f"d{i}", f"e{i}"] for i in range(n)], dtype=object),
        donor_row=rows,
        logits=swapped,
        control_logits=control,
        original_logits=np.stack([np.zeros(n), own], axis=1),
        score=score,
        control_score=rng.normal(0, 0.2, (n, 1, 2)) if carried else score,
        incomplete={},
    )


def readings(observed, seed=0, n=300):
    rng = np.random.default_rng(seed)
    rng.integers(0, 2, n)
    donors = np.stack([-1 + rng.normal(0, 0.4, n), 1 + rng.normal(0, 0.4, n)], axis=1)
    return pd.Series(donors.ravel(), index=observed.donor_row.ravel())


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2])
def test_an_implant_has_the_size_asked_for(size):
    observed = world()
    implant = Implant.of(observed, readings(observed))
    weight = implant.weight_for(size, "decision")
    assert implant.true_effect(weight, "decision") == pytest.approx(size, abs=2 / 300)
    raised = observed.original_logits[:, [1], None][:, 0] - 0.0
    own = observed.original_logits[:, 1]
    by_hand = [np.mean(own + (1 if implant.class_index else -1) * weight * implant.donors[:, e] > 0) for e in (0, 1)]
    assert abs(by_hand[1] - by_hand[0]) == pytest.approx(size, abs=2 / 300)
    assert raised.shape == (300, 1)


def test_what_the_composites_carry_decides_what_is_found():
    found = {}
    for carried in (1.0, 0.3, 0.0):
        observed = world(carried=carried)
        found[carried] = SpikeIn(Policy(), 0)(observed, readings(observed), "decision").power
    assert found[1.0]["0.2"] >= 0.95
    assert found[1.0]["0.2"] >= found[0.3]["0.2"] >= found[0.0]["0.2"]
    assert found[0.0]["0.2"] < 0.5
    assert found[1.0]["0.05"] <= found[1.0]["0.1"] <= found[1.0]["0.2"]


def test_more_units_find_smaller_implants():
    power = []
    for n in (60, 1200):
        observed = world(n=n)
        power.append(SpikeIn(Policy(), 0)(observed, readings(observed, n=n), "decision").power["0.05"])
    assert power[1] > power[0]


def test_nothing_implanted_is_hardly_ever_found():
    spike = SpikeIn(Policy(), 0)
    rates = []
    for seed in range(12):
        observed = world(seed)
        rates.append(spike.detection(Implant.of(observed, readings(observed, seed)), 0.0, "decision"))
    # A redraw of a sample has the sample's own deviation on top of its own: the rate lies above alpha, and not far.
    assert np.mean(rates) < 0.2


def test_the_log_odds_scale_has_its_own_sizes():
    observed = world()
    assay = SpikeIn(Policy(), 0)(observed, readings(observed), "log_odds")
    assert list(assay.power) == ["0.41", "0.69", "1.1"]
    implant = Implant.of(observed, readings(observed))
    assert implant.true_effect(implant.weight_for(0.69, "log_odds"), "log_odds") == pytest.approx(0.69, abs=1e-3)


def test_without_readings_or_logits_the_assay_says_that_it_did_not_run():
    observed = world()
    for made in (
        SpikeIn(Policy(), 0)(observed, None, "decision"),
        SpikeIn(Policy(), 0)(observed, pd.Series(0.0, index=observed.donor_row.ravel()), "decision"),
        SpikeIn(Policy(), 0)(observed, pd.Series(dtype=float), "decision"),
    ):
        assert (made.power, made.smallest_found) == ({}, None)
        assert made.reason


def test_the_same_seed_gives_the_same_power():
    observed = world()
    first, second = (SpikeIn(Policy(), 3)(observed, readings(observed), "decision") for _ in range(2))
    assert first == second


# -- chance alone


def test_the_placebo_p_is_exact_where_nothing_is_planted():
    p = [placebo(world(seed, n=80), Policy(placebo_draws=99), seed, "decision").p for seed in range(60)]
    # Ties make it a little larger than uniform, never smaller.
    for level in (0.05, 0.1, 0.25):
        assert np.sum(np.array(p) <= level) <= stats.binom.ppf(0.999, 60, level)
    assert np.mean(p) == pytest.approx(0.5, abs=0.15)
    assert min(p) >= 0.01


def test_a_real_effect_is_beyond_chance_and_agrees_with_scipy():
    observed = world(pull=0.4)
    found = placebo(observed, Policy(), 0, "decision")
    assert found.p <= 2 / 201
    null = world(3, n=60)
    first = (null.swapped[:, 0] == 1).astype(float)
    exact = stats.permutation_test(
        (first[:, 0], first[:, 1]),
        lambda a, b: abs(a.mean() - b.mean()),
        permutation_type="samples",
        alternative="greater",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    )
    ours = placebo(null, Policy(placebo_draws=2000), 0, "decision")
    assert ours.p == pytest.approx(exact.pvalue, abs=0.05)


def test_images_of_one_unit_are_exchanged_together():
    many = placebo(world(n=300, per_cluster=10), Policy(), 0, "decision")
    assert (many.n, many.n_clusters) == (300, 30)


# -- can the levels be told apart


def test_auroc_is_that_of_scikit_learn_and_its_interval_widens_with_clusters():
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.4
    score = np.round(rng.normal(positive, 1.0), 1)
    alone = np.array([f"c{i}" for i in range(200)], dtype=object)
    auroc, low, high = auroc_interval(score, positive, alone, 0.95)
    assert auroc == pytest.approx(roc_auc_score(positive, score))
    assert low < auroc < high
    doubled = auroc_interval(np.tile(score, 3), np.tile(positive, 3), np.tile(alone, 3), 0.95)
    assert doubled[1:] == pytest.approx((low, high), abs=0.002)  # three copies of a unit are one unit


def test_the_interval_of_the_auroc_covers():
    rng = np.random.default_rng(1)
    truth, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(300):
        positive = np.arange(80) < 40
        score = rng.normal(positive, 1.0)
        _, low, high = auroc_interval(score, positive, np.arange(80).astype(object), 0.95)
        hits += low <= truth <= high
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


def test_levels_that_look_alike_fail_and_missing_readings_do_not_pass():
    rng = np.random.default_rng(2)
    strata = pd.DataFrame({"row_id": np.arange(100), "stratum": ["a", "b"] * 50})
    examples = pd.DataFrame({"row_id": np.arange(100), "cluster": [f"c{i}" for i in range(100)]})

    def scores(shift):
        score = rng.normal(shift * (strata["stratum"] == "b"), 1.0)
        return pd.DataFrame(
            {"row_id": np.arange(100), "cue": "tint", "features": "descriptors", "level": "b", "score": score}
        )

    def judged(table):
        return as_check(check_contrast(table, strata, examples, "tint", Policy()), "tint", Policy())

    assert judged(scores(3.0)).status == "passed"
    assert judged(scores(0.0)).status == "failed"
    assert judged(scores(3.0).iloc[:0]).status == "not_run"
    assert judged(scores(3.0).assign(score=np.nan)).status == "not_run"


def test_implants_in_a_number_are_multiples_of_what_matters_and_found_where_they_are_large():
    policy = Policy(target=Target(name="age", unit="years", cut=60, material=1.5, negligible=0.5), assay_redraws=40)
    observed = world()
    scores = readings(observed)
    found = SpikeIn(policy, 0)(observed, scores, "native")
    assert list(found.power) == ["0.75", "1.5", "3"]
    assert found.power["3"] == 1.0
    implant = Implant.of(observed, scores)
    for size in (0.75, 1.5, 3.0):
        weight = implant.weight_for(size, "native")
        swapped, _ = implant.answers(weight, "native")
        assert implant.true_effect(weight, "native") == pytest.approx(size)
        assert swapped.mean(axis=(0, 1))[1] - swapped.mean(axis=(0, 1))[0] == pytest.approx(size, abs=0.6)


def test_chance_in_a_number_is_that_of_its_mean():
    observed = world(pull=0.6)
    policy = Policy(target=Target(name="age", cut=60, material=1.5, negligible=0.5))
    assert placebo(observed, policy, 0, "native").p == placebo(observed, policy, 0, "log_odds").p < 0.05
