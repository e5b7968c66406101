"""The donor contrast: how much more often is a class predicted under one level of a cue than under another?

``effect[c, e, e', part] = mean over recipients and passes of 1(prediction = c | donor e) - 1(prediction = c | e')``

on the decision scale, with the same difference of probabilities or log-odds beside it. The statistic is the largest
effect, with an interval that covers the whole family at once (max-T), variance clustered by recipient and by both
donors.

Rows of the ``tests`` table made here:

===================== =====================================================================================
donor_contrast        the effect, every class, pair of levels and part
control               the same in the matched control: what the change does that is not the cue
specific              donor_contrast minus control, paired
replication_a, _b     the primary effect in each of two disjoint halves of recipients and donors, one-sided
predicted_share       how often a class is predicted under an arm ("own": unchanged image)
changed_other_level   answer with the cue of another level differs from that with one of the own level
changed_same_level    control: answers with two donors of the own level differ
reference_fragility   answer with the own cue put back by the same machinery differs from the unchanged one
same_minus_other      original answer kept with own-level minus with other-level donors (secondary)
on_positives          the primary effect on recipients of the second of two classes, or that have the finding
on_negatives          and on the others
===================== =====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.judge.changes import changed_answers
from figureground.audit.judge.clustered import cluster_influence, multiway_mean
from figureground.audit.judge.effects import (
    Clusterings,
    Hypothesis,
    Scale,
    Which,
    hypotheses,
    limits,
    material,
    negligible,
    scales,
    span,
)
from figureground.audit.judge.intervals import Interval, logit_t
from figureground.audit.judge.multiplicity import max_t, tost
from figureground.audit.judge.observations import WHOLE, SwapObservations
from figureground.audit.judge.rows import estimate_columns, p_value


@dataclass(frozen=True)
class Simultaneous(Interval):
    """An interval of a family, simultaneous with the others, with p values.

    ``p_material`` is of the hypothesis that the effect is no larger than the material one.
    """

    p_raw: float = np.nan
    p_adjusted: float = np.nan
    p_material: float = np.nan

    def turned(self) -> Simultaneous:
        """With the opposite sign."""
        return replace(self, estimate=-self.estimate, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class Equivalence:
    """The effect that reaches furthest from 0 at level 1 - 2 alpha on one scale, and the margin it must keep."""

    scale: Scale
    widest: Interval
    margin: float


@dataclass(frozen=True)
class Contrast:
    """What changing one cue showed.

    Attributes
    ----------
    cue : str
    scale : {"decision", "log_odds", "native"}
        The scale that judges.
    tests : pandas.DataFrame
        Rows of the ``tests`` table.
    primary : Hypothesis
        The largest effect, turned so that it is positive.
    part : str or None
        Name of its part; None for a cue that is changed as a whole.
    effect, specific, control : Simultaneous
        Of the primary hypothesis, simultaneous over the family.
    replication : tuple of Interval
        In the halves a and b, two-sided level 1 - 2 alpha (one-sided alpha).
    equivalence : tuple of Equivalence
        An effect is negligible if it is on all of these scales.
    changed_other, changed_same, fragility : Interval
        ``fragility`` has n = 0 where the cue has no reference arm.
    rarest_share : float
        Share of predictions of the class that is predicted least, over unchanged images and swap arms.
    primary_class_clusters, n_clusters, n_recipients, n_donor_clusters, n_positive_clusters : int
        Independent units: in which the primary class is predicted in some arm, of recipients, images, donors of the
        rarer arm, of recipients of the second class.
    on_positives, on_negatives : Interval or None
        The primary effect on recipients of the second of two classes and of the first; None beyond two classes.
    """

    cue: str
    scale: Scale
    tests: pd.DataFrame = field(repr=False)
    primary: Hypothesis
    part: str | None
    effect: Simultaneous
    specific: Simultaneous
    control: Simultaneous
    replication: tuple[Interval, Interval]
    equivalence: tuple[Equivalence, ...]
    changed_other: Interval
    changed_same: Interval
    fragility: Interval
    rarest_share: float
    primary_class_clusters: int
    n_clusters: int
    n_recipients: int
    n_donor_clusters: int
    n_positive_clusters: int
    on_positives: Interval | None = None
    on_negatives: Interval | None = None

    @property
    def replicated(self) -> bool:
        """Whether the primary effect shows in each half by itself."""
        return all(half.low > 0 for half in self.replication)

    @property
    def shown(self) -> bool:
        """An effect of the intervention, beyond its control, found again in both halves."""
        return self.effect.low > 0 and self.specific.low > 0 and self.replicated

    def negligible(self, alpha: float) -> bool:
        """Whether every effect is shown to keep within the margin, on every scale."""
        return all(tost(item.widest, item.margin, alpha) for item in self.equivalence)

    def hardly_moves(self, alpha: float) -> bool:
        """Whether the mean probabilities are shown to keep within their margin, whatever the decisions do.

        So it is with untrained weights: all pictures lie at the boundary, and anything at all flips the decision.
        """
        beside = self.equivalence if self.scale == "decision" else ()
        return any(item.scale == "probability" and tost(item.widest, item.margin, alpha) for item in beside)

    @property
    def bound(self) -> float:
        """Effects of this size or more are excluded at level 1 - alpha, on the scale that judges."""
        return _reach(self.equivalence[0].widest)


@dataclass(frozen=True)
class DonorContrast:
    """Judges the observations of one cue.

    Attributes
    ----------
    policy : Policy
    seed : int
        Of the multiplier draws behind the simultaneous intervals.
    scale : {"decision", "log_odds", "native"}
        The scale wanted; decisions where logits were not kept.
    """

    policy: Policy
    seed: int
    scale: Scale = "decision"

    def __call__(self, observed: SwapObservations) -> Contrast:
        """All tests of the module's table; needs at least two levels and one observation."""
        codes, used = Clusterings.of(observed), scales(observed, self.scale)
        scale = used[0]
        family = list(hypotheses(observed, scale))
        effects = {w: self.family(observed, codes, family, scale, w) for w in ("swapped", "control", "specific")}
        at = int(np.argmax([abs(interval.estimate) for interval in effects["swapped"]]))
        turn = effects["swapped"][at].estimate < 0
        primary = family[at].turned() if turn else family[at]
        found = {which: (tested[at].turned() if turn else tested[at]) for which, tested in effects.items()}
        halves = self._halves(observed, codes, primary, scale)
        apart = self._by_label(observed, codes, primary, scale)
        least = material(self.policy, scale) if scale == "native" else None
        changes = changed_answers(observed, 1 - self.policy.alpha, primary.part, least)
        rows = [
            *self._rows("donor_contrast", scale, observed, codes, family, effects["swapped"]),
            *self._rows("control", scale, observed, codes, family, effects["control"]),
            *self._rows("specific", scale, observed, codes, family, effects["specific"]),
            *self._halves_rows(observed, primary, scale, halves),
            *(self._row(observed, name, scale, part, **primary.names(observed)) for name, part in apart.items()),
            *self._share_rows(observed),
            *self._beside(observed, codes, used[1:]),
            *(
                self._row(observed, name, "decision", interval, part=primary.names(observed)["part"])
                for name, interval in changes.items()
            ),
        ]
        return Contrast(
            cue=observed.cue,
            scale=scale,
            tests=pd.DataFrame(rows),
            primary=primary,
            part=primary.names(observed)["part"],
            effect=found["swapped"],
            specific=found["specific"],
            control=found["control"],
            replication=halves,
            equivalence=tuple(self._equivalence(observed, codes, name) for name in used),
            changed_other=changes["changed_other_level"],
            changed_same=changes["changed_same_level"],
            fragility=changes["reference_fragility"],
            rarest_share=rarest_share(observed),
            primary_class_clusters=_clusters_predicting(observed, primary.class_index),
            n_clusters=observed.n_clusters,
            n_recipients=observed.n_recipients,
            n_donor_clusters=_donor_clusters(codes, primary),
            n_positive_clusters=len(set(observed.recipient[observed.label == len(observed.classes) - 1])),
            on_positives=apart.get("on_positives"),
            on_negatives=apart.get("on_negatives"),
        )

    def family(
        self,
        observed: SwapObservations,
        codes: Clusterings,
        family: Sequence[Hypothesis],
        scale: Scale,
        which: Which = "swapped",
    ) -> list[Simultaneous]:
        """Simultaneous intervals of a whole family of hypotheses."""
        values = [h.values(observed, scale, which) for h in family]
        reach, level, bounds = span(scale, which), 1 - self.policy.alpha, limits(scale, which)
        plain = [
            multiway_mean(v, *codes.of_hypothesis(h), level=level, bounds=bounds, weights=observed.weight)
            for h, v in zip(family, values, strict=True)
        ]
        influence = np.column_stack([cluster_influence(v, codes.recipient, observed.weight) for v in values])
        df = min(interval.df for interval in plain)
        joint = max_t(influence, df, level, self.seed, np.array([interval.statistic() for interval in plain]))
        limit = material(self.policy, scale)
        shifted = np.array([_beyond(interval, limit) for interval in plain])
        beyond = max_t(influence, df, level, self.seed, shifted).p_adjusted
        return [
            _tested(interval, joint.critical, float(p), float(q) if t > 0 else 1.0, reach)
            for interval, p, q, t in zip(plain, joint.p_adjusted, beyond, shifted, strict=True)
        ]

    def _halves(
        self, observed: SwapObservations, codes: Clusterings, primary: Hypothesis, scale: Scale
    ) -> tuple[Interval, Interval]:
        level = 1 - 2 * self.policy.alpha
        values = primary.values(observed, scale)
        bounds = limits(scale, "swapped")
        parts = [observed.half == name for name in ("a", "b")]
        a, b = (
            multiway_mean(
                values[part],
                *codes.take(part).of_hypothesis(primary),
                level=level,
                bounds=bounds,
                weights=observed.take(part).weight,
            )
            for part in parts
        )
        return a, b

    def _by_label(
        self, observed: SwapObservations, codes: Clusterings, primary: Hypothesis, scale: Scale
    ) -> dict[str, Interval]:
        """The primary effect where the recipient is of the second of two classes, and where it is not."""
        if len(observed.classes) != 2:
            return {}
        values, reach = primary.values(observed, scale), span(scale, "swapped")
        bounds = (-reach, reach) if np.isfinite(reach) else None
        parts = {"on_positives": observed.label == 1, "on_negatives": observed.label == 0}
        return {
            name: multiway_mean(
                values[part],
                *codes.take(part).of_hypothesis(primary),
                level=1 - self.policy.alpha,
                bounds=bounds,
                weights=observed.take(part).weight,
            )
            for name, part in parts.items()
        }

    def _equivalence(self, observed: SwapObservations, codes: Clusterings, scale: Scale) -> Equivalence:
        level = 1 - 2 * self.policy.alpha
        bounds = limits(scale, "swapped")
        found = [
            multiway_mean(
                h.values(observed, scale), *codes.of_hypothesis(h), level=level, bounds=bounds, weights=observed.weight
            )
            for h in hypotheses(observed, scale)
        ]
        return Equivalence(scale, max(found, key=_reach), negligible(self.policy, scale))

    def _beside(
        self, observed: SwapObservations, codes: Clusterings, further: Sequence[Scale]
    ) -> Iterator[dict[str, Any]]:
        for scale in further:
            family = list(hypotheses(observed, scale))
            yield from self._rows(
                "donor_contrast", scale, observed, codes, family, self.family(observed, codes, family, scale)
            )

    def _rows(
        self,
        test: str,
        scale: Scale,
        observed: SwapObservations,
        codes: Clusterings,
        family: Sequence[Hypothesis],
        found: Sequence[Simultaneous],
    ) -> list[dict[str, Any]]:
        return [
            self._row(
                observed,
                test,
                scale,
                interval,
                simultaneous=True,
                p_raw=interval.p_raw,
                p_adjusted=interval.p_adjusted,
                n_donor_clusters=_donor_clusters(codes, h),
                **h.names(observed),
            )
            for h, interval in zip(family, found, strict=True)
        ]

    def _halves_rows(
        self, observed: SwapObservations, primary: Hypothesis, scale: Scale, halves: tuple[Interval, Interval]
    ) -> list[dict[str, Any]]:
        names = primary.names(observed)
        return [
            self._row(observed, f"replication_{n}", scale, half, **names) for n, half in zip("ab", halves, strict=True)
        ]

    def _share_rows(self, observed: SwapObservations) -> Iterator[dict[str, Any]]:
        if observed.parts != (WHOLE,):
            return  # a share for every cell of a grid says nothing that the contrast does not
        arms: dict[str, npt.NDArray[np.int64]] = {"own": observed.original}
        arms |= {level: observed.swapped[:, 0, index] for index, level in enumerate(observed.levels)}
        for arm, predicted in arms.items():
            # The unchanged image is the same in every pass and counts once.
            known = (predicted >= 0) & ((observed.number == 0) if arm == "own" else True)
            for index, name in enumerate(observed.classes):
                hits = (predicted[known] == index).astype(float)
                weights = observed.take(known).weight
                interval = logit_t(hits, observed.recipient[known], 1 - self.policy.alpha, weights=weights)
                yield self._row(observed, "predicted_share", "decision", interval, class_name=name, arm=arm)

    def _row(
        self, observed: SwapObservations, test: str, scale: str, interval: Interval, **more: Any
    ) -> dict[str, Any]:
        columns = estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha, **more)
        return {"cue": observed.cue, "test": test, "scale": scale, "simultaneous": False, **columns}


def rarest_share(observed: SwapObservations) -> float:
    """Share, in [0, 1], of the class that is predicted least often, over unchanged images and all swap arms."""
    predicted = np.concatenate([observed.original[observed.original >= 0], observed.swapped.ravel()])
    counts = np.bincount(predicted, minlength=len(observed.classes))
    return float(counts.min() / max(counts.sum(), 1))


def _tested(interval: Interval, critical: float, p_adjusted: float, p_material: float, reach: float) -> Simultaneous:
    p_raw = p_value(interval, reach if np.isfinite(reach) else 1.0)
    # Where all observations agree there is no variance to scale; the interval's own bounds stay.
    low, high = (interval.low, interval.high) if interval.standard_error == 0 else interval.bounds_at(critical)
    # With fewer than two clusters nothing bounds the effect but its own range.
    low, high = (low, high) if np.isfinite(low) and np.isfinite(high) else (-reach, reach)
    known = {item.name: getattr(interval, item.name) for item in fields(Interval)}
    known |= {"low": max(-reach, low), "high": min(reach, high)}
    if interval.standard_error == 0 and p_raw is not None:
        p_adjusted, p_material = max(p_adjusted, p_raw), max(p_material, p_raw)
    return Simultaneous(**known, p_raw=np.nan if p_raw is None else p_raw, p_adjusted=p_adjusted, p_material=p_material)


def _beyond(interval: Interval, limit: float) -> float:
    """By how many standard errors the effect, of either sign, exceeds the limit; 0 where it does not."""
    if not abs(interval.estimate) > limit:
        return 0.0
    return abs(interval.statistic(math.copysign(limit, interval.estimate)))


def _reach(interval: Interval) -> float:
    """How far from 0 the interval reaches; one without bounds reaches furthest."""
    reach = max(abs(interval.low), abs(interval.high))
    return reach if np.isfinite(reach) else np.inf


def _clusters_predicting(observed: SwapObservations, class_index: int) -> int:
    return len(set(observed.recipient[(observed.swapped == class_index).any(axis=(1, 2))]))


def _donor_clusters(codes: Clusterings, h: Hypothesis) -> int:
    return min(len(np.unique(codes.donor[:, h.arm])), len(np.unique(codes.donor[:, h.reference])))
