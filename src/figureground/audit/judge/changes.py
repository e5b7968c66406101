"""How often the answer to one picture changes, whatever becomes of the mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from figureground.audit.judge.intervals import Interval, clustered_wilson, logit_t, mean_t
from figureground.audit.judge.observations import Names, Reals, SwapObservations


@dataclass(frozen=True)
class _Given:
    """Answers as numbers, indices of classes among them: ``swapped [N, E]``, the others ``[N]``."""

    swapped: Reals = field(repr=False)
    original: Reals = field(repr=False)
    reference: Reals = field(repr=False)
    same: Reals = field(repr=False)


def changed_answers(
    observed: SwapObservations, level: float, part: int = 0, least: float | None = None
) -> dict[str, Interval]:
    """How often the answer changes: other level, same level (control), own value put back (fragility); kept answers.

    Of a grid, the answers of the cell ``part``, an index into the parts. A number changes where it moves by ``least``
    or more, in its own unit; with None, another class is another answer.
    """
    seen = row_changes(observed, part, least)
    said, changes = _said(observed, part, least), partial(_changes, least=least)
    placed = observed.own >= 0
    other = np.arange(len(observed.levels)) != observed.own[placed][:, None]
    original = said.original[placed][:, None]
    own = np.take_along_axis(said.swapped[placed], observed.own[placed][:, None], axis=1)
    kept = 1 - changes(own, original).mean(axis=1) - _row_mean(1 - changes(said.swapped[placed], original), other)
    first = (observed.number == 0) & (observed.original >= 0) & (observed.reference >= 0)
    flips = changes(said.original, said.reference)[first]
    again = ~np.isnan(seen.same)
    weights = seen.weight if seen.weight is None else seen.weight[again]
    return {
        "changed_other_level": logit_t(seen.other, seen.recipient, level, weights=seen.weight),
        "changed_same_level": logit_t(seen.same[again], seen.recipient[again], level, weights=weights),
        "same_minus_other": mean_t(kept, seen.recipient, level, weights=seen.weight),
        "reference_fragility": clustered_wilson(
            flips, observed.recipient[first], level, weights=observed.take(first).weight
        ),
    }


@dataclass(frozen=True)
class RowChanges:
    """Whether each answer changes, of the observations whose own level is an arm.

    Attributes
    ----------
    other : ndarray of float64, [N]
        Share in [0, 1] of the other levels under which the answer differs from that with a donor of the own level.
    same : ndarray of float64, [N]
        The control: 1.0 where the answers with two donors of the own level differ, else 0.0; NaN without a second one.
    recipient : ndarray of object, [N]
        The recipient's cluster.
    weight : ndarray of float64, [N], or None
        Its design weight.
    """

    other: Reals = field(repr=False)
    same: Reals = field(repr=False)
    recipient: Names = field(repr=False)
    weight: Reals | None = field(repr=False)


def row_changes(observed: SwapObservations, part: int = 0, least: float | None = None) -> RowChanges:
    """Changes of every observation, before any mean; the arguments as in :func:`changed_answers`."""
    said, changes = _said(observed, part, least), partial(_changes, least=least)
    placed = observed.own >= 0
    there = observed.take(placed)
    own = np.take_along_axis(said.swapped[placed], there.own[:, None], axis=1)
    other = np.arange(len(observed.levels)) != there.own[:, None]
    same = np.where(there.same >= 0, changes(said.same[placed], own[:, 0]), np.nan)
    return RowChanges(_row_mean(changes(said.swapped[placed], own), other), same, there.recipient, there.weight)


def _said(observed: SwapObservations, part: int, least: float | None) -> _Given:
    return _indices(observed, part) if least is None else _distances(observed, part)


def _indices(observed: SwapObservations, part: int) -> _Given:
    columns = (observed.swapped[:, part], observed.original, observed.reference, observed.same)
    return _Given(*(np.asarray(column, dtype=np.float64) for column in columns))


def _distances(observed: SwapObservations, part: int) -> _Given:
    """Numbers as their distance from the cut; NaN where there is no answer."""
    assert observed.logits is not None  # noqa: S101  (two classes are never too many to be kept)
    others = (observed.original_logits, observed.reference_logits, observed.same_logits)
    nothing = np.full((len(observed), 2), np.nan)
    own = [nothing if logits is None else logits for logits in others]
    return _Given(*(logits[..., 1] - logits[..., 0] for logits in (observed.logits[:, part], *own)))


def _changes(one: Reals, other: Reals, least: float | None) -> Reals:
    """1.0 where two answers differ, classes as indices or numbers by ``least`` or more; else 0.0."""
    return np.asarray(one != other if least is None else np.abs(one - other) >= least, dtype=np.float64)


def _row_mean(values: Reals, chosen: npt.NDArray[np.bool_]) -> Reals:
    """Mean over the chosen arms of ``[N, E]``."""
    return np.asarray((values * chosen).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1))
