"""Two disjoint halves of the rows: needed before the forward passes and again when judging.

A pure function of the ``examples`` table and the seed, so that a stored run can be judged again without its plan.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Two disjoint halves of clusters; an effect must show in each.
HALVES = ("a", "b")


def has_environment(examples: pd.DataFrame) -> bool:
    """Whether the rows were given with an environment."""
    return "environment" in examples.columns and bool(examples["environment"].notna().any())


def split_halves(rows: pd.DataFrame, seed: int) -> npt.NDArray[np.object_]:
    """Half (``"a"`` or ``"b"``) of each row: whole clusters, balanced within label and stratum.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``row_id``, ``cluster``, ``label``, ``stratum``.
    """
    first = rows.sort_values(["cluster", "row_id"]).drop_duplicates("cluster")
    half: dict[str, str] = {}
    turn = 0
    for number, (_, cell) in enumerate(first.groupby(["label", "stratum"], sort=True)):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x4A, number]))
        for cluster in rng.permutation(cell["cluster"].to_numpy(dtype=object)):
            half[cluster] = HALVES[turn % 2]
            turn += 1  # runs on over the cells, so that single-cluster cells do not all fall into one half
    return np.array([half[cluster] for cluster in rows["cluster"]], dtype=object)
