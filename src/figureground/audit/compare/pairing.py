"""Which rows two audits have in common: the same picture, and where masks matter the same mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from figureground.audit.judge.weighing import weights_of

MASK = "mask_sha256"
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairing:
    """Rows of two audits, matched.

    Attributes
    ----------
    rows : pandas.DataFrame
        ``first`` and ``second`` (row ids), ``cluster`` (int64 code), ``weight`` (float64, NaN where none) and
        ``same_mask``, in the order of the hashes, so that the order of neither audit matters.
    first_clusters, second_clusters : pandas.Series
        Code of the independent unit of every row of each audit, by row id: donors need not be common rows.
    other_label, only_first, only_second : int
        Usable rows that were not matched: the picture bears another label in the other audit, or is not there.
    masks_recorded : bool
        Whether both audits say which mask each row had; otherwise ``same_mask`` is taken for granted.
    weights : {"none", "same", "larger"}
    """

    rows: pd.DataFrame = field(repr=False)
    first_clusters: pd.Series = field(repr=False)
    second_clusters: pd.Series = field(repr=False)
    other_label: int
    only_first: int
    only_second: int
    masks_recorded: bool
    weights: Literal["none", "same", "larger"]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def clusters(self) -> int:
        """Independent units among the common rows."""
        return int(self.rows["cluster"].nunique())

    def chosen(self, *, masks: bool) -> pd.DataFrame:
        """The common rows; where masks matter, those with the same one."""
        return self.rows[self.rows["same_mask"]] if masks else self.rows


def pair(first: pd.DataFrame, second: pd.DataFrame, *, labelled: bool = True) -> Pairing:
    """Match the usable rows of two ``examples`` tables by ``sha256`` and label.

    Pictures that occur several times are matched one to one: with the same mask first, then in the order of their
    row ids. Two audits that name their independent units differently agree on the coarser ones: units that share a
    picture are one. Where both are draws, a row counts with the larger of its weights: of nested draws, the rarer one
    decides which rows are common.

    Parameters
    ----------
    first, second : pandas.DataFrame
        ``examples`` tables. Without ``mask_sha256`` in both, masks are taken to be the same.
    labelled : bool
        Whether labels were given; the model's own answers, which stand for them otherwise, match nothing.
    """
    sides = [_usable(frame) for frame in (first, second)]
    recorded = all(MASK in frame for frame in (first, second))
    rows = _matched(sides, ["sha256", "label"] if labelled else ["sha256"])
    codes = _units(sides, rows)
    kinds, weight = _weights(rows)
    found = pd.DataFrame(
        {
            "first": rows["row_id_first"],
            "second": rows["row_id_second"],
            "cluster": codes[0].reindex(rows["row_id_first"]).to_numpy(dtype=np.int64),
            "weight": weight,
            "same_mask": (rows["mask_first"] == rows["mask_second"]).to_numpy(dtype=bool) if recorded else True,
        }
    )
    loose = [
        side[~side["row_id"].isin(rows[f"row_id_{name}"])]
        for side, name in zip(sides, ("first", "second"), strict=True)
    ]
    again = set(loose[0]["sha256"]) & set(loose[1]["sha256"])
    relabelled = [int(side["sha256"].isin(again).sum()) for side in loose]
    return Pairing(
        found,
        *codes,
        other_label=min(relabelled),
        only_first=len(loose[0]) - min(relabelled),
        only_second=len(loose[1]) - min(relabelled),
        masks_recorded=recorded,
        weights=kinds,
    )


def _usable(examples: pd.DataFrame) -> pd.DataFrame:
    rows = examples[(examples["status"] == "ok") & examples["sha256"].notna()].sort_values("row_id")
    weights = weights_of(rows)
    return pd.DataFrame(
        {
            "row_id": rows["row_id"].to_numpy(),
            "sha256": rows["sha256"].to_numpy(dtype=object),
            "label": rows["label"].to_numpy(dtype=object),
            "cluster": rows["cluster"].to_numpy(dtype=object),
            "mask": rows[MASK].fillna("").to_numpy(dtype=object) if MASK in rows else "",
            "weight": np.nan if weights is None else weights,
        }
    )


def _matched(sides: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """One to one: rows with the same mask first, then what is left of the same picture, by number."""
    exact = _joined(sides, [*keys, "mask"])
    left = [
        side[~side["row_id"].isin(exact[f"row_id_{name}"])]
        for side, name in zip(sides, ("first", "second"), strict=True)
    ]
    rest = _joined(left, keys)
    found = pd.concat([exact, rest], ignore_index=True) if len(rest) else exact
    return found.sort_values(["sha256", "label", "mask_first", "mask_second", "row_id_first"], ignore_index=True)


def _joined(sides: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    first, second = (side.assign(copy=side.groupby(keys).cumcount()) for side in sides)
    both = first.merge(second, on=[*keys, "copy"], suffixes=("_first", "_second"))
    for name in ("mask", "label"):  # columns that are keys have one name only
        both = both.assign(**{f"{name}_{end}": both[name] for end in ("first", "second") if name in both})
    return both.assign(label=both["label_first"])


def _units(sides: Sequence[pd.DataFrame], rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Codes of independent units: components of the graph in which a common row joins the units of both audits."""
    (first, of_first), (second, of_second) = (pd.factorize(side["cluster"]) for side in sides)
    size = len(of_first) + len(of_second)
    places = [
        pd.Series(code + shift, index=side["row_id"])
        for side, code, shift in zip(sides, (first, second), (0, len(of_first)), strict=True)
    ]
    ends = [
        place.reindex(rows[f"row_id_{name}"]).to_numpy(dtype=np.int64)
        for place, name in zip(places, ("first", "second"), strict=True)
    ]
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (ends[0], ends[1])), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    one, other = (pd.Series(component[place.to_numpy()].astype(np.int64), index=place.index) for place in places)
    return one, other


def _weights(rows: pd.DataFrame) -> tuple[Literal["none", "same", "larger"], npt.NDArray[np.float64]]:
    both = rows[["weight_first", "weight_second"]].to_numpy(dtype=np.float64)
    if np.isnan(both).all():
        return "none", np.full(len(rows), np.nan)
    weight = np.nanmax(both, axis=1) if len(both) else np.empty(0)
    return ("same" if np.array_equal(both[:, 0], both[:, 1]) else "larger"), weight
