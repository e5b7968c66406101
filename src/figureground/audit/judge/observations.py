"""The stored predictions of a swap as arrays: one observation per recipient and pass."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from figureground.audit.recipients import split_halves, swap_rows

Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class SwapObservations:
    """N observations (recipient x pass) over E arms.

    Attributes
    ----------
    levels : tuple of str
        The E arms.
    classes : tuple of str
        Class names; predictions are indices into it.
    row_id, number : ndarray of int64, [N]
        Recipient and pass.
    recipient : ndarray of object, [N]
        The recipient's cluster.
    half : ndarray of object, [N]
        ``"a"`` or ``"b"``; donors are of the same half.
    own : ndarray of int64, [N]
        The recipient's own level, as an index into ``levels``; -1 where that level is no arm.
    label, original, mirrored, same : ndarray of int64, [N]
        True class; class predicted for the unchanged image, on its own mirrored background, and on the second
        background of its own level; -1 where there is none.
    swapped, common : ndarray of int64, [N, E]
        Class predicted under each arm, with that level's background and with one common background.
    donor : ndarray of object, [N, E]
        Cluster of the donor in each arm.
    probability : ndarray of float64, [N, E, K], or None
        Softmax under each arm; None beyond 32 classes.
    incomplete : int
        Recipients x passes left out because an arm has no prediction.
    """

    levels: tuple[str, ...]
    classes: tuple[str, ...]
    row_id: Ints = field(repr=False)
    number: Ints = field(repr=False)
    recipient: Names = field(repr=False)
    half: Names = field(repr=False)
    own: Ints = field(repr=False)
    label: Ints = field(repr=False)
    original: Ints = field(repr=False)
    mirrored: Ints = field(repr=False)
    same: Ints = field(repr=False)
    swapped: Ints = field(repr=False)
    common: Ints = field(repr=False)
    donor: Names = field(repr=False)
    probability: npt.NDArray[np.float64] | None = field(repr=False)
    incomplete: int

    def __len__(self) -> int:
        return len(self.row_id)

    def take(self, keep: npt.NDArray[np.bool_]) -> SwapObservations:
        """The observations where ``keep``, bool ``[N]``."""
        arrays: dict[str, Any] = {
            item.name: value[keep] for item in fields(self) if isinstance(value := getattr(self, item.name), np.ndarray)
        }
        return replace(self, **arrays)


def observe(examples: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...], seed: int) -> SwapObservations:
    """Join the swap's predictions by recipient and pass.

    Parameters
    ----------
    examples, predictions : pandas.DataFrame
        Tables of a run.
    classes : tuple of str
        Class names in the model's order.
    seed : int
        The run's seed, which split the halves.
    """
    rows = swap_rows(examples)
    rows = rows.assign(half=split_halves(rows, seed)).set_index("row_id")
    swap = predictions[(predictions["cue"] == "background") & (predictions["intervention"] != "mirrored")]
    levels = tuple(sorted(swap.loc[swap["intervention"] == "swap", "arm"].unique()))
    swapped = _wide(swap, "swap", "predicted", levels)
    common = _wide(swap, "common_background", "predicted", levels).reindex(swapped.index)
    donors = _wide(swap, "swap", "donor_row_id", levels)
    same = swap[swap["intervention"] == "same_level"].set_index(["row_id", "pass"])["predicted"].reindex(swapped.index)
    complete = (swapped.notna().all(axis=1) & common.notna().all(axis=1) & same.notna()).to_numpy()
    index = swapped.index[complete]
    ids = index.get_level_values("row_id").to_numpy(dtype=np.int64)
    own_level = rows.loc[ids, "stratum"].to_numpy(dtype=object)
    return SwapObservations(
        levels=levels,
        classes=classes,
        row_id=ids,
        number=index.get_level_values("pass").to_numpy(dtype=np.int64),
        recipient=rows.loc[ids, "cluster"].to_numpy(dtype=object),
        half=rows.loc[ids, "half"].to_numpy(dtype=object),
        own=np.array([levels.index(level) if level in levels else -1 for level in own_level], dtype=np.int64),
        label=np.array([classes.index(name) for name in rows.loc[ids, "label"]], dtype=np.int64),
        original=_single(predictions, "none", ids),
        mirrored=_single(predictions, "mirrored", ids),
        same=same[complete].to_numpy(dtype=np.int64),
        swapped=swapped[complete].to_numpy(dtype=np.int64),
        common=common[complete].to_numpy(dtype=np.int64),
        donor=_clusters(donors[complete], rows),
        probability=_probabilities(swap, index, levels, len(classes)),
        incomplete=int((~complete).sum()),
    )


def _wide(swap: pd.DataFrame, intervention: str, column: str, levels: tuple[str, ...]) -> pd.DataFrame:
    chosen = swap[swap["intervention"] == intervention]
    return (
        chosen.pivot(index=["row_id", "pass"], columns="arm", values=column).reindex(columns=list(levels)).sort_index()
    )


def _single(predictions: pd.DataFrame, intervention: str, ids: Ints) -> Ints:
    chosen = predictions[predictions["intervention"] == intervention].set_index("row_id")["predicted"]
    return chosen.reindex(ids).fillna(-1).to_numpy(dtype=np.int64)


def _clusters(donors: pd.DataFrame, rows: pd.DataFrame) -> Names:
    flat = donors.to_numpy(dtype=np.int64).ravel()
    return np.asarray(rows.loc[flat, "cluster"].to_numpy(dtype=object).reshape(donors.shape))


def _probabilities(
    swap: pd.DataFrame, index: pd.Index[Any], levels: tuple[str, ...], n_classes: int
) -> npt.NDArray[np.float64] | None:
    chosen = swap[swap["intervention"] == "swap"]
    if len(index) == 0 or chosen["classes"].notna().any():
        return None
    by_arm = [chosen[chosen["arm"] == level].set_index(["row_id", "pass"])["logits"].reindex(index) for level in levels]
    logits = np.stack([np.stack(column.to_list()) for column in by_arm], axis=1).astype(np.float64)
    return np.asarray(softmax(logits.reshape(len(index), len(levels), n_classes), axis=2))
