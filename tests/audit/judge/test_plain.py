"""Rows of the ``tests`` table about plain interventions, from predictions made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import binomtest, ttest_1samp

from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import DEFAULT_CUES
from figureground.audit.judge.plain import plain_tests
from figureground.audit.judge.plain_answers import plain_answers
from figureground.audit.judge.plain_untested import plain_untested
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import _to_pandas

CLASSES = ("cat", "dog")
N = 60


def lines_of(logits, ids, intervention, part=None, dose=1.0, status="ok", classes=None):
    cue = "none" if intervention == "none" else "background"
    return [
        {
            "row_id": int(row),
            "cue": cue,
            "intervention": intervention,
            "arm": "own",
            "part": part,
            "dose": dose,
            "pass": 0,
            "logits": None if status != "ok" else list(map(float, values)),
            "classes": classes,
            "logsumexp": None if status != "ok" else float(logsumexp(values)),
            "predicted": None if status != "ok" else int(np.argmax(values)),
            "status": status,
            "reason": None,
        }
        for row, values in zip(ids, logits, strict=True)
    ]


def table(lines):
    return _to_pandas(tables.conform(pd.DataFrame(lines, dtype=object), tables.PREDICTIONS))


@pytest.fixture
def run():
    """Examples; logits of the unchanged pictures and of three versions of the blanked one."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(2**62, N, replace=False))
    examples = pd.DataFrame(
        {
            "row_id": ids,
            "label": rng.choice(CLASSES, N),
            "cluster": [f"c{i}" for i in range(N)],
            "environment": None,
            "object_area": 0.2,
            "status": "ok",
        }
    )
    parts = (None, plain.ON_BACKGROUND, plain.EQUAL_AREA, plain.ELSEWHERE)
    return examples, {part: rng.normal(size=(N, 2)) for part in parts}


def rows_of(examples, logits):
    ids = examples["row_id"]
    lines = lines_of(logits[None], ids, "none", dose=0.0)
    for part in (plain.ON_BACKGROUND, plain.EQUAL_AREA, plain.ELSEWHERE):
        lines += lines_of(logits[part], ids, plain.BLANK, part)
    return lines


def found_in(examples, lines, **policy):
    rows = plain_tests(examples, table(lines), CLASSES, Policy(**policy))
    return {(r["test"], r["arm"], r.get("part"), r.get("reference")): r for r in rows}


def test_drops_and_changes_are_those_of_numpy_and_scipy(run):
    examples, logits = run
    tests = found_in(examples, rows_of(examples, logits))
    truth = (examples["label"] == "dog").to_numpy()
    own, now = logits[None].argmax(1), logits[plain.ON_BACKGROUND].argmax(1)
    drop = tests[plain.ACCURACY_DROP, plain.BLANK, plain.ON_BACKGROUND, None]
    lost = (own == truth).astype(float) - (now == truth)
    expected = ttest_1samp(lost, 0).confidence_interval(0.95)
    assert (drop["n"], drop["n_clusters"], drop["status"]) == (N, N, "ok")
    assert drop["estimate"] == pytest.approx(lost.mean())
    # The score interval lies a little off the t interval, towards smaller effects.
    assert (drop["ci_low"], drop["ci_high"]) == pytest.approx((expected.low, expected.high), abs=0.01)
    changed = tests[plain.CHANGED, plain.BLANK, plain.ON_BACKGROUND, None]
    count = int((own != now).sum())
    wilson = binomtest(count, N).proportion_ci(0.95, method="wilson")
    assert changed["estimate"] == pytest.approx(count / N)
    # single-row clusters: the t quantile of 59 degrees of freedom instead of the normal one
    assert (changed["ci_low"], changed["ci_high"]) == pytest.approx((wilson.low, wilson.high), abs=0.005)
    p_own, p_now = (softmax(logits[part], axis=1)[np.arange(N), own] for part in (None, plain.ON_BACKGROUND))
    fallen = tests[plain.PROBABILITY_DROP, plain.BLANK, plain.ON_BACKGROUND, None]
    assert fallen["estimate"] == pytest.approx((p_own - p_now).mean(), abs=1e-6)


def test_differences_are_paired_background_minus_control(run):
    examples, logits = run
    tests = found_in(examples, rows_of(examples, logits))
    truth = (examples["label"] == "dog").to_numpy()
    background = logits[plain.ON_BACKGROUND].argmax(1) == truth
    for control in (plain.EQUAL_AREA, plain.ELSEWHERE):
        other = logits[control].argmax(1) == truth
        paired = other.astype(float) - background
        row = tests[plain.ACCURACY_DROP, plain.BLANK, plain.ON_BACKGROUND, control]
        expected = ttest_1samp(paired, 0)
        assert row["estimate"] == pytest.approx(paired.mean())
        assert row["p_raw"] == pytest.approx(expected.pvalue, abs=0.01)
        assert row["ci_low"] == pytest.approx(expected.confidence_interval(0.95).low, abs=0.01)


def test_a_row_without_its_control_leaves_the_difference_only(run):
    examples, logits = run
    ids = examples["row_id"]
    lines = [x for x in rows_of(examples, logits) if not (x["part"] == plain.ELSEWHERE and x["row_id"] == ids[0])]
    lines += lines_of(logits[plain.ELSEWHERE][:1], ids[:1], plain.BLANK, plain.ELSEWHERE, status="no_other_place")
    tests = found_in(examples, lines)
    assert tests[plain.ACCURACY_DROP, plain.BLANK, plain.ON_BACKGROUND, None]["n"] == N
    assert tests[plain.ACCURACY_DROP, plain.BLANK, plain.ON_BACKGROUND, plain.ELSEWHERE]["n"] == N - 1
    left = tests[plain.LEFT_OUT, plain.BLANK, plain.ELSEWHERE, None]
    assert (left["n"], left["estimate"], left["reason"]) == (N, pytest.approx(1 / N), "1 no_other_place")


def test_clusters_widen_and_too_few_carry_no_weight(run):
    examples, logits = run
    alike = {part: np.repeat(values[::6], 6, axis=0) for part, values in logits.items()}
    grouped = examples.assign(
        cluster=np.repeat(np.arange(N // 6), 6), label=np.repeat(examples["label"][::6].to_numpy(), 6)
    )
    wide = found_in(grouped, rows_of(grouped, alike))[plain.CHANGED, plain.BLANK, plain.ON_BACKGROUND, None]
    single = grouped.assign(cluster=np.arange(N))
    narrow = found_in(single, rows_of(single, alike))[plain.CHANGED, plain.BLANK, plain.ON_BACKGROUND, None]
    assert wide["n_clusters"] == 10
    assert wide["status"] == "too_small"
    assert wide["ci_high"] - wide["ci_low"] > 1.5 * (narrow["ci_high"] - narrow["ci_low"])


def test_the_object_alone_is_the_blanked_background_and_chance_is_the_commonest_label(run):
    examples, logits = run
    ids = examples["row_id"]
    lines = rows_of(examples, logits)
    for part, seed in ((plain.DILATED, 1), (plain.BOX, 2)):
        lines += lines_of(np.random.default_rng(seed).normal(size=(N, 2)), ids, plain.REMOVED, part)
    tests = found_in(examples, lines)
    truth = (examples["label"] == "dog").to_numpy()
    alone = tests[plain.ALONE, plain.ONLY, plain.OWN_MEAN, None]
    assert alone["estimate"] == pytest.approx((logits[plain.ON_BACKGROUND].argmax(1) == truth).mean())
    assert tests[plain.ALONE, plain.ONLY, plain.POOL_MEAN, None]["status"] == "absent"
    accuracy = {
        part: (np.random.default_rng(seed).normal(size=(N, 2)).argmax(1) == truth).astype(float)
        for part, seed in ((plain.DILATED, 1), (plain.BOX, 2))
    }
    chance = max(truth.mean(), 1 - truth.mean())
    for part, right in accuracy.items():
        plainly, above = (tests[test, plain.REMOVED, part, None] for test in (plain.ALONE, plain.ABOVE_CHANCE))
        assert plainly["estimate"] == pytest.approx(right.mean())
        for column in ("estimate", "ci_low", "ci_high"):
            assert above[column] == pytest.approx(plainly[column] - chance)
    leak = tests[plain.LEAK, plain.REMOVED, plain.DILATED, plain.BOX]
    assert leak["estimate"] == pytest.approx((accuracy[plain.DILATED] - accuracy[plain.BOX]).mean())


def test_noise_gives_the_published_sensitivity(run):
    examples, logits = run
    size = plain.NOISE_SIZES[0]
    lines = lines_of(logits[None], examples["row_id"], "none", dose=0.0)
    for part in (plain.ON_BACKGROUND, plain.ON_OBJECT):
        lines += lines_of(
            logits[part if part in logits else plain.EQUAL_AREA], examples["row_id"], plain.NOISE, part, size
        )
    rows = plain_tests(examples, table(lines), CLASSES, Policy())
    (row,) = [r for r in rows if r["test"] == plain.RFS and r["arm"] == plain.NOISE and r["dose"] == size]
    truth = (examples["label"] == "dog").to_numpy()
    bg, fg = ((logits[part].argmax(1) == truth).mean() for part in (plain.ON_BACKGROUND, plain.EQUAL_AREA))
    mean = (bg + fg) / 2
    assert row["estimate"] == pytest.approx((bg - fg) / (2 * min(mean, 1 - mean)))
    others = [r for r in rows if r["test"] == plain.RFS and r["dose"] != size]
    assert {r["status"] for r in others} == {"absent"}


def test_beyond_32_classes_only_kept_logits_are_read():
    ids, kept = np.array([5, 9]), [3, 7, 40]
    names = tuple(f"k{i}" for i in range(50))
    examples = pd.DataFrame({"row_id": ids, "label": ["k3", "k7"], "cluster": ["a", "b"]})
    own, now = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]]), np.array([[1.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
    lines = lines_of(own, ids, "none", classes=kept) + lines_of(
        now, ids, plain.BLANK, plain.ON_BACKGROUND, classes=kept
    )
    for line, values in zip(lines, [*own, *now], strict=True):
        line["predicted"], line["logsumexp"] = kept[int(np.argmax(values))], float(logsumexp([*values, 0.5]))
    found = plain_answers(examples, table(lines), names).lines
    expected = np.exp(3 - logsumexp([3, 1, 0, 0.5])) - np.exp(1 - logsumexp([1, 1, 2, 0.5]))
    assert found["drop"].tolist() == pytest.approx([expected, 0.0])
    assert found["changed"].tolist() == [1.0, 0.0]
    assert found["own_correct"].tolist() == [1.0, 1.0]


def test_an_unchanged_picture_without_an_answer_compares_with_nothing(run):
    examples, logits = run
    lines = rows_of(examples, logits)
    lines[0] |= {"logits": None, "logsumexp": None, "predicted": None, "status": "not_finite"}
    tests = found_in(examples, lines)
    assert tests[plain.CHANGED, plain.BLANK, plain.ON_BACKGROUND, None]["n"] == N - 1
    assert tests[plain.LEFT_OUT, plain.BLANK, plain.ON_BACKGROUND, None]["reason"] == "1 not_finite"


def reasons(examples, predictions, cues=DEFAULT_CUES):
    return {item.subject: item.reason for item in plain_untested(examples, predictions, cues)}


def test_what_was_not_run_is_in_the_register_with_its_reason(run):
    examples, logits = run
    nothing = table(lines_of(logits[None], examples["row_id"], "none"))
    bare = examples.assign(object_area=np.nan)
    assert reasons(bare, nothing) == {"plain_interventions": "no_masks", "dose_response": "no_global_effect"}
    assert reasons(examples, nothing)["plain_interventions"] == "units_exceed_sample"
    asked = reasons(examples, nothing, ("border",))
    assert asked == {"plain_interventions": "background_not_asked", "dose_response": "globals_not_asked"}
    run_ = table(rows_of(examples, logits))
    assert reasons(examples, run_) == {"dose_response": "no_global_effect"}
    whole = lines_of(logits[None], examples["row_id"], plain.DOSE, plain.ON_WHOLE)
    assert reasons(bare, table(whole))["dose_places"] == "no_masks"
    placed = lines_of(logits[None], examples["row_id"], plain.DOSE, plain.ON_OBJECT)
    assert "dose_places" not in reasons(examples, table(whole + placed))


def test_a_number_moves_by_its_distance_and_changes_by_what_matters(run):
    examples, logits = run
    target = {"name": "age", "unit": "years", "cut": 60, "material": 1.0, "negligible": 0.2}
    tests = found_in(examples, rows_of(examples, logits), target=target)
    own, now = (logits[part][:, 1] - logits[part][:, 0] for part in (None, plain.ON_BACKGROUND))
    moved = np.abs(now - own)
    shift = tests[plain.VALUE_SHIFT, plain.BLANK, plain.ON_BACKGROUND, None]
    expected = ttest_1samp(moved, 0).confidence_interval(0.95)
    assert shift["scale"] == "native"
    assert shift["estimate"] == pytest.approx(moved.mean())
    assert (shift["ci_low"], shift["ci_high"]) == pytest.approx((expected.low, expected.high), rel=1e-3)
    assert tests[plain.CHANGED, plain.BLANK, plain.ON_BACKGROUND, None]["estimate"] == pytest.approx(
        (moved >= 1).mean()
    )
    there = np.abs(logits[plain.ELSEWHERE][:, 1] - logits[plain.ELSEWHERE][:, 0] - own)
    beside = tests[plain.VALUE_SHIFT, plain.BLANK, plain.ON_BACKGROUND, plain.ELSEWHERE]
    assert beside["estimate"] == pytest.approx((moved - there).mean())
    assert not any(test == plain.PROBABILITY_DROP for test, *_ in tests)
