"""The donor contrast: how much more often is a class predicted under one level of the background than another?

``effect[c, e, e'] = mean over recipients and passes of 1(prediction = c | donor from e) - 1(prediction = c | e')``

on the decision scale, with the same difference of probabilities beside it. The statistic is the largest effect, with an
interval that covers all (c, e, e') at once (max-T), variance clustered by recipient and by both donors.

Rows of the ``tests`` table made here:

===================== =====================================================================================
donor_contrast        the effect, every class and pair of levels
common_background     the same arms over one common background: what the holes alone do
specific              donor_contrast minus common_background, paired
replication_a, _b     the primary effect in each of two disjoint halves of recipients and donors, one-sided
predicted_share       how often a class is predicted under an arm ("own": unchanged image)
changed_other_level   answer on a background of another level differs from that on one of the own level
changed_same_level    control: answers on two backgrounds of the own level differ
mirrored_fragility    answer on the own background, mirrored and filled, differs from the unchanged one
same_minus_other      original answer kept on own-level minus on other-level backgrounds (secondary)
===================== =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.config import Policy
from figureground.audit.judge.clustered import cluster_influence, multiway_mean
from figureground.audit.judge.intervals import Interval, clustered_wilson, logit_t, mean_t
from figureground.audit.judge.multiplicity import max_t
from figureground.audit.judge.observations import SwapObservations
from figureground.audit.judge.rows import estimate_columns, p_value, t_ratio

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """A class and two arms, as indices; ``sign`` turns the effect so that it is positive."""

    class_index: int
    arm: int
    reference: int

    def names(self, observed: SwapObservations) -> dict[str, str]:
        """Key columns of the ``tests`` table."""
        return {
            "class_name": observed.classes[self.class_index],
            "arm": observed.levels[self.arm],
            "reference": observed.levels[self.reference],
        }

    def turned(self) -> Hypothesis:
        """The same with the arms exchanged."""
        return Hypothesis(self.class_index, self.reference, self.arm)

    def values(self, observed: SwapObservations, source: str) -> Reals:
        """One difference in {-1, 0, 1} (or of probabilities) per observation, float64 ``[N]``."""
        if source == "probability":
            assert observed.probability is not None  # noqa: S101  (families() asks only where it exists)
            p = observed.probability[:, :, self.class_index]
            return np.asarray(p[:, self.arm] - p[:, self.reference])
        predicted = np.asarray(getattr(observed, source) == self.class_index)
        return np.asarray(predicted[:, self.arm].astype(float) - predicted[:, self.reference].astype(float))

    def codes(self, observed: SwapObservations) -> tuple[npt.NDArray[np.object_], ...]:
        """Clusterings of the observations: recipients, donors of one arm, donors of the other."""
        return observed.recipient, observed.donor[:, self.arm], observed.donor[:, self.reference]


@dataclass(frozen=True)
class Contrast:
    """What the swap showed.

    Attributes
    ----------
    tests : pandas.DataFrame
        Rows of the ``tests`` table.
    primary : Hypothesis
        The largest effect, turned so that it is positive.
    effect, specific, common : Interval
        Of the primary hypothesis, simultaneous over the family.
    replication : tuple of Interval
        In the halves a and b, two-sided level 1 - 2 alpha (one-sided alpha).
    widest90 : Interval
        Of all effects at level 1 - 2 alpha, the one that reaches furthest from 0: equivalence is judged on it.
    changed_other, changed_same, fragility : Interval
    rarest_share : float
        Share of predictions of the class that is predicted least, over unchanged images and swap arms.
    primary_class_clusters : int
        Recipient clusters in which the primary class is predicted in some arm.
    n_donor_clusters : int
    """

    tests: pd.DataFrame = field(repr=False)
    primary: Hypothesis
    effect: Interval
    specific: Interval
    common: Interval
    replication: tuple[Interval, Interval]
    widest90: Interval
    changed_other: Interval
    changed_same: Interval
    fragility: Interval
    rarest_share: float
    primary_class_clusters: int
    n_donor_clusters: int


@dataclass(frozen=True)
class BackgroundContrast:
    """Judges the observations of one swap.

    Attributes
    ----------
    policy : Policy
    seed : int
        Of the multiplier draws behind the simultaneous intervals.
    """

    policy: Policy
    seed: int

    def __call__(self, observed: SwapObservations) -> Contrast:
        """All tests of the module's table; needs at least two levels and one observation."""
        family = list(hypotheses(observed))
        decision = self._family(observed, family, "swapped")
        common = self._family(observed, family, "common")
        specific = self._family(observed, family, "specific")
        at = int(np.argmax([abs(interval.estimate) for interval in decision]))
        turn = decision[at].estimate < 0
        primary = family[at].turned() if turn else family[at]
        halves = self._halves(observed, primary)
        rows = [
            *self._rows("donor_contrast", "decision", observed, family, decision),
            *self._rows("common_background", "decision", observed, family, common),
            *self._rows("specific", "decision", observed, family, specific),
            *self._halves_rows(observed, primary, halves),
            *self._share_rows(observed),
        ]
        if observed.probability is not None:
            probability = self._family(observed, family, "probability")
            rows += self._rows("donor_contrast", "probability", observed, family, probability)
        changes = changed_answers(observed, 1 - self.policy.alpha)
        rows += [self._row(name, "decision", interval) for name, interval in changes.items()]
        return Contrast(
            tests=pd.DataFrame(rows),
            primary=primary,
            replication=halves,
            effect=_turned(decision[at], turn),
            common=_turned(common[at], turn),
            specific=_turned(specific[at], turn),
            widest90=self._widest(observed, family),
            changed_other=changes["changed_other_level"],
            changed_same=changes["changed_same_level"],
            fragility=changes["mirrored_fragility"],
            rarest_share=rarest_share(observed),
            primary_class_clusters=_clusters_predicting(observed, primary.class_index),
            n_donor_clusters=_donor_clusters(observed, primary),
        )

    def _family(self, observed: SwapObservations, family: list[Hypothesis], source: str) -> list[_Tested]:
        """Simultaneous intervals of a whole family."""
        values = [_values(h, observed, source) for h in family]
        span = 2.0 if source == "specific" else 1.0  # a difference of two differences reaches further
        level = 1 - self.policy.alpha
        plain = [
            multiway_mean(v, *h.codes(observed), level=level, bounds=(-span, span))
            for h, v in zip(family, values, strict=True)
        ]
        influence = np.column_stack([cluster_influence(v, observed.recipient) for v in values])
        t = np.array([t_ratio(interval) for interval in plain])
        joint = max_t(influence, min(interval.df for interval in plain), 1 - self.policy.alpha, self.seed, t)
        return [
            _Tested.of(interval, joint.critical, float(p), span)
            for interval, p in zip(plain, joint.p_adjusted, strict=True)
        ]

    def _halves(self, observed: SwapObservations, primary: Hypothesis) -> tuple[Interval, Interval]:
        parts = [observed.take(observed.half == name) for name in ("a", "b")]
        level = 1 - 2 * self.policy.alpha
        a, b = (multiway_mean(primary.values(part, "swapped"), *primary.codes(part), level=level) for part in parts)
        return a, b

    def _widest(self, observed: SwapObservations, family: list[Hypothesis]) -> Interval:
        level = 1 - 2 * self.policy.alpha
        found = [multiway_mean(h.values(observed, "swapped"), *h.codes(observed), level=level) for h in family]
        return max(found, key=_reach)

    def _rows(
        self, test: str, scale: str, observed: SwapObservations, family: list[Hypothesis], found: list[_Tested]
    ) -> list[dict[str, Any]]:
        return [
            self._row(
                test,
                scale,
                interval,
                simultaneous=True,
                p_raw=interval.p_raw,
                p_adjusted=interval.p_adjusted,
                n_donor_clusters=_donor_clusters(observed, h),
                **h.names(observed),
            )
            for h, interval in zip(family, found, strict=True)
        ]

    def _halves_rows(
        self, observed: SwapObservations, primary: Hypothesis, halves: tuple[Interval, Interval]
    ) -> list[dict[str, Any]]:
        names = primary.names(observed)
        return [self._row(f"replication_{n}", "decision", half, **names) for n, half in zip("ab", halves, strict=True)]

    def _share_rows(self, observed: SwapObservations) -> Iterator[dict[str, Any]]:
        arms: dict[str, npt.NDArray[np.int64]] = {"own": observed.original}
        arms |= {level: observed.swapped[:, index] for index, level in enumerate(observed.levels)}
        for arm, predicted in arms.items():
            # The unchanged image is the same in every pass and counts once.
            known = (predicted >= 0) & ((observed.number == 0) if arm == "own" else True)
            for index, name in enumerate(observed.classes):
                hits = (predicted[known] == index).astype(float)
                interval = logit_t(hits, observed.recipient[known], 1 - self.policy.alpha)
                yield self._row("predicted_share", "decision", interval, class_name=name, arm=arm)

    def _row(self, test: str, scale: str, interval: Interval, **more: Any) -> dict[str, Any]:
        columns = estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha, **more)
        return {"cue": "background", "test": test, "scale": scale, "simultaneous": False, **columns}


def hypotheses(observed: SwapObservations) -> Iterator[Hypothesis]:
    """Every class that is predicted under some arm, with every pair of levels."""
    for class_index in np.unique(observed.swapped):
        for arm, reference in combinations(range(len(observed.levels)), 2):
            yield Hypothesis(int(class_index), arm, reference)


def changed_answers(observed: SwapObservations, level: float) -> dict[str, Interval]:
    """How often the answer changes: other level, same level (control), mirrored (fragility); kept answers."""
    placed = observed.take(observed.own >= 0)
    own = np.take_along_axis(placed.swapped, placed.own[:, None], axis=1)
    other = np.arange(len(observed.levels)) != placed.own[:, None]
    changed = _row_mean((placed.swapped != own).astype(float), other)
    kept = (own[:, 0] == placed.original) - _row_mean((placed.swapped == placed.original[:, None]).astype(float), other)
    first = observed.take((observed.number == 0) & (observed.original >= 0) & (observed.mirrored >= 0))
    flips = (first.original != first.mirrored).astype(float)
    return {
        "changed_other_level": logit_t(changed, placed.recipient, level),
        "changed_same_level": logit_t((placed.same != own[:, 0]).astype(float), placed.recipient, level),
        "same_minus_other": mean_t(kept, placed.recipient, level),
        "mirrored_fragility": clustered_wilson(flips, first.recipient, level),
    }


def rarest_share(observed: SwapObservations) -> float:
    """Share, in [0, 1], of the class that is predicted least often, over unchanged images and all swap arms."""
    predicted = np.concatenate([observed.original[observed.original >= 0], observed.swapped.ravel()])
    counts = np.bincount(predicted, minlength=len(observed.classes))
    return float(counts.min() / max(counts.sum(), 1))


@dataclass(frozen=True)
class _Tested(Interval):
    p_raw: float = np.nan
    p_adjusted: float = np.nan

    @classmethod
    def of(cls, interval: Interval, critical: float, p_adjusted: float, span: float) -> _Tested:
        p_raw = p_value(interval, span)
        half = critical * interval.standard_error
        # Where all observations agree there is no variance to scale; the interval's own bounds stay.
        low, high = (interval.estimate - half, interval.estimate + half) if half > 0 else (interval.low, interval.high)
        # With fewer than two clusters nothing bounds the effect but its own range.
        low, high = (low, high) if np.isfinite(half) else (-span, span)
        known = vars(interval) | {"low": max(-span, low), "high": min(span, high)}
        if interval.standard_error == 0 and p_raw is not None:
            p_adjusted = max(p_adjusted, p_raw)
        return cls(**known, p_raw=np.nan if p_raw is None else p_raw, p_adjusted=p_adjusted)


def _values(h: Hypothesis, observed: SwapObservations, source: str) -> Reals:
    if source == "specific":
        return h.values(observed, "swapped") - h.values(observed, "common")
    return h.values(observed, source)


def _turned(interval: Interval, turn: bool) -> Interval:
    if not turn:
        return interval
    return replace(interval, estimate=-interval.estimate, low=-interval.high, high=-interval.low)


def _reach(interval: Interval) -> float:
    """How far from 0 the interval reaches; one without bounds reaches furthest."""
    reach = max(abs(interval.low), abs(interval.high))
    return reach if np.isfinite(reach) else np.inf


def _row_mean(values: Reals, chosen: npt.NDArray[np.bool_]) -> Reals:
    return np.asarray((values * chosen).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1))


def _clusters_predicting(observed: SwapObservations, class_index: int) -> int:
    return len(set(observed.recipient[(observed.swapped == class_index).any(axis=1)]))


def _donor_clusters(observed: SwapObservations, h: Hypothesis) -> int:
    return min(len(set(observed.donor[:, h.arm])), len(set(observed.donor[:, h.reference])))
