"""Answers by subgroup: equal to pandas on the stored predictions and scipy's t, for ragged groups, and complete."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from figureground.audit.declared import plain
from figureground.audit.declared.config import Policy
from figureground.audit.judge.contrasts import contrast_cues
from figureground.audit.judge.group_answers import ARMS, CHANGES, LABELLED, AnswerTable
from figureground.audit.judge.grouping import group_rows
from figureground.audit.judge.performance import scored
from figureground.audit.keeping.tables import ALL, SUBGROUPS, conform

CLASSES = ("cat", "dog")
LEVEL = 0.95


@pytest.fixture(scope="module")
def made(make, strata_of):
    """Examples with clusters of three, a ragged attribute, a level without usable rows; and the table."""

    def ragged(table):
        rng = np.random.default_rng(5)
        table = table.assign(site=rng.choice(["A", "B", "C"], len(table), p=[0.6, 0.33, 0.07]))
        table.loc[table.index[:4], "site"] = "gone"
        table.loc[table.index[:4], "status"] = "quarantined"
        return table

    examples, predictions, _ = make(reliance=0.5, n=150, per_cluster=3, change=ragged)
    predictions = pd.concat([predictions, alone(examples, predictions)], ignore_index=True)
    followed = contrast_cues(examples, predictions, strata_of(examples), CLASSES, ["background"], Policy(), 0)
    rows = scored(examples, predictions, CLASSES)
    groups = group_rows(examples, ("site",), ("site", "environment")).groups
    table = AnswerTable(Policy(), followed, ("environment",))(rows, groups, CLASSES, examples, predictions, CLASSES)
    return examples, predictions, table


def alone(examples, predictions):
    """The object alone and the background alone, asked of every third usable row."""
    own = predictions[predictions["intervention"] == "none"].iloc[::3]
    rng = np.random.default_rng(2)
    arms = ((plain.BLANK, plain.ON_BACKGROUND), (plain.REMOVED, plain.DILATED))
    found = []
    for kind, part in arms:
        said = rng.integers(0, 2, len(own))
        found.append(own.assign(cue="background", intervention=kind, part=part, dose=1.0, predicted=said))
    return pd.concat(found, ignore_index=True)


def answers(examples, predictions):
    """One line per recipient and pass, by pandas alone."""
    of = examples.set_index("row_id")
    swap = predictions[predictions["intervention"] == "swap"]
    wide = swap.pivot(index=["row_id", "pass"], columns="arm", values="predicted").dropna().reset_index()
    env = wide["row_id"].map(of["environment"])
    own = np.array([line[level] for line, level in zip(wide.to_dict("records"), env, strict=True)])
    other = np.array(
        [
            line[{"grass": "gravel", "gravel": "grass"}[level]]
            for line, level in zip(wide.to_dict("records"), env, strict=True)
        ]
    )
    again = predictions[predictions["intervention"] == "same_level"].set_index(["row_id", "pass"])["predicted"]
    label = wide["row_id"].map(of["label"]).map({name: at for at, name in enumerate(CLASSES)})
    first = wide["row_id"].map(predictions[predictions["intervention"] == "none"].set_index("row_id")["predicted"])
    same = again.reindex(pd.MultiIndex.from_frame(wide[["row_id", "pass"]])).to_numpy(dtype=float)
    lines = wide[["row_id"]].assign(
        cluster=wide["row_id"].map(of["cluster"]),
        site=wide["row_id"].map(of["site"]),
        environment=env,
        label=wide["row_id"].map(of["label"]),
        changed_other_level=(other != own).astype(float),
        changed_same_level=np.where(np.isnan(same), np.nan, same != own),
        accuracy_unchanged=(first == label).astype(float),
        accuracy_same_level=(own == label).astype(float),
        accuracy_other_level=(other == label).astype(float),
    )
    return lines.assign(
        changed_minus_same=lines["changed_other_level"] - lines["changed_same_level"],
        same_level_minus_unchanged=lines["accuracy_same_level"] - lines["accuracy_unchanged"],
        other_level_minus_unchanged=lines["accuracy_other_level"] - lines["accuracy_unchanged"],
    )


def t_interval(values, clusters, *, share):
    """Student's t on cluster means by scipy; of shares on the logit."""
    known = values.notna()
    means = values[known].groupby(clusters[known]).mean()
    m, error, df = means.mean(), stats.sem(means), len(means) - 1
    if not share:
        return m, *stats.t.interval(LEVEL, df, m, error)
    return m, *special.expit(stats.t.interval(LEVEL, df, special.logit(m), error / (m * (1 - m))))


def members(lines, row):
    chosen = lines if row["attribute"] == ALL else lines[lines[row["attribute"]] == row["level"]]
    return chosen if row["label"] == ALL else chosen[chosen["label"] == row["label"]]


def test_every_row_is_what_pandas_and_scipy_find(made):
    examples, predictions, table = made
    lines = answers(examples, predictions)
    compared = 0
    for row in table.to_dict("records"):
        if row["measure"] not in lines:
            continue  # the plain interventions have a test of their own
        part = members(lines, row)
        assert row["n"] == part[row["measure"]].notna().sum()
        assert row["n_clusters"] == part.loc[part[row["measure"]].notna(), "cluster"].nunique()
        if row["n_clusters"] < 3 or part.groupby("cluster")[row["measure"]].mean().nunique() < 2:
            continue  # bounds of unanimous clusters are tested with the intervals
        share = row["measure"].startswith(("changed_other", "changed_same", "accuracy"))
        found = t_interval(part[row["measure"]], part["cluster"], share=share)
        assert (row["estimate"], row["ci_low"], row["ci_high"]) == pytest.approx(found)
        compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("arm", "kind"), [("object_only", plain.BLANK), ("background_only", plain.REMOVED)], ids=["object", "background"]
)
def test_the_object_and_the_background_alone_stand_beside_their_own_rows(made, arm, kind):
    examples, predictions, table = made
    of = examples.set_index("row_id")
    label = of["label"].map({name: at for at, name in enumerate(CLASSES)})
    asked = predictions[predictions["intervention"] == kind].set_index("row_id")["predicted"].astype(int)
    first = predictions[predictions["intervention"] == "none"].set_index("row_id")["predicted"].astype(int)
    there = asked.index[of.loc[asked.index, "site"] == "B"]
    right = (asked[there] == label[there]).astype(float)
    change = right - (first[there] == label[there])
    for measure, values, share in ((f"accuracy_{arm}", right, True), (f"{arm}_minus_unchanged", change, False)):
        chosen = (table["measure"] == measure) & (table["level"] == "B") & (table["label"] == ALL)
        (row,) = table[chosen].to_dict("records")
        found = t_interval(values, of.loc[there, "cluster"], share=share)
        assert (row["estimate"], row["ci_low"], row["ci_high"]) == pytest.approx(found)
        assert row["n"] == len(there) < row["n_rows"]


def test_every_level_has_every_measure_and_one_without_rows_says_so(made):
    _, _, table = made
    everything = {*CHANGES, *LABELLED}
    for key, part in table.groupby(["attribute", "level", "label"]):
        assert set(part["measure"]) == everything, key
    assert {"(all)", "A", "B", "C", "gone", "grass", "gravel"} <= set(table["level"])
    gone = table[table["level"] == "gone"]
    assert (gone["n"] == 0).all()
    assert set(gone["status"]) == {"absent"}


def test_only_what_is_to_be_crossed_is_told_label_by_label(made):
    _, _, table = made
    by_label = table[table["label"] != ALL]
    assert set(by_label["attribute"]) == {ALL, "environment"}
    assert set(by_label["label"]) == set(CLASSES)


def test_without_a_followed_cue_there_is_nothing(made):
    examples, predictions, _ = made
    rows, groups = scored(examples, predictions, CLASSES), group_rows(examples, ("site",), ("site",)).groups
    assert AnswerTable(Policy())(rows, groups, CLASSES, examples, predictions, CLASSES).empty


def test_the_rows_are_rows_of_the_subgroup_table(made):
    stored = conform(made[2].assign(finding=None), SUBGROUPS).to_pandas()
    assert len(stored) == len(made[2])
    assert set(stored["cue"]) == {"background"}
    assert {f"accuracy_{arm}" for arm in ARMS} <= set(stored["measure"])
