"""Small painted worlds whose every pixel tells whether it is figure or ground, and how to stream them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from figureground.audit.rows.strata import StrataDraw, by_environment

SIDE = 16
LEVELS = ("grass", "gravel")
LABELS = ("cat", "dog")


@dataclass(frozen=True)
class Scenes:
    """Reads rows from memory."""

    pictures: dict[int, tuple[torch.Tensor, torch.Tensor]]

    def __call__(self, row):
        image, mask = self.pictures[row.row_id]
        item = {"row_id": torch.tensor(row.row_id), "image": image, "mask": mask, "regions": {}}
        return item | {"has_mask": torch.tensor(bool((mask == 1).any()))}


def examples_of(n, *, aligned, per_cluster, seed):
    """Rows of two labels and two levels; aligned: every label has its own level."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    level = label if aligned else rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "row_id": np.sort(rng.choice(2**62, n, replace=False)),
            "position": np.arange(n),
            "label": np.array(LABELS)[label],
            "environment": np.array(LEVELS)[level],
            "split": "test",
            "cluster": [f"c{i // per_cluster}" for i in range(n)],
            "object_area": 25 / SIDE**2,
            "status": "ok",
        }
    )


@pytest.fixture(scope="session")
def world():
    """Examples and pictures; ``paint`` makes a picture from a row, its mask and its generator."""

    def build(n, paint, *, aligned=False, per_cluster=2, seed=0, fixed=False):
        frame = examples_of(n, aligned=aligned, per_cluster=per_cluster, seed=seed)
        rng = np.random.default_rng([seed, 1])
        pictures = {}
        for row in frame.itertuples():
            top, left = (6, 6) if fixed else rng.integers(0, 12, 2)
            mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
            mask[top : top + 5, left : left + 5] = 1
            pictures[row.row_id] = (paint(row, mask == 1, rng), mask)
        return frame, pictures

    return build


@pytest.fixture(scope="session")
def reader():
    return Scenes


@pytest.fixture(scope="session")
def strata_of():
    """The table ``strata`` of examples, and the rows as plans are drawn from them."""

    def build(frame, subsample=500):
        rows = by_environment(frame)
        table = StrataDraw(subsample, 0)(rows, "environment")
        return table, rows.merge(table, on=["row_id", "stratum"])

    return build
