"""The stored predictions of a donor contrast as arrays: one observation per recipient and pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.judge.weighing import weights_of

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]

#: Stands for "all of the cue" among the parts, where a table has null.
WHOLE = ""
_PAIR = ["row_id", "pass"]


@dataclass(frozen=True)
class SwapObservations:
    """N observations (recipient x pass) over P parts of the cue and E arms.

    Attributes
    ----------
    cue : str
    levels : tuple of str
        The E arms.
    classes : tuple of str
        Class names; predictions are indices into it.
    parts : tuple of str
        Cells of a grid; ``("",)`` for a cue that is changed as a whole.
    row_id, number : ndarray of int64, [N]
        Recipient and pass.
    recipient : ndarray of object, [N]
        The recipient's cluster.
    half : ndarray of object, [N]
        ``"a"`` or ``"b"``; donors are of the same half.
    own : ndarray of int64, [N]
        The recipient's own level, as an index into ``levels``; -1 where that level is no arm.
    label, original, reference, same : ndarray of int64, [N]
        True class; class predicted for the unchanged image, for its own value of the cue put back by the same
        machinery, and with a second donor of its own level; -1 where there is none.
    swapped, control : ndarray of int64, [N, P, E]
        Class predicted under each arm, with that level's value of the cue and in the matched control.
    donor : ndarray of object, [N, E]
        Cluster of the donor in each arm.
    donor_row : ndarray of int64, [N, E]
        ``row_id`` of the donor in each arm.
    logits, control_logits : ndarray of float64, [N, P, E, K], or None
        None beyond 32 classes.
    original_logits, reference_logits, same_logits : ndarray of float64, [N, K], or None
        Behind ``original``, ``reference`` and ``same``; rows of NaN where there is none.
    score, control_score : ndarray of float64, [N, P, E], or None
        The assay's reading of the cue on each picture; None where no assay was prepared.
    incomplete : mapping of str to int
        Recipients x passes left out because an arm has no prediction, by reason.
    weight : ndarray of float64, [N], or None
        Design weight of the recipient; None where all count the same.
    """

    cue: str
    levels: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    row_id: Ints = field(repr=False)
    number: Ints = field(repr=False)
    recipient: Names = field(repr=False)
    half: Names = field(repr=False)
    own: Ints = field(repr=False)
    label: Ints = field(repr=False)
    original: Ints = field(repr=False)
    reference: Ints = field(repr=False)
    same: Ints = field(repr=False)
    swapped: Ints = field(repr=False)
    control: Ints = field(repr=False)
    donor: Names = field(repr=False)
    donor_row: Ints = field(repr=False)
    logits: Reals | None = field(repr=False)
    control_logits: Reals | None = field(repr=False)
    original_logits: Reals | None = field(repr=False)
    score: Reals | None = field(repr=False)
    control_score: Reals | None = field(repr=False)
    incomplete: Mapping[str, int]
    weight: Reals | None = field(default=None, repr=False)
    reference_logits: Reals | None = field(default=None, repr=False)
    same_logits: Reals | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.row_id)

    @property
    def n_recipients(self) -> int:
        """Different images among the recipients."""
        return len(np.unique(self.row_id))

    @property
    def n_clusters(self) -> int:
        """Independent units among the recipients."""
        return len(set(self.recipient))

    def take(self, keep: npt.NDArray[np.bool_] | Ints) -> SwapObservations:
        """The observations where ``keep``, bool ``[N]``, or at these positions, int64."""
        arrays: dict[str, Any] = {
            item.name: value[keep] for item in fields(self) if isinstance(value := getattr(self, item.name), np.ndarray)
        }
        return replace(self, **arrays)


def observe(
    examples: pd.DataFrame,
    predictions: pd.DataFrame,
    strata: pd.DataFrame,
    classes: tuple[str, ...],
    cue: str,
    *,
    held: str | None = None,
    clusters: pd.Series | None = None,
) -> SwapObservations | None:
    """Join the predictions of one cue's contrast by recipient and pass; None where it was not run.

    Parameters
    ----------
    examples, predictions, strata : pandas.DataFrame
        Tables of a run.
    classes : tuple of str
        Class names in the model's order.
    cue : str
    held : str, optional
        The contrast in which this other cue was kept at the recipient's own.
    clusters : pandas.Series, optional
        Cluster of every row that may lend, by ``row_id``; by default of those in ``examples``. A row whose own label
        is unknown can lend all the same.
    """
    chosen = _of_cue(predictions, cue, held)
    swap, control = (chosen[chosen["intervention"] == name] for name in ("swap", "control"))
    if swap.empty:
        return None
    rows = examples[["row_id", "cluster", "label"]].merge(strata, on="row_id").set_index("row_id")
    levels, parts = tuple(sorted(swap["arm"].unique())), tuple(sorted(swap["part"].unique()))
    join = _Join(levels, parts, len(classes))
    index = join.complete(swap, control, rows.index)
    ids, number = (index.get_level_values(name).to_numpy(dtype=np.int64) for name in _PAIR)
    same = chosen[(chosen["intervention"] == "same_level") & (chosen["part"] == parts[0])]
    donor_row = join.donors(swap, index)
    lenders = rows["cluster"] if clusters is None else clusters
    donor = lenders.reindex(donor_row.ravel()).to_numpy(dtype=object).reshape(donor_row.shape)
    swapped = join.answers(swap, index)
    compared = join.answers(control, index) if len(control) else swapped.turned(_turns(ids, number, len(parts)))
    return SwapObservations(
        cue=cue,
        levels=levels,
        classes=classes,
        parts=parts,
        row_id=ids,
        number=number,
        recipient=rows.loc[ids, "cluster"].to_numpy(dtype=object),
        half=rows.loc[ids, "half"].to_numpy(dtype=object),
        own=np.array([levels.index(x) if x in levels else -1 for x in rows.loc[ids, "stratum"]], dtype=np.int64),
        label=np.array([classes.index(name) for name in rows.loc[ids, "label"]], dtype=np.int64),
        original=_single(predictions, "none", "none", ids),
        reference=_single(chosen, cue, "reference", ids),
        same=same.set_index(_PAIR)["predicted"].reindex(index).fillna(-1).to_numpy(dtype=np.int64),
        swapped=swapped.predicted,
        control=compared.predicted,
        donor=np.asarray(donor, dtype=object),
        donor_row=donor_row,
        logits=swapped.logits,
        control_logits=compared.logits,
        original_logits=_logits_of(_first(predictions, "none", "none"), ids, len(classes)),
        score=swapped.score,
        control_score=compared.score,
        incomplete=_reasons(chosen, join.pairs(swap).difference(index)),
        weight=_weights(examples, ids),
        reference_logits=_logits_of(_first(chosen, cue, "reference"), ids, len(classes)),
        same_logits=_logits_of(same.set_index(_PAIR), index, len(classes)),
    )


def _weights(examples: pd.DataFrame, ids: Ints) -> Reals | None:
    usable = examples[examples["status"] == "ok"]
    found = weights_of(usable)
    if found is None:
        return None
    return np.asarray(pd.Series(found, index=usable["row_id"]).reindex(ids), dtype=np.float64)


def _of_cue(predictions: pd.DataFrame, cue: str, held: str | None) -> pd.DataFrame:
    kept = (predictions["cue"] == cue) & (predictions["held"].fillna(WHOLE) == (held or WHOLE))
    chosen = predictions[kept]
    return chosen.assign(part=chosen["part"].fillna(WHOLE))


@dataclass(frozen=True)
class _Answers:
    """What the model said under every arm: ``predicted [N, P, E]``, ``logits [N, P, E, K]``, ``score [N, P, E]``."""

    predicted: Ints
    logits: Reals | None
    score: Reals | None

    def turned(self, turns: Ints) -> _Answers:
        """The same with every part's answers exchanged for those of another part."""
        logits, score = (None if values is None else _turned(values, turns) for values in (self.logits, self.score))
        return _Answers(_turned(self.predicted, turns), logits, score)


@dataclass(frozen=True)
class _Join:
    """Brings rows of ``predictions`` into the order (recipient x pass, part, arm)."""

    levels: tuple[str, ...]
    parts: tuple[str, ...]
    n_classes: int

    def wide(self, rows: pd.DataFrame, column: str) -> pd.DataFrame:
        columns = pd.MultiIndex.from_product([self.parts, self.levels], names=["part", "arm"])
        return rows.pivot(index=_PAIR, columns=["part", "arm"], values=column).reindex(columns=columns).sort_index()

    def pairs(self, rows: pd.DataFrame) -> pd.Index[Any]:
        return self.wide(rows, "predicted").index

    def complete(self, swap: pd.DataFrame, control: pd.DataFrame, known: pd.Index[Any]) -> pd.Index[Any]:
        """Recipients x passes of known rows that have an answer under every arm, in the control too if there is one."""
        swapped = self.wide(swap, "predicted")
        whole = swapped.notna().all(axis=1)
        if len(control):
            whole &= self.wide(control, "predicted").reindex(swapped.index).notna().all(axis=1)
        index = swapped.index[whole.to_numpy()]
        return index[index.get_level_values("row_id").isin(known)]

    def answers(self, rows: pd.DataFrame, index: pd.Index[Any]) -> _Answers:
        flat = self.wide(rows, "predicted").reindex(index).to_numpy(dtype=np.int64)
        predicted = flat.reshape(len(index), len(self.parts), len(self.levels))
        return _Answers(predicted, self.logits(rows, index), self.scores(rows, index))

    def donors(self, rows: pd.DataFrame, index: pd.Index[Any]) -> Ints:
        first = rows[rows["part"] == self.parts[0]]
        wide = first.pivot(index=_PAIR, columns="arm", values="donor_row_id").reindex(columns=list(self.levels))
        return np.asarray(wide.reindex(index).to_numpy(dtype=np.int64))

    def logits(self, rows: pd.DataFrame, index: pd.Index[Any]) -> Reals | None:
        if len(index) == 0 or rows.empty or rows["classes"].notna().any():
            return None
        keyed = rows.set_index([*_PAIR, "part", "arm"])["logits"].reindex(self._full(index))
        flat = np.stack(keyed.to_list()).astype(np.float64)
        return flat.reshape(len(index), len(self.parts), len(self.levels), self.n_classes)

    def scores(self, rows: pd.DataFrame, index: pd.Index[Any]) -> Reals | None:
        if len(index) == 0 or rows.empty or rows["score"].isna().all():
            return None
        keyed = rows.set_index([*_PAIR, "part", "arm"])["score"].reindex(self._full(index))
        return keyed.to_numpy(dtype=np.float64).reshape(len(index), len(self.parts), len(self.levels))

    def _full(self, index: pd.Index[Any]) -> pd.MultiIndex:
        pairs = [(*pair, part, arm) for pair in index for part in self.parts for arm in self.levels]
        return pd.MultiIndex.from_tuples(pairs, names=[*_PAIR, "part", "arm"])


def _turns(ids: Ints, number: Ints, parts: int) -> Ints:
    """For each observation a part's control: the same change in another part, a different one for every row.

    A cell of a grid is compared with another cell of the same size in the same picture, which costs no further
    forward pass. Int64 ``[N, P]``, never the part itself.
    """
    drawn = [
        np.random.default_rng(np.random.SeedSequence([int(row), int(n), 0xC0])).integers(1, max(parts, 2), size=parts)
        for row, n in zip(ids, number, strict=True)
    ]
    shift = np.stack(drawn) if drawn else np.zeros((0, parts), dtype=np.int64)
    return np.asarray((np.arange(parts) + shift) % parts, dtype=np.int64)


def _turned(values: npt.NDArray[Any], turns: Ints) -> Any:
    index = turns.reshape(*turns.shape, *([1] * (values.ndim - 2)))
    return np.take_along_axis(values, np.broadcast_to(index, (*turns.shape, *values.shape[2:])), axis=1)


def _first(predictions: pd.DataFrame, cue: str, intervention: str) -> pd.DataFrame:
    """One prediction a row, by ``row_id``."""
    chosen = predictions[(predictions["cue"] == cue) & (predictions["intervention"] == intervention)]
    return chosen.drop_duplicates("row_id").set_index("row_id")


def _single(predictions: pd.DataFrame, cue: str, intervention: str, ids: Ints) -> Ints:
    first = _first(predictions, cue, intervention)["predicted"]
    return first.reindex(ids).fillna(-1).to_numpy(dtype=np.int64)


def _logits_of(rows: pd.DataFrame, index: Ints | pd.Index[Any], n_classes: int) -> Reals | None:
    """Logits in the order of ``index``; None where not all of them are kept."""
    if len(index) == 0 or rows["classes"].notna().any():
        return None
    found, nothing = rows["logits"].reindex(index), [np.nan] * n_classes
    known = [isinstance(value, list | tuple | np.ndarray) for value in found]
    return np.array([value if ok else nothing for value, ok in zip(found, known, strict=True)], dtype=np.float64)


def _reasons(rows: pd.DataFrame, left_out: pd.Index[Any]) -> dict[str, int]:
    if len(left_out) == 0:
        return {}
    bad = rows[(rows["status"] != "ok") & rows["intervention"].isin(["swap", "control"])]
    first = bad.drop_duplicates(_PAIR).set_index(_PAIR)["status"].reindex(left_out).fillna("not_all_arms")
    return {str(reason): int(n) for reason, n in sorted(first.value_counts().items())}
