"""Several findings, each asked as a question of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from figureground.audit.declared.task import Task
from figureground.audit.judge.views import views

FINDINGS = ("mass", "effusion")


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    n = 200
    examples = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "cluster": [f"c{i}" for i in range(n)],
            "label": "(none)",
            "status": ["quarantined"] * 5 + ["ok"] * (n - 5),
            "label:mass": rng.choice(["1", "0", "-1", "(missing)"], n, p=[0.05, 0.8, 0.1, 0.05]),
            "label:effusion": rng.choice(["1", "0"], n, p=[0.4, 0.6]),
        }
    )
    logits = rng.normal(-1, 2, (n, 2)).astype(np.float32)
    predictions = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "cue": "none",
            "donor_row_id": None,
            "intervention": "none",
            "logits": [row.tolist() for row in logits],
            "classes": None,
            "predicted": 0,
            "logsumexp": 0.0,
        }
    )
    predictions.at[7, "logits"] = None
    return examples, predictions, logits


def test_classes_are_one_view_with_the_tables_as_they_are(tables):
    examples, predictions, _ = tables
    binary = examples.assign(label=np.where(np.arange(200) % 2, "cat", "dog"))
    (view,) = views(binary, predictions.assign(predicted=np.arange(200) % 2), Task("multiclass", ("cat", "dog")))
    assert view.examples is binary
    assert (view.finding, view.scale, view.left_out) == (None, "decision", 0)


def test_a_binary_model_with_a_rare_class_is_judged_on_odds(tables):
    examples, predictions, _ = tables
    rare = examples.assign(label=np.where(np.arange(200) % 20, "cat", "dog"))
    (view,) = views(rare, predictions, Task("multiclass", ("cat", "dog")))
    assert view.scale == "log_odds"


def test_each_finding_is_a_question_of_yes_or_no_at_its_threshold(tables):
    examples, predictions, logits = tables
    task = Task("multilabel", FINDINGS, {"effusion": 0.3}, uncertain="exclude")
    mass, effusion = views(examples, predictions, task)
    known = examples["label:mass"].isin(["1", "0"])
    assert mass.examples["row_id"].tolist() == examples.loc[known, "row_id"].tolist()
    assert mass.left_out == ((examples["status"] == "ok") & ~known).sum()
    assert set(mass.examples["label"]) == {"no mass", "mass"}
    assert effusion.classes == ("no effusion", "effusion")
    table = effusion.predictions.set_index("row_id")
    for row in (0, 50, 199):
        assert table.loc[row, "predicted"] == int(expit(logits[row, 1]) >= 0.3)
        pair = table.loc[row, "logits"]
        assert pair[1] - pair[0] == pytest.approx(logits[row, 1] - np.log(0.3 / 0.7), abs=1e-5)
    assert table.loc[7, "logits"] is None
    assert pd.isna(table.loc[7, "predicted"])


def test_rare_findings_are_judged_on_odds_and_frequent_ones_on_decisions(tables):
    examples, predictions, _ = tables
    scales = {
        view.finding: view.scale
        for view in views(examples, predictions, Task("multilabel", FINDINGS, uncertain="exclude"))
    }
    assert scales == {"mass": "log_odds", "effusion": "decision"}


def test_a_finding_that_nobody_knows_is_an_empty_view(tables):
    examples, predictions, _ = tables
    mass, _ = views(
        examples.assign(**{"label:mass": "(missing)"}), predictions, Task("multilabel", FINDINGS, uncertain="exclude")
    )
    assert len(mass.examples) == len(mass.predictions) == 0
