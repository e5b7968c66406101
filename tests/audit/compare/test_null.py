"""How often a comparison cries wolf: the same model, audited twice on other pictures or with other donors.

Measured rates stand in ``docs/compare.md``. Every bound here is what a rate of 5 % exceeds once in a thousand times.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.compare.answer_rows import CommonAnswers, worst_group
from figureground.audit.compare.cue_rows import CommonContrast, compare_cue
from figureground.audit.compare.differing import Ruler
from figureground.audit.compare.states import falls, rises
from figureground.audit.judge.observations import SwapObservations
from figureground.comparing import compare_runs

pytestmark = pytest.mark.slow
ALARMS = ("new", "worse")


def rarely(hits, of):
    """Whether so many alarms are no more than a rate of 5 % gives, but for once in a thousand times."""
    return hits <= stats.binom.ppf(0.999, of, 0.05)


@pytest.mark.parametrize("reliance", [0.1, 0.5])
def test_one_model_on_other_pictures(runs, reliance):
    """Reliance 0.1 is the material effect itself, where states flip most readily."""
    pairs, hits, flips = 12, 0, 0
    for seed in range(pairs):
        audits = [runs.anew(reliance, 2 * seed + half) for half in (0, 1)]
        found = compare_runs(*audits)
        item = found.cues[0]
        assert item.difference.how == "aggregates"
        hits += item.state in ALARMS or found.exit_code == 1
        flips += item.first_status != item.second_status
    assert rarely(hits, pairs), (hits, flips)


def swapped(rng, n, passes, levels, recipient, donors, pull):
    """Answers that hang on the recipient, on each donor and on chance: 1 or 0, ``[N, 2]``."""
    ids = np.repeat(np.arange(n), passes)
    lent = np.stack([rng.integers(0, len(donors[0]), len(ids)) for _ in levels], axis=1)
    latent = [
        np.sqrt(0.5) * recipient[ids] + pull * donors[at][lent[:, at]] + 0.6 * rng.standard_normal(len(ids))
        for at in range(len(levels))
    ]
    spread = np.sqrt(0.5 + pull**2 + 0.36)
    return ids, lent, np.stack([x > stats.norm.ppf(p) * spread for x, p in zip(latent, levels, strict=True)], axis=1)


def observed(ids, passes, lent, answers):
    n, nothing = len(ids), np.zeros(len(ids), dtype=np.int64)
    numbers = np.tile(np.arange(passes), n // passes)
    three = answers.astype(np.int64)[:, None, :]
    names = {"cue": "background", "levels": ("grass", "gravel"), "classes": ("cat", "dog"), "parts": ("",)}
    plain = dict.fromkeys(("own", "label", "original", "reference", "same"), nothing)
    none = ("logits", "control_logits", "original_logits", "score", "control_score")
    return SwapObservations(
        **names,
        **plain,
        **dict.fromkeys(none),
        row_id=ids,
        number=numbers,
        recipient=ids.astype(object),
        half=np.full(n, "a", dtype=object),
        swapped=three,
        control=three,
        donor=lent.astype(object),
        donor_row=lent,
        incomplete={},
    )


@pytest.mark.parametrize(("n", "passes", "same"), [(150, 3, True), (150, 3, False), (60, 1, False)])
def test_the_same_pictures_with_the_same_or_other_donors(n, passes, same):
    """Two models of one kind: recipients and donors move both in the same way, and each by itself."""
    rng, repeats, moved = np.random.default_rng(n + same), 150, 0
    for _ in range(repeats):
        shared, donors = rng.standard_normal(n), rng.standard_normal((2, n // 2))
        sides = []
        for _ in range(2):
            own = np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.standard_normal(n)
            draw = np.random.default_rng(1) if same else rng
            sides.append(observed(*_ordered(swapped(draw, n, passes, (0.4, 0.6), own, donors, 0.4), passes)))
        units = pd.Series(np.arange(n), index=np.arange(n))
        rows = pd.DataFrame({"first": np.arange(n), "second": np.arange(n), "cluster": np.arange(n), "weight": np.nan})
        common = CommonContrast.of((sides[0], sides[1]), rows.assign(same_mask=True), (units, units))
        found = compare_cue(common, "decision", Ruler(0.95, 0.8, 0.1), 0).found
        moved += any(rises(one) or falls(one) for one in found)
    assert rarely(moved, repeats), moved


def _ordered(drawn, passes):
    ids, lent, answers = drawn
    return ids, passes, lent, answers


@pytest.mark.parametrize("n", [120, 600])
def test_answers_that_differ_by_chance_alone(n):
    rng, repeats, alarms = np.random.default_rng(n), 300, np.zeros(2)
    ruler = Ruler(0.95, 0.8, 0.1)
    for _ in range(repeats):
        group, easy = rng.integers(0, 4, n), rng.standard_normal(n)
        sides = [
            (0.8 * easy + 0.6 * rng.standard_normal(n) < stats.norm.ppf([0.7, 0.8, 0.8, 0.9])[group]).astype(float)
            for _ in range(2)
        ]
        found = CommonAnswers(pd.DataFrame(index=range(n)), *sides, np.arange(n))
        members = {("group", str(i), "(all)"): group == i for i in range(4)}
        alarms += [falls(found.difference(ruler)), falls(worst_group(found, members, ruler, 0).difference)]
    assert all(rarely(hits, repeats) for hits in alarms), alarms


def test_trained_models_on_pictures_planted_anew(shortcut_model, balanced_model, tmp_path):
    """Each model against itself on two plantings: never new or worse; against the other one: always."""
    from figureground.api import run_audit
    from figureground.datasets.planted import Planted

    made = {}
    for seed in range(2):
        data = Planted(association=0.5, split="test", per_label=60, seed=seed).write(tmp_path / f"data-{seed}")
        for name, model in (("shortcut", shortcut_model), ("balanced", balanced_model)):
            out = tmp_path / f"{name}-{seed}"
            made[name, seed] = run_audit(model, data, out=out, cues=["background"], images=False, report=False).path
    for name, (one, other) in itertools.product(("shortcut", "balanced"), itertools.permutations(range(2), 2)):
        found = compare_runs(made[name, one], made[name, other])
        assert found.cues[0].state not in ALARMS, (name, one, other)
        assert found.document.same_model
    for one, other in itertools.product(range(2), repeat=2):
        broken = compare_runs(made["balanced", one], made["shortcut", other])
        assert (broken.cues[0].state, broken.exit_code) == ("new", 1)
        repaired = compare_runs(made["shortcut", other], made["balanced", one])
        assert repaired.cues[0].state in ("better", "resolved")
        assert repaired.exit_code in (0, 3)
