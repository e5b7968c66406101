"""Accuracy, confusion and the gap against scikit-learn, scipy and hand arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import Direction
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.performance import accuracy, performance, performance_gap, scored
from figureground.audit.judge.subgroups import SubgroupTable
from figureground.audit.keeping.tables import ALL

CLASSES = ("cat", "dog", "eel")
TOWARDS = Direction(class_name="cat", arm="grass", reference="gravel")


def run(n=150, seed=0, per_cluster=1):
    """Examples (two not usable) and predictions (one not finite), in an order of their own."""
    rng = np.random.default_rng(seed)
    examples = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "label": rng.choice(CLASSES, n),
            "environment": rng.choice(["grass", "gravel"], n),
            "site": rng.choice(["A", "B", "C"], n, p=[0.6, 0.3, 0.1]),
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "status": "ok",
            "reason": None,
            "split": None,
            "path": None,
            "object_area": 0.2,
        }
    )
    examples.loc[[3, 7], "status"] = "quarantined"
    examples.loc[[3, 7], "reason"] = "image_broken"
    truth = examples["label"].map(CLASSES.index)
    answers = np.where(rng.random(n) < 0.7, truth, rng.integers(0, 3, n))
    predictions = pd.DataFrame(
        {"row_id": examples["row_id"], "intervention": "none", "predicted": pd.array(answers, dtype="Int64")}
    )
    predictions.loc[5, "predicted"] = pd.NA
    predictions = predictions[examples["status"] == "ok"].sample(frac=1, random_state=seed)
    other = predictions.assign(intervention="swap", predicted=0)
    return examples, pd.concat([other, predictions], ignore_index=True)


def measured(examples, predictions):
    rows = scored(examples, predictions, CLASSES)
    groups = group_rows(examples, ["site"], None).groups
    attributions = pd.DataFrame(
        columns=[
            "row_id",
            "method",
            "sign",
            "background_share",
            "background_area",
            "bleed_floor",
            "ldr",
            "status",
            "reason",
        ]
    )
    table = SubgroupTable(Policy(), attributions)(rows, groups)
    return rows, groups, performance(table, rows, groups, CLASSES)


def test_rows_are_scored_by_id_and_unknown_answers_are_neither_right_nor_wrong():
    examples, predictions = run()
    rows = scored(examples, predictions, CLASSES)
    assert len(rows) == 148
    base = predictions[predictions["intervention"] == "none"].set_index("row_id")["predicted"]
    for _, row in rows.iterrows():
        index = base[row["row_id"]]
        if pd.isna(index):
            assert row["predicted"] is None or pd.isna(row["predicted"])
            assert np.isnan(row["correct"])
        else:
            assert row["predicted"] == CLASSES[int(index)]
            assert row["correct"] == (CLASSES[int(index)] == row["label"])
    assert rows["correct"].isna().sum() == 1


def test_accuracy_and_confusion_are_those_of_scikit_learn():
    rows, groups, found = measured(*run())
    known = rows[rows["correct"].notna()]
    assert found.overall.estimate == pytest.approx(accuracy_score(known["label"], known["predicted"]))
    by_key = {(c.attribute, c.level): c.counts for c in found.confusion}
    assert by_key[ALL, ALL] == confusion_matrix(known["label"], known["predicted"], labels=CLASSES).tolist()
    for group in groups:
        for level in group.levels:
            part = known[known[group.attribute] == level]
            expected = confusion_matrix(part["label"], part["predicted"], labels=CLASSES).tolist()
            assert by_key[group.attribute, level] == expected


@pytest.mark.fault("E12")
def test_the_worst_group_is_the_lowest_of_those_that_are_large_enough():
    rows, _, found = measured(*run())
    known = rows[rows["correct"].notna()]
    cells = {}
    for attribute in ("environment", "site"):
        for keys in ([attribute], [attribute, "label"]):
            for name, part in known.groupby(keys):
                cells[attribute, *name] = part
    cells |= {(ALL, ALL, *name): part for name, part in known.groupby(["label"])}
    eligible = {
        key: accuracy_score(part["label"], part["predicted"])
        for key, part in cells.items()
        if part["cluster"].nunique() >= 20
    }
    worst = found.worst_group
    name = (worst.attribute, worst.level, *([] if worst.label == ALL else [worst.label]))
    assert worst.accuracy.estimate == pytest.approx(min(eligible.values()))
    assert eligible[name] == pytest.approx(min(eligible.values()))
    assert len(found.left_out) == len(cells) - len(eligible) > 0
    assert all(group.accuracy.status == "too_small" for group in found.left_out)


def test_independent_images_get_the_wilson_interval_of_scipy():
    correct = np.array([1.0] * 33 + [0.0] * 12 + [np.nan] * 3)
    found = accuracy(correct, np.array([f"c{i}" for i in range(48)], dtype=object), 0.95)
    expected = stats.binomtest(33, 45).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.n_clusters) == (45, 45)


def test_repeated_images_of_a_cluster_widen_it():
    correct = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], 6)
    clusters = np.repeat([f"c{i}" for i in range(8)], 6).astype(object)
    alone = accuracy(correct, np.arange(48).astype(str).astype(object), 0.95)
    found = accuracy(correct, clusters, 0.95)
    assert found.n_clusters == 8
    assert found.high - found.low > 1.8 * (alone.high - alone.low)


# -- the gap


def two_by_two(correct, labels=("cat", "dog"), environments=("grass", "gravel"), per_cluster=1):
    """Rows with ``correct[label][environment]`` a list of 0 and 1."""
    lines = [
        {"label": label, "environment": environment, "correct": float(value)}
        for label in labels
        for environment in environments
        for value in correct[label, environment]
    ]
    frame = pd.DataFrame(lines)
    return frame.assign(cluster=[f"c{i // per_cluster}" for i in range(len(frame))])


CELLS = {
    ("cat", "grass"): [1] * 9 + [0] * 3,
    ("cat", "gravel"): [1] * 4 + [0] * 6,
    ("dog", "grass"): [1] * 5 + [0] * 5,
    ("dog", "gravel"): [1] * 12 + [0] * 2,
}


def test_the_gap_is_the_interaction_and_its_interval_that_of_four_means():
    found = performance_gap(two_by_two(CELLS), TOWARDS, Policy(), 0)
    assert found["estimate"] == pytest.approx((9 / 12 - 4 / 10 - 5 / 10 + 12 / 14) / 2)
    error = np.sqrt(sum(np.var(cell, ddof=1) / len(cell) for cell in CELLS.values())) / 2
    half = stats.t.ppf(0.975, 9) * error
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((found["estimate"] - half, found["estimate"] + half))
    assert (found["class_name"], found["arm"], found["reference"], found["status"]) == (
        "cat",
        "grass",
        "gravel",
        "ok",
    )
    turned = performance_gap(
        two_by_two(CELLS), Direction(class_name="cat", arm="gravel", reference="grass"), Policy(), 0
    )
    assert turned["estimate"] == pytest.approx(-found["estimate"])
    assert turned["p_raw"] == pytest.approx(found["p_raw"], abs=0.02)


def test_its_p_is_small_for_a_shortcut_and_matches_an_exact_enumeration():
    shortcut = {key: [1] * 20 if key in {("cat", "grass"), ("dog", "gravel")} else [0] * 20 for key in CELLS}
    found = performance_gap(two_by_two(shortcut), TOWARDS, Policy(), 0)
    assert found["estimate"] == 1
    assert 0 < found["ci_low"] < 1 == found["ci_high"]
    assert found["p_raw"] < 0.001
    # within a label: hypergeometric; two independent labels of 4 + 4 images
    small = {
        ("cat", "grass"): [1, 1, 1, 0],
        ("cat", "gravel"): [1, 0, 0, 0],
        ("dog", "grass"): [0, 0, 0, 1],
        ("dog", "gravel"): [1, 1, 1, 0],
    }
    chance = {k: stats.hypergeom.pmf(k, 8, 4, 4) for k in range(5)}
    exact = sum(chance[a] * chance[b] for a in chance for b in chance if abs((a - (4 - a)) - (b - (4 - b))) >= 4)
    assert performance_gap(two_by_two(small), TOWARDS, Policy(), 0)["p_raw"] == pytest.approx(exact, abs=0.03)


def test_whole_clusters_are_permuted():
    """Five copies of every image are no more evidence than one."""
    copied = {key: list(np.repeat(values, 5)) for key, values in CELLS.items()}
    once = performance_gap(two_by_two(CELLS), TOWARDS, Policy(), 0)
    often = performance_gap(two_by_two(copied, per_cluster=5), TOWARDS, Policy(), 0)
    assert often["p_raw"] == pytest.approx(once["p_raw"], abs=0.02)
    assert (often["estimate"], often["ci_low"]) == pytest.approx((once["estimate"], once["ci_low"]))


def test_under_independence_p_is_roughly_uniform(monkeypatch):
    monkeypatch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 99)
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cells = {key: rng.integers(0, 2, 15) for key in CELLS}
        p.append(performance_gap(two_by_two(cells), TOWARDS, Policy(), seed)["p_raw"])
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert 0.36 < np.mean(p) < 0.68
    assert min(p) > 0


def test_more_than_two_labels_and_levels_use_the_two_levels_and_all_other_labels():
    rows = two_by_two(CELLS)
    more = pd.concat(
        [
            rows,
            pd.DataFrame(
                [
                    {"label": "eel", "environment": "grass", "correct": 1.0, "cluster": "z1"},
                    {"label": "cat", "environment": "sand", "correct": 0.0, "cluster": "z2"},
                ]
            ),
        ]
    )
    found = performance_gap(more, TOWARDS, Policy(), 0)
    assert found["estimate"] == pytest.approx((9 / 12 - 4 / 10 - 6 / 11 + 12 / 14) / 2)
    assert found["n"] == len(rows) + 1


@pytest.mark.parametrize("missing", list(CELLS))
def test_an_empty_cell_is_not_estimable(missing):
    found = performance_gap(two_by_two(CELLS | {missing: []}), TOWARDS, Policy(), 0)
    assert (found["status"], found["estimate"], found["p_raw"], found["ci_low"]) == (
        "not_estimable",
        None,
        None,
        None,
    )


def test_without_environments_or_direction_it_is_not_estimable():
    rows = two_by_two(CELLS)
    nowhere = performance_gap(rows.assign(environment=None), TOWARDS, Policy(), 0)
    assert (nowhere["status"], nowhere["reason"]) == ("not_estimable", "no environment column")
    assert performance_gap(rows, None, Policy(), 0)["reason"] == "no direction to align with"
