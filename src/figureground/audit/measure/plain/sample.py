"""The rows that plain interventions run on, whose place each borrows, and the mean colour of their backgrounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from figureground.audit.rows.strata import StrataDraw, usable_rows
from figureground.datasets.columns import GROUND
from figureground.datasets.datamodule import Row, RowReader

_PARTNER = 0x71


def plain_sample(examples: pd.DataFrame, strata: pd.DataFrame, rows: int, seed: int, *, masked: bool) -> pd.DataFrame:
    """Part of the subsample, whole clusters, the same share of every label and stratum: ``row_id``, ``cluster``.

    Parameters
    ----------
    examples, strata : pandas.DataFrame
        Tables of the run.
    rows : int
        At most so many.
    masked : bool
        Only rows with an object mask.
    """
    known = usable_rows(examples).merge(strata[strata["subsample"]][["row_id", "stratum"]], on="row_id")
    known = (known[known["masked"]] if masked else known).sort_values("row_id").reset_index(drop=True)
    if known.empty:
        return known[["row_id", "cluster"]]
    drawn = StrataDraw(rows, seed)(known, strata["source"].iloc[0])
    return known.loc[drawn["subsample"].to_numpy(), ["row_id", "cluster"]].reset_index(drop=True)


def partners(sample: pd.DataFrame, seed: int) -> dict[int, int]:
    """For every row another row of another cluster, drawn by the row's own seed; -1 where there is none."""
    ids = sample["row_id"].to_numpy(dtype=np.int64)
    clusters = sample["cluster"].to_numpy(dtype=object)
    found = {}
    for row, cluster in zip(ids.tolist(), clusters, strict=True):
        others = ids[clusters != cluster]
        rng = np.random.default_rng(np.random.SeedSequence([seed, row, _PARTNER]))
        found[row] = int(others[int(rng.integers(len(others)))]) if len(others) else -1
    return found


def pool_colour(rows: Sequence[Row], reader: RowReader) -> Tensor:
    """Mean colour of the backgrounds of all rows, every row counting the same: float32 ``[C]``."""
    means = [_ground_colour(reader(row)) for row in rows]
    return torch.from_numpy(np.stack(means).mean(axis=0).astype(np.float32))


def _ground_colour(item: dict[str, Tensor]) -> np.ndarray:
    pixels = item["image"].numpy().astype(np.float64)
    ground = (item["mask"] == GROUND).numpy()
    return np.asarray(pixels[:, ground].mean(axis=1) if ground.any() else pixels.mean(axis=(1, 2)))
