"""Pairs of sealed runs with known reliances on the same pictures, made without a model."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figureground.audit.config import Policy

#: Few draws where none is looked at: what is compared are effects, not assays.
POLICY = Policy(assay_redraws=20, placebo_draws=50)


def _loaded():
    """The maker of runs that the tests of the judge have."""
    file = Path(__file__).parents[1] / "judge" / "conftest.py"
    spec = importlib.util.spec_from_file_location("made_runs", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _loaded()


def digest(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def pictured(examples):
    """Every row with a picture and a mask of its own."""
    names = examples["path"]
    return examples.assign(
        sha256=[digest("picture", name) for name in names], mask_sha256=[digest("mask", name) for name in names]
    )


def renumbered(found, seed=1):
    """The same evidence under other names of files: other row ids, and so another order of all tables."""
    ids = found.examples["row_id"].to_numpy()
    fresh = np.random.default_rng(seed).permutation(ids)
    other = dict(zip(ids, fresh, strict=True))

    def moved(frame):
        columns = [name for name in ("row_id", "donor_row_id") if name in frame]
        changed = {name: frame[name].map(lambda one: one if pd.isna(one) else other[int(one)]) for name in columns}
        return frame.assign(**changed).sort_values("row_id", kind="stable", ignore_index=True)

    tables = ("examples", "strata", "predictions", "attributions")
    changed = {name: MADE.stored(moved(getattr(found, name)), MADE.tables.SCHEMAS[name]) for name in tables}
    return replace(found, **changed)


class Runs:
    """Makes evidence and sealed runs; everything about the pictures is the same for all of them."""

    def __init__(self, folder):
        self.folder, self.made = folder, {}

    def evidence(self, reliance, *, n=160, seed=0, policy=POLICY, accuracy=0.95, answers=0, **more):
        examples = pictured(MADE.made_examples(n=n, seed=seed, **more))
        predictions, _ = MADE.made_predictions(examples, reliance, accuracy, seed=answers)
        return MADE.evidence(examples, predictions, policy=policy)

    def __call__(self, reliance, **more):
        key = (reliance, *sorted(more.items()))
        if key not in self.made:
            self.made[key] = self.sealed(self.evidence(reliance, **more), digest(*key))
        return self.made[key]

    def sealed(self, found, model="m" * 64, name=None):
        path = self.folder / (name or f"run-{len(list(self.folder.iterdir()))}")
        return MADE.write_sealed(path, found, model_sha256=model)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 99)
        yield Runs(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="session")
def rename():
    return renumbered
