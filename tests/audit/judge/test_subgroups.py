"""The subgroups table: complete, and equal to pandas, fairlearn and the formulas on each group's rows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from scipy import special, stats
from sklearn.metrics import accuracy_score

from figureground.audit.declared.config import Policy
from figureground.audit.judge.cells import MAX_LABELS, make_cells
from figureground.audit.judge.contrast import DonorContrast
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.multiplicity import benjamini_yekutieli
from figureground.audit.judge.observations import SwapObservations
from figureground.audit.judge.subgroups import SubgroupTable
from figureground.audit.keeping.tables import ALL, SUBGROUPS, conform

LABELS, SITES = ["cat", "dog"], ["A", "B", "C", "gone"]
MEASURES = ["background_share", "background_area", "bleed_floor", "ldr"]


def following(observed):
    """The contrast of the first class, first arm against second, to be followed into the subgroups."""
    contrast = replace(DonorContrast(Policy(), 0)(observed), primary=Hypothesis(0, 0, 1))
    return {"background": Contrasted(observed, contrast)}


def build():
    rng = np.random.default_rng(3)
    n = 160
    examples = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "label": rng.choice(LABELS, n),
            "site": rng.choice(SITES, n, p=[0.5, 0.35, 0.1, 0.05]),
            "cluster": [f"c{i // 2}" for i in range(n)],
            "environment": None,
            "status": "ok",
        }
    )
    examples.loc[examples["site"] == "gone", "status"] = "quarantined"
    rows = examples[examples["status"] == "ok"].copy()
    rows["correct"] = (rng.random(len(rows)) < 0.8).astype(float)
    rows["predicted"] = np.where(rows["correct"] == 1, rows["label"], rows["label"].map({"cat": "dog", "dog": "cat"}))
    maps = []
    for method, sign in (("saliency", "absolute"), ("gradcam", "positive"), ("gradcam", "absolute")):
        values = {name: rng.uniform(0.1, 0.9, len(rows)) for name in MEASURES}
        maps.append(
            pd.DataFrame(
                {
                    "row_id": rows["row_id"],
                    "method": method,
                    "sign": sign,
                    "status": "ok",
                    "reason": None,
                    **values,
                }
            )
        )
    attributions = pd.concat(maps, ignore_index=True).sample(frac=1, random_state=0)
    count = len(rows) - 10
    swapped = rng.integers(0, 2, (count, 2))
    observed = SwapObservations(
        cue="background",
        parts=("",),
        levels=("a", "b"),
        classes=tuple(LABELS),
        row_id=rows["row_id"].to_numpy()[:count],
        number=np.zeros(count, dtype=np.int64),
        recipient=rows["cluster"].to_numpy(dtype=object)[:count],
        half=np.full(count, "a", dtype=object),
        own=np.zeros(count, dtype=np.int64),
        label=np.zeros(count, dtype=np.int64),
        original=np.zeros(count, dtype=np.int64),
        reference=np.zeros(count, dtype=np.int64),
        same=np.zeros(count, dtype=np.int64),
        swapped=swapped[:, None],
        control=swapped[:, None],
        donor_row=np.zeros((count, 2), dtype=np.int64),
        donor=np.array([[f"d{i}", f"e{i}"] for i in range(count)], dtype=object),
        logits=None,
        control_logits=None,
        original_logits=None,
        score=None,
        control_score=None,
        incomplete={},
    )
    groups = group_rows(examples, ["site"], None).groups
    return rows, groups, attributions, observed


@pytest.fixture
def world():
    return build()


@pytest.fixture(scope="module")
def table():
    rows, groups, attributions, observed = build()
    return SubgroupTable(Policy(), attributions, following(observed))(rows, groups)


def only(table, measure, site, label=ALL, method=None):
    attribute = ALL if site == ALL else "site"
    keep = (
        (table["measure"] == measure)
        & (table["attribute"] == attribute)
        & (table["level"] == site)
        & (table["label"] == label)
    )
    if method:
        keep &= table["method"] == method
    (line,) = table[keep].to_dict("records")
    return line


def members(rows, site, label):
    return rows[((rows["site"] == site) | (site == ALL)) & ((rows["label"] == label) | (label == ALL))]


CELLS = list(itertools.product([ALL, *SITES], [ALL, *LABELS]))


def test_every_level_and_every_crossing_is_there_once(table):
    expected = {(ALL if site == ALL else "site", site, label) for site, label in CELLS}
    for measure, methods in {"accuracy": 1, "contrast": 1, **dict.fromkeys(MEASURES, 2)}.items():
        part = table[table["measure"] == measure]
        assert set(zip(part["attribute"], part["level"], part["label"], strict=True)) == expected
        assert len(part) == methods * len(expected)
    assert not table.duplicated(["attribute", "level", "label", "measure", "method", "sign"]).any()
    assert set(conform(table, SUBGROUPS).column_names) == set(SUBGROUPS.names)


@pytest.mark.fault("E12", "E15")
def test_an_absent_level_is_a_row_with_n_0(table):
    gone = table[table["level"] == "gone"]
    assert len(gone) == 3 * (2 + 2 * 4)
    assert (gone["n"] == 0).all()
    assert (gone["n_rows"] == 0).all()
    assert set(gone["status"]) == {"absent"}
    assert gone["estimate"].isna().all()


@pytest.mark.fault(
    "E12", better="A small group stands with its n and the reason why it carries no verdict; nothing is hidden."
)
def test_a_group_of_one_row_and_one_of_one_class_are_listed_without_a_verdict(world):
    rows, _, attributions, observed = world
    rows = rows.assign(site="A")
    rows.iloc[0, rows.columns.get_loc("site")] = "one"
    cats = rows.index[(rows["label"] == "cat") & (rows["site"] == "A")][:5]
    rows.loc[cats, "site"] = "cats"
    groups = group_rows(rows, ["site"], ["site"]).groups
    found = SubgroupTable(Policy(), attributions, following(observed))(rows, groups)
    one = only(found, "background_share", "one", method="saliency")
    assert (one["n"], one["status"]) == (1, "too_small")
    assert pd.isna([one["ci_low"], one["ci_high"]]).all()
    assert one["reason"] == "1 independent units; 20 needed for a verdict"
    assert only(found, "accuracy", "one")["status"] == "too_small"
    assert only(found, "accuracy", "cats")["n"] == only(found, "accuracy", "cats", "cat")["n"] == 5
    dogs = only(found, "accuracy", "cats", "dog")
    assert (dogs["n"], dogs["status"], dogs["reason"]) == (0, "absent", "no usable row")


def test_the_counts_of_an_attribute_add_up(table, world):
    rows = world[0]
    accuracy = table[(table["measure"] == "accuracy") & (table["attribute"] == "site")]
    assert accuracy[accuracy["label"] == ALL]["n_rows"].sum() == len(rows)
    assert accuracy[accuracy["label"] != ALL]["n_rows"].sum() == len(rows)


def test_accuracy_by_group_is_that_of_fairlearn(table, world):
    rows = world[0]
    frame = MetricFrame(
        metrics=accuracy_score,
        y_true=rows["label"],
        y_pred=rows["predicted"],
        sensitive_features=rows[["site", "label"]].to_numpy(),
    )
    for (site, label), expected in frame.by_group.items():
        if not np.isnan(expected):
            assert only(table, "accuracy", site, label)["estimate"] == pytest.approx(expected)
    single = MetricFrame(
        metrics=accuracy_score,
        y_true=rows["label"],
        y_pred=rows["predicted"],
        sensitive_features=rows["site"].astype(object),
    )
    for site, expected in single.by_group.items():
        assert only(table, "accuracy", site)["estimate"] == pytest.approx(expected)
    assert only(table, "accuracy", ALL)["estimate"] == pytest.approx(single.overall)


@pytest.mark.parametrize("method", ["saliency", "gradcam"])
@pytest.mark.parametrize("measure", ["background_share", "ldr"])
@pytest.mark.parametrize(("site", "label"), [(ALL, ALL), (ALL, "dog"), ("A", ALL), ("B", "cat"), ("C", ALL)])
def test_attribution_is_the_mean_of_cluster_means_with_its_interval(table, world, method, measure, site, label):
    rows, _, attributions, _ = world
    sign = {"saliency": "absolute", "gradcam": "positive"}[method]
    maps = attributions[(attributions["method"] == method) & (attributions["sign"] == sign)]
    joined = members(rows, site, label).merge(maps, on="row_id")
    means = joined.groupby("cluster")[measure].mean()
    m, error = means.mean(), stats.sem(means)
    t = stats.t.ppf(0.975, len(means) - 1)
    if measure == "ldr":
        expected = (m - t * error, m + t * error)
    else:
        half = t * error / (m * (1 - m))
        expected = tuple(special.expit(special.logit(m) + np.array([-half, half])))
    found = only(table, measure, site, label, method)
    assert found["estimate"] == pytest.approx(m)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(expected)
    assert (found["n"], found["n_clusters"]) == (len(joined), len(means))
    assert found["status"] == ("ok" if len(means) >= 20 else "too_small")


@pytest.mark.parametrize(("site", "label"), [(site, label) for site, label in CELLS if site != "gone"])
def test_the_effect_is_followed_into_every_group(table, world, site, label):
    rows, _, _, observed = world
    inside = np.isin(observed.row_id, members(rows, site, label)["row_id"])
    expected = np.mean((observed.swapped[inside, 0, 0] == 0).astype(int) - (observed.swapped[inside, 0, 1] == 0))
    found = only(table, "contrast", site, label)
    assert found["estimate"] == pytest.approx(expected)
    assert found["n"] == inside.sum()


def test_p_of_the_groups_is_adjusted_without_the_overall_row(table):
    contrasts = table[table["measure"] == "contrast"]
    overall = (contrasts["attribute"] == ALL) & (contrasts["label"] == ALL)
    np.testing.assert_allclose(
        contrasts.loc[~overall, "p_adjusted"].astype(float),
        benjamini_yekutieli(contrasts.loc[~overall, "p_raw"].astype(float)),
    )
    assert contrasts.loc[overall, "p_adjusted"].isna().all()
    assert table.loc[table["measure"] != "contrast", "p_adjusted"].isna().all()


def test_without_a_swap_there_is_everything_but_the_contrast(world):
    rows, groups, attributions, _ = world
    found = SubgroupTable(Policy(), attributions)(rows, groups)
    assert set(found["measure"]) == {"accuracy", *MEASURES}
    assert len(found) == len(CELLS) * 9


@pytest.mark.fault("B14")
def test_empty_maps_are_degenerate_and_never_imputed(world):
    rows, groups, attributions, observed = world
    in_b = set(rows.loc[rows["site"] == "B", "row_id"][:15])
    empty = attributions["row_id"].isin(in_b) & (attributions["method"] == "saliency")
    attributions.loc[empty, MEASURES] = np.nan
    attributions.loc[empty, "status"] = "degenerate"
    found = SubgroupTable(Policy(), attributions, following(observed))(rows, groups)
    assert only(found, "ldr", "B", method="saliency")["status"] == "degenerate"
    assert only(found, "ldr", "A", method="saliency")["status"] == "ok"
    assert only(found, "ldr", "B", method="gradcam")["status"] == "ok"
    line = only(found, "background_share", "B", method="saliency")
    assert line["n"] == line["n_rows"] - 15


def test_a_group_without_masks_is_not_tested_and_without_maps_not_estimable(world):
    rows, groups, attributions, observed = world
    bare = rows["site"] == "B"
    inside = attributions["row_id"].isin(rows.loc[bare, "row_id"])
    attributions.loc[inside, MEASURES] = np.nan
    attributions.loc[inside, "status"] = "mask_absent"
    rows = rows.assign(object_area=np.where(bare, np.nan, 0.2))
    part = observed.take(~np.isin(observed.row_id, rows.loc[bare, "row_id"]))
    found = SubgroupTable(Policy(), attributions, following(part))(rows, groups)
    for measure, method in (("ldr", "saliency"), ("background_share", "gradcam"), ("contrast", None)):
        line = only(found, measure, "B", method=method)
        assert (line["status"], line["reason"], line["n"]) == ("not_tested", "mask_absent", 0)
        assert line["n_rows"] == bare.sum()
        assert only(found, measure, "A", method=method)["status"] == "ok"
    assert only(found, "accuracy", "B")["status"] == "ok"
    attributions.loc[inside, ["status", "reason"]] = ["not_finite", None]
    line = only(SubgroupTable(Policy(), attributions)(rows, groups), "ldr", "B", method="saliency")
    assert (line["status"], line["reason"]) == ("not_estimable", "not_finite")


def test_declared_crossings_stand_beside_their_pooled_values(world):
    rows, _, attributions, _ = world
    rows = rows.assign(turn=np.arange(len(rows)) % 3)
    crossing = group_rows(rows, ["site", "turn"], ["site*turn"]).groups
    found = SubgroupTable(Policy(), attributions)(rows, crossing, [])
    raw, pooled = (found[found["measure"] == name].set_index("level") for name in ("accuracy", "accuracy_pooled"))
    crossed = raw[(raw["attribute"] == "site*turn") & raw["estimate"].notna()]
    assert set(pooled.index) == set(crossed.index)
    assert np.ptp(pooled["estimate"]) < np.ptp(crossed["estimate"])
    assert "standard_error" not in found


def test_a_tiny_unanimous_group_is_no_discovery(world):
    rows, groups, attributions, observed = world
    tiny = np.isin(observed.row_id, rows.loc[rows["site"] == "C", "row_id"][:2])
    observed.swapped[tiny] = [0, 1]
    part = observed.take(tiny | np.isin(observed.row_id, rows.loc[rows["site"] != "C", "row_id"]))
    line = only(SubgroupTable(Policy(), attributions, following(part))(rows, groups), "contrast", "C")
    assert line["estimate"] == 1
    assert line["p_raw"] is None or np.isnan(line["p_raw"]) or line["p_raw"] >= 0.5


def test_with_many_labels_the_crossing_is_left_out():
    rows = pd.DataFrame({"label": [f"label{i}" for i in range(MAX_LABELS + 1)], "row_id": range(MAX_LABELS + 1)})
    assert len(list(make_cells(rows, []))) == 1
    assert len(list(make_cells(rows[:-1], []))) == MAX_LABELS + 1
