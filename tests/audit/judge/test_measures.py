"""Performance beyond accuracy against scikit-learn, fairlearn and hand arithmetic, with ragged groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, logsumexp, softmax
from sklearn import metrics

from figureground.audit.declared.config import Policy
from figureground.audit.declared.task import Task
from figureground.audit.judge.answers import answers_of
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.measures import MEASURES, PerformanceTable
from figureground.audit.judge.performance import accuracy, scored
from figureground.audit.judge.views import views
from figureground.audit.keeping.tables import ALL, SUBGROUPS, conform


def world(classes=("cat", "dog"), n=240, seed=0, per_cluster=1, keep=None):
    """Examples of three sites, one of them without usable rows, and stored logits of a middling model."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, len(classes), n)
    examples = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "label": np.array(classes)[label],
            "site": rng.choice(["A", "B", "gone"], n, p=[0.6, 0.35, 0.05]),
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "environment": None,
            "status": "ok",
        }
    )
    examples.loc[examples["site"] == "gone", "status"] = "quarantined"
    logits = rng.normal(size=(n, len(classes))) + 1.2 * np.eye(len(classes))[label]
    stored = logits if keep is None else np.sort(logits, axis=1)[:, -keep:]
    predictions = pd.DataFrame(
        {
            "row_id": examples["row_id"],
            "cue": "none",
            "intervention": "none",
            "donor_row_id": pd.array([None] * n, dtype="Int64"),
            "predicted": pd.array(logits.argmax(axis=1), dtype="Int64"),
            "logits": list(stored),
            "classes": None if keep is None else [[0] * keep] * n,
            "logsumexp": logsumexp(logits, axis=1),
        }
    )
    return examples, predictions, logits


def measured(examples, predictions, classes, **settings):
    rows = scored(examples, predictions, classes)
    groups = group_rows(examples, ["site"], None).groups
    answers = answers_of(rows, predictions, classes)
    return rows, PerformanceTable(Policy(**settings))(rows, groups, answers)


def only(table, measure, level=ALL):
    (line,) = table[(table["measure"] == measure) & (table["level"] == level)].to_dict("records")
    return line


@pytest.mark.parametrize("level", [ALL, "A", "B"])
def test_two_classes_are_measured_as_by_scikit_learn(level):
    examples, predictions, logits = world()
    rows, table = measured(examples, predictions, ("cat", "dog"))
    part = rows if level == ALL else rows[rows["site"] == level]
    p = softmax(logits[part.index], axis=1)[:, 1]
    y, said = (part["label"] == "dog").to_numpy(), (part["predicted"] == "dog").to_numpy()
    expected = {
        "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        "auroc": metrics.roc_auc_score(y, p),
        "auprc": metrics.average_precision_score(y, p),
        "sensitivity": metrics.recall_score(y, said),
        "specificity": metrics.recall_score(~y, ~said),
        "brier": metrics.brier_score_loss(y, p),
    }
    for measure, value in expected.items():
        found = only(table, measure, level)
        assert found["estimate"] == pytest.approx(value), measure
        assert found["ci_low"] < value < found["ci_high"]
        assert found["status"] == "ok"
        if measure not in ("sensitivity", "specificity"):
            assert found["n"] == len(part)
    assert only(table, "sensitivity", level)["n"] == y.sum()
    assert only(table, "specificity", level)["n"] == (~y).sum()
    assert only(table, "auroc", level)["class_name"] == "dog"


def test_several_classes_are_averaged_each_against_the_rest():
    classes = ("cat", "dog", "eel", "fox")
    examples, predictions, logits = world(classes)
    rows, table = measured(examples, predictions, classes)
    p, y = softmax(logits[rows.index], axis=1), rows["label"].map(classes.index).to_numpy()
    truth = np.eye(4)[y]
    expected = {
        "auroc": metrics.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "auprc": metrics.average_precision_score(truth, p, average="macro"),
        "balanced_accuracy": metrics.balanced_accuracy_score(rows["label"], rows["predicted"]),
        "brier": metrics.brier_score_loss(y, p, scale_by_half=True),
    }
    for measure, value in expected.items():
        assert only(table, measure)["estimate"] == pytest.approx(value), measure
        assert only(table, measure)["class_name"] is None
    assert not set(table["measure"]) & {"sensitivity", "specificity"}


def test_every_level_is_there_and_an_absent_one_has_n_0():
    table = measured(*world()[:2], ("cat", "dog"))[1]
    assert set(table["measure"]) == {*MEASURES, "calibration_error_null"}
    assert len(table) == 8 * 4
    gone = table[table["level"] == "gone"]
    assert (gone["n"] == 0).all()
    assert set(gone["status"]) == {"absent"}
    assert gone[["estimate", "ci_low", "p_raw"]].isna().all(axis=None)
    assert set(conform(table, SUBGROUPS).column_names) == set(SUBGROUPS.names)


def test_rates_have_the_interval_of_a_share():
    rows, table = measured(*world(per_cluster=3)[:2], ("cat", "dog"))
    of = rows[rows["label"] == "dog"]
    expected = accuracy(of["correct"].to_numpy(), of["cluster"].to_numpy(dtype=object), 0.95)
    found = only(table, "sensitivity")
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((expected.low, expected.high))


def test_without_all_logits_what_needs_them_is_not_estimable_and_confidence_still_is():
    classes = tuple(f"k{i}" for i in range(40))
    examples, predictions, logits = world(classes, n=800, keep=9)
    rows, table = measured(examples, predictions, classes)
    for measure in ("auroc", "auprc", "brier"):
        found = only(table, measure)
        assert (found["status"], found["reason"]) == ("not_estimable", "logits_not_kept")
        assert pd.isna(found["estimate"])
        assert found["n"] == len(rows)
    confidence = softmax(logits[rows.index], axis=1).max(axis=1)
    answers = answers_of(rows, predictions, classes)
    np.testing.assert_allclose(answers.confidence, confidence)
    assert only(table, "calibration_error")["estimate"] > 0


def test_a_group_of_one_label_has_no_area_and_its_rates_are_one_sided():
    examples, predictions, _ = world()
    examples.loc[examples["site"] == "B", "label"] = "dog"
    table = measured(examples, predictions, ("cat", "dog"))[1]
    for measure in ("auroc", "auprc", "balanced_accuracy"):
        assert (only(table, measure, "B")["status"], only(table, measure, "B")["reason"]) == (
            "not_estimable",
            "one_label",
        )
    assert only(table, "sensitivity", "B")["n"] > 0
    absent = only(table, "specificity", "B")
    assert (absent["status"], absent["n"], absent["reason"]) == ("absent", 0, "labels_absent")


def test_a_label_that_is_not_there_is_said_and_one_unit_gives_no_interval():
    classes = ("cat", "dog", "eel")
    examples, predictions, _ = world(classes)
    in_b = examples["site"] == "B"
    examples.loc[in_b & (examples["label"] == "eel"), "label"] = "dog"
    examples.loc[in_b, "cluster"] = [f"b{i}" for i in range(in_b.sum())]
    found = only(measured(examples, predictions, classes)[1], "auroc", "B")
    assert (found["status"], found["reason"]) == ("ok", "labels_absent")
    cats = in_b & (examples["label"] == "cat")
    examples.loc[cats, "cluster"] = "one"
    found = only(measured(examples, predictions, classes)[1], "auroc", "B")
    assert (found["status"], found["reason"]) == ("too_small", "one_unit_of_label")
    assert pd.isna(found["ci_low"])
    assert found["estimate"] > 0.5


def test_outputs_that_were_not_finite_are_left_out_and_counted():
    examples, predictions, _ = world()
    usable = examples.index[examples["status"] == "ok"][:4]
    predictions = predictions.astype({"logits": object})
    for index in usable:
        predictions.at[index, "logits"] = None
        predictions.at[index, "predicted"] = pd.NA
    rows, table = measured(examples, predictions, ("cat", "dog"))
    for measure in ("auroc", "brier", "balanced_accuracy", "calibration_error"):
        assert only(table, measure)["n"] == len(rows) - 4
        assert only(table, measure)["n_rows"] == len(rows)


def test_probabilities_of_a_finding_are_the_models_own_and_the_decision_is_at_the_threshold():
    rng = np.random.default_rng(1)
    z = rng.normal(-1, 1.5, (200, 1))
    examples, predictions, _ = world(n=200)
    examples = examples.assign(**{"label:edema": np.where(rng.random(200) < expit(z[:, 0]), "1", "0")})
    predictions["logits"] = list(z)
    (view,) = views(examples, predictions, Task("multilabel", ("edema",), {"edema": 0.2}))
    rows = scored(view.examples, view.predictions, view.classes)
    answers = answers_of(rows, view.predictions, view.classes, float(logit(0.2)))
    np.testing.assert_allclose(answers.probability[:, 1], expit(z[rows.index, 0]), rtol=1e-6)
    table = PerformanceTable(Policy())(rows, [], answers)
    y, said = rows["label:edema"] == "1", expit(z[rows.index, 0]) >= 0.2
    assert only(table, "sensitivity")["estimate"] == pytest.approx(metrics.recall_score(y, said))
    assert only(table, "brier")["estimate"] == pytest.approx(metrics.brier_score_loss(y, expit(z[rows.index, 0])))
    assert only(table, "sensitivity")["class_name"] == "edema"


def test_without_stored_logits_what_decisions_show_is_still_there():
    examples, predictions, _ = world()
    table = measured(examples, predictions.drop(columns=["logits", "classes", "logsumexp"]), ("cat", "dog"))[1]
    assert only(table, "balanced_accuracy")["status"] == "ok"
    assert only(table, "auroc")["reason"] == "logits_not_kept"
    assert only(table, "calibration_error")["reason"] == "no_probability"
