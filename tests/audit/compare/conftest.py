"""Pairs of sealed runs with known reliances on the same pictures, made without a model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.keeping.run_folder import RunFolder, read_table

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


def renumbered(tables, seed=1):
    """The same evidence under other names of files: other row ids, and so another order of all tables."""
    ids = tables["examples"]["row_id"].to_numpy()
    other = dict(zip(ids, np.random.default_rng(seed).permutation(ids), strict=True))

    def moved(frame):
        columns = [name for name in ("row_id", "donor_row_id") if name in frame]
        changed = {name: frame[name].map(lambda one: one if pd.isna(one) else other[int(one)]) for name in columns}
        return frame.assign(**changed).sort_values("row_id", kind="stable", ignore_index=True)

    return {name: moved(frame) for name, frame in tables.items()}


def some_rows(keep):
    """The same evidence on some of its rows, their donors included; ``keep`` is asked of each row's position."""

    def change(tables):
        rows = tables["examples"]["row_id"][[keep(at) for at in range(len(tables["examples"]))]]
        found = {}
        for name, frame in tables.items():
            kept = frame["row_id"].isin(rows)
            if "donor_row_id" in frame:
                kept &= frame["donor_row_id"].isna() | frame["donor_row_id"].isin(rows)
            found[name] = frame[kept].reset_index(drop=True)
        return found

    return change


def sealed(*arguments, **more):
    """Judged with few permutations, which no comparison looks at; other tests of this process keep theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("figureground.audit.judge.performance.PERMUTATIONS", 99)
        return MADE.write_sealed(*arguments, **more)


class Runs:
    """Makes sealed runs; everything about the pictures is the same for all of them."""

    tables = ("examples", "strata", "predictions", "attributions")

    def __init__(self, folder):
        self.folder, self.made = folder, {}

    def __call__(self, reliance, answers=0):
        """The sealed audit of a model that follows the background in this share of the images."""
        key = (reliance, answers)
        if key not in self.made:
            examples = pictured(MADE.made_examples(n=160))
            predictions, _ = MADE.made_predictions(examples, reliance, 0.95, seed=answers)
            found = MADE.evidence(examples, predictions, policy=POLICY)
            self.made[key] = sealed(self._new(), found, model_sha256=digest(*key))
        return self.made[key]

    def anew(self, reliance, seed):
        """The sealed audit of the same model on other pictures."""
        examples = MADE.made_examples(n=160, seed=seed)
        names = [digest("picture", seed, name) for name in examples["path"]]
        examples = pictured(examples).assign(sha256=names)
        predictions, _ = MADE.made_predictions(examples, reliance, 0.95, seed=seed)
        return sealed(self._new(), MADE.evidence(examples, predictions, policy=POLICY))

    def altered(self, run, tables=None, document=None, model=None):
        """A run with other tables, or another document, sealed as if an audit had written it."""
        path = self._new()
        shutil.copytree(run, path)
        (path / "COMPLETE.json").unlink()
        folder = RunFolder(path)
        if tables is not None:
            read = {name: read_table(path, name) for name in self.tables}
            for name, frame in tables(read).items():
                file = f"{name}.parquet" if (path / f"{name}.parquet").is_file() else f"{name}/part-00000.parquet"
                folder.write_table(file, frame, MADE.tables.SCHEMAS[name])
        found = json.loads((path / "audit.json").read_text(encoding="utf-8"))
        found["subject"]["model_sha256"] = model or found["subject"]["model_sha256"]
        folder.write_json("audit.json", found if document is None else document(found))
        folder.seal()
        return path

    def changed(self, run, **columns):
        """A run of another model whose ``examples`` have other columns."""

        def change(tables):
            return {**tables, "examples": tables["examples"].assign(**columns)}

        return self.altered(run, change, model="c" * 64)

    def _new(self):
        return self.folder / f"run-{len(list(self.folder.iterdir()))}"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="session")
def rename():
    return renumbered


@pytest.fixture(scope="session")
def only_some():
    return some_rows
