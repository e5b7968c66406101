"""Which rows are shown: by rules alone, so that nobody picks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from figureground.audit.declared.target import Target
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.cue_pairs import MAX_CUES, CuesOf, cue_pairs
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.gallery import GalleryRules, true_probability
from figureground.audit.judge.observations import SwapObservations

CLASSES = ("cat", "dog")
PRIMARY = Hypothesis(0, 0, 1)


def observed(n=40, passes=2, seed=0):
    rng = np.random.default_rng(seed)
    count = n * passes
    logits = rng.normal(0, 1.5, (count, 3, 2))
    swapped = logits.argmax(axis=2)
    ids = np.repeat(np.arange(n), passes)
    return SwapObservations(
        cue="background",
        parts=("",),
        levels=("grass", "gravel", "sand"),
        classes=CLASSES,
        row_id=ids,
        number=np.tile(np.arange(passes), n),
        recipient=np.array([f"c{i // 3}" for i in ids], dtype=object),
        half=np.full(count, "a", dtype=object),
        own=rng.integers(0, 3, count),
        label=rng.integers(0, 2, count),
        original=rng.integers(0, 2, count),
        reference=swapped[:, 0],
        same=swapped[:, 0],
        swapped=swapped[:, None],
        control=swapped[:, None],
        donor=swapped.astype(str).astype(object),
        donor_row=np.zeros((count, 3), dtype=np.int64),
        logits=logits[:, None],
        control_logits=logits[:, None],
        original_logits=logits[:, 0],
        score=None,
        control_score=None,
        incomplete={},
    )


def test_changed_pairs_follow_the_declared_rule():
    found = observed()
    chosen = GalleryRules().swaps(found, PRIMARY)
    expected = []
    swapped, probability = found.swapped[:, 0], softmax(found.logits[:, 0], axis=2)
    for at in np.flatnonzero(found.number == 0):
        other = 1 if found.own[at] == 0 else 0
        own_answer, other_answer = swapped[at, found.own[at]], swapped[at, other]
        if found.original[at] == own_answer != other_answer:
            fall = probability[at, found.own[at], own_answer] - probability[at, other, own_answer]
            expected.append((-fall, found.row_id[at], found.recipient[at], found.levels[other]))
    best, clusters = [], set()
    for _, row, cluster, level in sorted(expected):
        if cluster not in clusters:
            best.append((row, level))
            clusters.add(cluster)
    changed = chosen[chosen["rule"] == "swap_changed"]
    assert len(expected) > len(clusters) > 3  # the cluster rule and the cut both matter here
    assert list(zip(changed["row_id"], changed["other_level"], strict=True)) == best[:3]
    assert changed["rank"].tolist() == [1, 2, 3]
    assert set(chosen["pass"]) == {0}


def test_one_unchanged_pair_is_drawn_with_the_seed():
    found = observed()
    drawn = [
        GalleryRules(seed=seed).swaps(found, PRIMARY).query("rule == 'swap_random_unchanged'")
        for seed in (0, 0, *range(1, 9))
    ]
    assert all(len(part) == 1 for part in drawn)
    rows = [int(part["row_id"].iloc[0]) for part in drawn]
    assert rows[0] == rows[1]
    assert len(set(rows)) > 2
    for row in rows:
        (at,) = np.flatnonzero((found.row_id == row) & (found.number == 0))
        other = 1 if found.own[at] == 0 else 0
        assert found.original[at] == found.swapped[at, 0, found.own[at]] == found.swapped[at, 0, other]


def test_without_a_first_pass_nothing_is_shown():
    found = observed()
    assert GalleryRules().swaps(found.take(found.number == 1), PRIMARY).empty


@pytest.fixture
def scored():
    rng = np.random.default_rng(5)
    n = 30
    logits = rng.normal(0, 2, (n, 2)).astype(np.float32)
    rows = pd.DataFrame({"row_id": np.arange(n), "label": rng.choice(CLASSES, n), "correct": 1.0})
    rows.loc[4, "correct"] = np.nan
    predictions = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "intervention": "none",
            "logits": list(logits),
            "classes": None,
            "logsumexp": np.log(np.exp(logits.astype(float)).sum(axis=1)),
        }
    ).sample(frac=1, random_state=0)
    return rows, predictions, logits


def test_the_worst_are_those_with_the_lowest_probability_of_their_label(scored):
    rows, predictions, logits = scored
    truth = softmax(logits.astype(float), axis=1)[np.arange(30), [CLASSES.index(label) for label in rows["label"]]]
    known = np.delete(np.arange(30), 4)
    found = GalleryRules(tiles=6).tiles_of(rows, predictions, CLASSES)
    worst = found[found["rule"] == "worst"]
    assert worst["row_id"].tolist() == known[np.argsort(truth[known], kind="stable")][:6].tolist()
    assert worst["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(true_probability(rows, predictions, CLASSES), truth, rtol=1e-6)


def test_as_many_are_drawn_at_random_with_the_seed(scored):
    rows, predictions, _ = scored
    draws = [
        GalleryRules(tiles=6, seed=seed)
        .tiles_of(order, predictions, CLASSES)
        .query("rule == 'random'")["row_id"]
        .tolist()
        for seed, order in ((1, rows), (1, rows[::-1]), (2, rows))
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 6
    assert 4 not in draws[0] + draws[2]


def test_beyond_32_classes_the_label_is_found_among_the_kept_ones():
    names = tuple(f"class{i}" for i in range(40))
    logits = np.random.default_rng(0).normal(size=(3, 40))
    kept = [[3, 7, 39], [0, 5, 6], [1, 2, 8]]
    rows = pd.DataFrame({"row_id": [1, 2, 3], "label": ["class39", "class0", "class2"]})
    predictions = pd.DataFrame(
        {
            "row_id": [1, 2, 3],
            "intervention": "none",
            "classes": kept,
            "logits": [logits[at, which] for at, which in enumerate(kept)],
            "logsumexp": np.log(np.exp(logits).sum(axis=1)),
        }
    )
    expected = softmax(logits, axis=1)[[0, 1, 2], [39, 0, 2]]
    np.testing.assert_allclose(true_probability(rows, predictions, names), expected)


def test_numbers_go_by_how_far_they_move_and_how_far_off_they_are(scored):
    target = Target(name="age", cut=10, material=1.5, negligible=0.5)
    found = observed()
    chosen = GalleryRules(target=target, pairs=50).swaps(found, PRIMARY).query("rule == 'swap_changed'")
    z, own = found.logits[..., 1] - found.logits[..., 0], found.original_logits[:, 1] - found.original_logits[:, 0]
    moves = {}
    for at in np.flatnonzero(found.number == 0):
        other = 1 if found.own[at] == 0 else 0
        moved = abs(z[at, 0, other] - z[at, 0, found.own[at]])
        if moved >= 1.5 and abs(own[at] - z[at, 0, found.own[at]]) < 1.5:
            moves.setdefault(found.recipient[at], []).append(moved)
    assert len(chosen) == min(50, len(moves)) > 0
    first = {row: at for at, row in reversed(list(enumerate(found.row_id)))}
    told = [found.recipient[first[row]] for row in chosen["row_id"]]
    assert [max(moves[cluster]) for cluster in told] == sorted(map(max, moves.values()), reverse=True)[:50]
    rows, predictions, _ = scored
    rows = rows[rows["correct"].notna()]
    numbered = rows.assign(label_number=[str(10 + v) for v in np.random.default_rng(0).normal(0, 3, len(rows))])
    worst = GalleryRules(tiles=5, target=target).tiles_of(numbered, predictions, CLASSES).query("rule == 'worst'")
    said = np.array([10 + pair[1] - pair[0] for pair in predictions.set_index("row_id").loc[rows["row_id"], "logits"]])
    errors = np.abs(said - numbered["label_number"].astype(float).to_numpy())
    assert worst["row_id"].tolist() == rows["row_id"].to_numpy()[np.argsort(-errors)][:5].tolist()


def contrasted(cue, seed=0, parts=("",), part=0):
    found = observed(seed=seed)
    logits = np.random.default_rng(seed + 99).normal(0, 1.5, (len(found), len(parts), 3, len(CLASSES)))
    seen = replace(found, cue=cue, parts=parts, logits=logits, swapped=logits.argmax(axis=3))
    return Contrasted(seen, SimpleNamespace(primary=Hypothesis(0, 0, 1, part)))


def cues_of(states, finding=None, **more):
    found = {cue: contrasted(cue, seed) for seed, cue in enumerate(states)}
    return CuesOf(finding, {**found, **more}, [SimpleNamespace(cue=cue, status=state) for cue, state in states.items()])


def test_every_demonstrated_cue_is_shown_by_the_rule_then_the_suspected_ones_and_the_background():
    states = {"background": "not_detected", "tint": "suspected", "border": "demonstrated", "sharpness": "inconclusive"}
    part = cues_of(states)
    found = cue_pairs([part], None, GalleryRules())
    assert list(dict.fromkeys(found["cue"])) == ["border", "tint", "background"]
    for cue, rows in found.groupby("cue"):
        alone = GalleryRules().swaps(part.found[cue].observed, part.found[cue].contrast.primary)
        assert rows["row_id"].tolist() == alone["row_id"].tolist()
        assert rows["rule"].tolist() == ["swap_changed"] * 3 + ["swap_random_unchanged"]
    assert found["part"].isna().all()


def test_of_a_grid_the_part_with_the_effect_decides():
    item = contrasted("place", parts=("r0c0", "r0c1", "r1c0"), part=2)
    part = CuesOf(None, {"place": item}, [SimpleNamespace(cue="place", status="demonstrated")])
    found = cue_pairs([part], None, GalleryRules(pairs=50)).query("rule == 'swap_changed'")
    seen = item.observed
    first = np.flatnonzero(seen.number == 0)
    other = np.where(seen.own[first] == 0, 1, 0)
    own, there = seen.swapped[first, 2, seen.own[first]], seen.swapped[first, 2, other]
    wanted = seen.row_id[first][(seen.original[first] == own) & (own != there)]
    assert set(found["part"]) == {"r1c0"}
    assert set(found["row_id"]) <= set(wanted)
    clusters = {int(row) // 3 for row in wanted}
    assert {int(row) // 3 for row in found["row_id"]} == clusters


def test_findings_have_pictures_of_their_own_and_the_foremost_has_the_background():
    one = cues_of({"background": "inconclusive", "border": "demonstrated"}, "nodule")
    two = cues_of({"background": "inconclusive", "border": "demonstrated"}, "effusion")
    found = cue_pairs([one, two], "effusion", GalleryRules())
    pairs = list(dict.fromkeys(zip(found["cue"], found["finding"], strict=True)))
    assert pairs == [("border", "nodule"), ("border", "effusion"), ("background", "effusion")]


def test_there_is_an_end_to_it_and_none_without_contrasts():
    names = [f"region:r{at}" for at in range(MAX_CUES + 5)]
    found = cue_pairs([cues_of(dict.fromkeys(names, "demonstrated"))], None, GalleryRules())
    assert list(dict.fromkeys(found["cue"])) == names[:MAX_CUES]
    assert cue_pairs(
        [CuesOf(None, {}, [SimpleNamespace(cue="border", status="demonstrated")])], None, GalleryRules()
    ).empty


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rule_holds_for_answers_of_every_part(seed):
    item = contrasted("object_patch", seed, ("a", "b"), 1)
    seen, primary = item.observed, item.contrast.primary
    alone = replace(seen, parts=("b",), logits=seen.logits[:, 1:], swapped=seen.swapped[:, 1:])
    left, right = (GalleryRules().swaps(one, h) for one, h in ((seen, primary), (alone, replace(primary, part=0))))
    assert left.equals(right)
