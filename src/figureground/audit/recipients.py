"""Who takes part in a swap, in which stratum and half: needed before the forward passes and again when judging.

A pure function of the ``examples`` table and the seed, so that a stored run can be judged again without its plan.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.tables import MISSING

#: Two disjoint halves of clusters; an effect must show in each.
HALVES = ("a", "b")
#: Objects that cover less or more of the picture than this leave nothing to swap.
MIN_AREA, MAX_AREA = 0.0, 0.98


def swap_rows(examples: pd.DataFrame) -> pd.DataFrame:
    """Usable rows with a usable mask: ``row_id``, ``cluster``, ``label``, ``stratum``, in sorted ``row_id``.

    The stratum is the environment where the table has one, else the label. Label strata are blind on data where
    label and background are balanced; the verdict says so.
    """
    area = examples["object_area"].astype(float)
    usable = examples[(examples["status"] == "ok") & (area > MIN_AREA) & (area < MAX_AREA)]
    stratum = "environment" if has_environment(examples) else "label"
    rows = usable[["row_id", "cluster", "label"]].assign(stratum=usable[stratum])
    rows = rows[rows["stratum"] != MISSING]  # a background of unknown kind can stand for no level
    return rows.sort_values("row_id").reset_index(drop=True)


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
