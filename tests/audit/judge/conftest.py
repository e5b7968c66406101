"""Tables of a run with a known reliance, made without a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from figureground.audit import tables
from figureground.audit.measure.donors import SAME_LEVEL, DonorDraw
from figureground.audit.run_folder import _to_pandas
from figureground.audit.strata import StrataDraw, by_environment, by_label, usable_rows

CLASSES = ("cat", "dog")
NATIVE = {"grass": "cat", "gravel": "dog", "sand": "dog"}


def stored(frame, schema):
    """As a table comes back from a run folder, with its nullable integers."""
    return _to_pandas(tables.conform(frame, schema))


def made_examples(n=120, levels=("grass", "gravel"), seed=0, per_cluster=1, environment=True):
    rng = np.random.default_rng(seed)
    clusters = np.arange(n) // per_cluster
    frame = pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "path": [f"{i}.png" for i in range(n)],
            "label": rng.choice(CLASSES, n),
            "split": "test",
            "cluster": [f"c{c}" for c in clusters],
            "environment": np.array(levels)[rng.integers(0, len(levels), n)] if environment else None,
            "object_area": 0.2,
            "sha256": "x",
            "status": "ok",
            "reason": None,
            "site": rng.choice(["A", "B"], n),
        }
    )
    frame.loc[1, ["status", "reason", "object_area"]] = ["quarantined", "image_broken", np.nan]
    return stored(frame, tables.EXAMPLES)


def made_strata(examples, seed=0, subsample=500):
    """The table ``strata``, by environment where there is one."""
    named = by_environment(examples)
    source = "label" if named is None else "environment"
    frame = StrataDraw(subsample, seed)(by_label(examples) if named is None else named, source)
    return stored(frame, tables.STRATA)


def made_predictions(examples, reliance=0.6, accuracy=0.95, seed=0):
    """A model that answers by the background in a share ``reliance`` of the images, else by the label."""
    rng = np.random.default_rng(seed)
    look = examples.set_index("row_id")
    usable = examples[examples["status"] == "ok"]
    follows = dict(zip(examples["row_id"], rng.random(len(examples)) < reliance, strict=True))
    wrong = dict(zip(examples["row_id"], rng.random(len(examples)) > accuracy, strict=True))
    lines: list[dict[str, object]] = []

    def answer(row, level, **keys):
        named = NATIVE.get(level, level) if follows[row] else look.loc[row, "label"]
        best = CLASSES.index(named) ^ int(wrong[row] and not follows[row])
        logits = rng.normal(0, 0.1, 2)
        logits[best] += 3
        lines.append(
            {
                "row_id": row,
                "dose": 1.0,
                "logits": logits,
                "logsumexp": logsumexp(logits),
                "predicted": best,
                "status": "ok",
                **keys,
            }
        )

    stratum = "environment" if examples["environment"].notna().any() else "label"
    for row in usable["row_id"]:
        answer(row, look.loc[row, stratum], cue="none", intervention="none", arm="own", **{"pass": 0})
    rows = usable_rows(examples).merge(made_strata(examples), on="row_id")
    plan = DonorDraw(passes=2)(rows[rows["masked"]])
    for drawn in plan.to_dict("records"):
        row, own, arm = drawn["row_id"], drawn["stratum"], drawn["arm"]
        keys = {"cue": "background", "pass": drawn["pass"], "donor_row_id": drawn["donor_row_id"]}
        if arm == SAME_LEVEL:
            answer(row, own, intervention="same_level", arm=own, **keys)
        else:
            answer(row, arm, intervention="swap", arm=arm, **keys)
            answer(row, own, intervention="control", arm=arm, **keys)
    for row in plan["row_id"].unique():
        answer(row, look.loc[row, stratum], cue="background", intervention="reference", arm="own", **{"pass": 0})
    # dtype object: a null among donors would turn 63-bit ids into floats
    return stored(pd.DataFrame(lines, dtype=object), tables.PREDICTIONS), plan


@pytest.fixture(scope="session")
def make():
    """Examples, predictions and plan of a run."""

    def build(reliance=0.6, accuracy=0.95, change=lambda table: table, **examples):
        table = change(made_examples(**examples))
        return table, *made_predictions(table, reliance, accuracy)

    return build


@pytest.fixture(scope="session")
def strata_of():
    """The table ``strata`` of examples."""
    return made_strata
