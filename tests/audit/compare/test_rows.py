"""Rows one by one, against scipy and against resampling by hand; with ragged clusters, weights and other donors."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from figureground.audit.compare.answer_rows import CommonAnswers, group_changes, worst_group
from figureground.audit.compare.cue_rows import CommonContrast, compare_cue, reversed_difference
from figureground.audit.compare.differing import Ruler
from figureground.audit.compare.document import group_name
from figureground.audit.compare.map_rows import share_differences
from figureground.audit.judge.observations import SwapObservations

RULER = Ruler(0.95, 0.8, 0.1)


def answers(n=600, seed=0, drop=0.1, weight=None, of=1):
    """Two models with correlated answers in ragged clusters; the second loses ``drop`` in group 0."""
    rng = np.random.default_rng(seed)
    group, cluster = rng.integers(0, 4, n), np.sort(rng.integers(0, n // of, n))
    cluster = pd.factorize(cluster)[0]
    easy = 0.6 * rng.standard_normal(n) + 0.5 * rng.standard_normal(n)[cluster]
    first = (easy + 0.5 * rng.standard_normal(n) < stats.norm.ppf(0.8)).astype(float)
    level = np.where(group == 0, 0.8 - drop, 0.8)
    second = (easy + 0.5 * rng.standard_normal(n) < stats.norm.ppf(level)).astype(float)
    found = CommonAnswers(pd.DataFrame(index=range(n)), first, second, cluster, weight)
    return found, {("group", str(i), "(all)"): group == i for i in range(4)}


def resampled(found, members, draws=3000, seed=1):
    """Paired cluster bootstrap by counting: accuracy of both, and of the worst groups."""
    rng, units = np.random.default_rng(seed), found.cluster.max() + 1
    counts = rng.multinomial(units, np.full(units, 1 / units), size=draws)[:, found.cluster].astype(float)
    counts = counts if found.weight is None else counts * found.weight

    def mean(values, part):
        return (counts[:, part] @ values[part]) / counts[:, part].sum(axis=1)

    every = np.ones(len(found), dtype=bool)
    overall = mean(found.second, every) - mean(found.first, every)
    lowest = [
        np.min([mean(values, part) for part in members.values()], axis=0) for values in (found.first, found.second)
    ]
    return overall, lowest[1] - lowest[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_accuracy_and_worst_group_agree_with_a_paired_cluster_bootstrap(weighted):
    weight = np.random.default_rng(2).choice([0.5, 1.5], 600) if weighted else None
    found, members = answers(of=3, weight=weight)
    overall, worst = resampled(found, members)
    one = found.difference(RULER)
    assert one.estimate == pytest.approx(overall.mean(), abs=0.003)
    assert (one.ci_low, one.ci_high) == pytest.approx(tuple(np.quantile(overall, [0.025, 0.975])), abs=0.012)
    other = worst_group(found, members, RULER, 0).difference
    low, high = np.quantile(worst, [0.025, 0.975])
    assert other.ci_low <= low + 0.012
    assert other.ci_high >= high - 0.012
    assert other.ci_high - other.ci_low < 1.6 * (high - low)


def test_the_worst_groups_are_named_and_need_not_be_one():
    found, members = answers(drop=0.5)
    changed = worst_group(found, members, RULER, 0)
    assert changed.second == "group = 0"
    means = {key[1]: found.first[part].mean() for key, part in members.items()}
    assert changed.first == f"group = {min(means, key=means.get)}"
    assert changed.difference.ci_high < 0


def test_the_same_answers_differ_by_nothing():
    found, members = answers()
    same = CommonAnswers(found.rows, found.first, found.first, found.cluster)
    for one in (same.difference(RULER), worst_group(same, members, RULER, 0).difference):
        assert one.estimate == 0.0
        assert one.ci_low == -one.ci_high < 0
    assert worst_group(same, {}, RULER, 0) is None


def test_intervals_of_groups_hold_together():
    found, members = answers()
    changes = group_changes(found, members, RULER, None)
    assert [item.level for item in changes] == ["0", "1", "2", "3"]
    assert {round(item.difference.ci_level, 4) for item in changes} == {0.9875}
    single = found.difference(RULER, members["group", "0", "(all)"])
    assert changes[0].difference.ci_high - changes[0].difference.ci_low > single.ci_high - single.ci_low
    assert group_name("label", "(all)", "(all)") == ""


def test_shares_on_the_background_are_those_of_the_paired_t_test():
    rng, n = np.random.default_rng(4), 90
    tables = [
        pd.DataFrame(
            {
                "row_id": rng.permutation(n),
                "method": "saliency",
                "sign": "absolute",
                "background_share": rng.uniform(0.2, 0.8, n),
            }
        )
        for _ in range(2)
    ]
    tables[1].loc[5, "background_share"] = np.nan
    rows = pd.DataFrame({"first": np.arange(n), "second": np.arange(n), "cluster": np.arange(n), "weight": np.nan})
    ((method, found),) = share_differences(*tables, rows, RULER)
    aligned = [table.set_index("row_id")["background_share"].reindex(range(n)) for table in tables]
    known = aligned[1].notna()
    expected = stats.ttest_rel(aligned[1][known], aligned[0][known]).confidence_interval(0.95)
    assert method == ("saliency", "absolute")
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(expected))
    assert found.n == n - 1


def observed(answers, donors, ids, levels=("grass", "gravel"), classes=("cat", "dog")):
    n, nothing = len(ids), np.zeros(len(ids), dtype=np.int64)
    return SwapObservations(
        cue="background",
        levels=levels,
        classes=classes,
        parts=("",),
        row_id=ids,
        number=nothing,
        recipient=ids.astype(object),
        half=np.full(n, "a", dtype=object),
        own=nothing,
        label=nothing,
        original=nothing,
        reference=nothing,
        same=nothing,
        swapped=answers[:, None, :],
        control=answers[:, None, :],
        donor=donors.astype(object),
        donor_row=donors,
        logits=None,
        control_logits=None,
        original_logits=None,
        score=None,
        control_score=None,
        incomplete={},
    )


def contrast(first, second, ids, donors, **names):
    sides = [observed(values, donors, ids, **names) for values in (first, second)]
    rows = pd.DataFrame({"first": ids, "second": ids, "cluster": ids, "weight": np.nan, "same_mask": True})
    units = pd.Series(np.arange(10_000), index=np.arange(10_000))
    return CommonContrast.of((sides[0], sides[1]), rows, (units, units))


@pytest.fixture(scope="module")
def swaps():
    """Answers of two models to 300 pictures on grass and on gravel; every donor lends once."""
    rng, n = np.random.default_rng(5), 300
    first = (rng.random((n, 2)) < [0.5, 0.5]).astype(np.int64)
    second = np.where(rng.random((n, 1)) < 0.6, first, (rng.random((n, 2)) < [0.2, 0.7]).astype(np.int64))
    return first, second, np.arange(n), np.stack([np.arange(1000, 1000 + n), np.arange(2000, 2000 + n)], axis=1)


def test_a_contrast_agrees_with_a_bootstrap_of_recipients(swaps):
    first, second, ids, donors = swaps
    found = compare_cue(contrast(first, second, ids, donors), "decision", RULER, 0)
    one = found.turned(("dog", "gravel", "grass", ""))
    change = (second[:, 1] - second[:, 0]) - (first[:, 1] - first[:, 0])
    assert one.estimate == pytest.approx(change.mean())
    assert one.first == pytest.approx((first[:, 1] - first[:, 0]).mean())
    ends = stats.bootstrap((change,), np.mean, rng=np.random.default_rng(0), n_resamples=4000, method="percentile")
    assert (one.ci_low, one.ci_high) == pytest.approx(tuple(ends.confidence_interval), abs=0.02)
    assert one == reversed_difference(found.turned(("dog", "grass", "gravel", "")))


def test_rows_are_found_by_their_ids_and_not_by_their_places(swaps):
    first, second, ids, donors = swaps
    plain = compare_cue(contrast(first, second, ids, donors), "decision", RULER, 0)
    order = np.random.default_rng(6).permutation(len(ids))
    sides = observed(first, donors, ids), observed(second[order], donors[order], ids[order])
    rows = pd.DataFrame({"first": ids, "second": ids, "cluster": ids, "weight": np.nan, "same_mask": True})
    units = pd.Series(np.arange(10_000), index=np.arange(10_000))
    moved = compare_cue(CommonContrast.of(sides, rows, (units, units)), "decision", RULER, 0)
    for one, other in zip(plain.found, moved.found, strict=True):
        assert one.model_dump() == pytest.approx(other.model_dump())


def test_donors_that_lend_often_widen_the_interval(swaps):
    first, second, ids, donors = swaps
    lent = np.stack([1000 + ids % 5, 2000 + ids % 5], axis=1)
    pulled = second.copy()
    pulled[:, 1] = (ids % 5 < 3).astype(np.int64)  # what is answered on gravel hangs on the donor alone
    alone = compare_cue(contrast(first, pulled, ids, donors), "decision", RULER, 0).found[0]
    often = compare_cue(contrast(first, pulled, ids, lent), "decision", RULER, 0).found[0]
    assert often.ci_high - often.ci_low > 1.5 * (alone.ci_high - alone.ci_low)
    assert often.n_clusters == 5


def test_classes_in_another_order_are_the_same_classes(swaps):
    first, second, ids, donors = swaps
    plain = compare_cue(contrast(first, second, ids, donors), "decision", RULER, 0)
    sides = observed(first, donors, ids), observed(1 - second, donors, ids, classes=("dog", "cat"))
    rows = pd.DataFrame({"first": ids, "second": ids, "cluster": ids, "weight": np.nan, "same_mask": True})
    units = pd.Series(np.arange(10_000), index=np.arange(10_000))
    other = compare_cue(CommonContrast.of(sides, rows, (units, units)), "decision", RULER, 0)
    names = ("dog", "gravel", "grass", "")
    assert other.turned(names).model_dump() == pytest.approx(plain.turned(names).model_dump())


def test_only_levels_and_classes_that_both_know_are_compared(swaps):
    first, second, ids, donors = swaps
    sides = observed(first, donors, ids), observed(second, donors, ids, levels=("grass", "sand"))
    rows = pd.DataFrame({"first": ids, "second": ids, "cluster": ids, "weight": np.nan, "same_mask": True})
    units = pd.Series(np.arange(10_000), index=np.arange(10_000))
    found = compare_cue(CommonContrast.of(sides, rows, (units, units)), "decision", RULER, 0)
    assert found.family == ()
    assert found.largest("first") is None
    assert found.turned(("dog", "gravel", "grass", "")) is None
