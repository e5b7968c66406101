"""Coverage of the intervals of the donor contrast, for many data sets at once.

The arithmetic of :func:`~figureground.audit.judge.clustered.multiway_mean` is repeated here on matrices, one column
per data set; in every plan the first data sets are computed by the package's own functions as well, and a difference
stops the simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse, stats

from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.intervals import unanimous_bounds
from figureground.audit.judge.multiplicity import max_t
from simulated.worlds import DESIGNS, STEEP, Plan, draw_plan, latent, mean_probability

#: Shares of the class under the reference and under the arm.
OUTCOMES = ((0.02, 0.02), (0.1, 0.1), (0.5, 0.5), (0.02, 0.07), (0.1, 0.15), (0.1, 0.3), (0.5, 0.7), (0.2, 0.8))
RARE = (0.02, 0.02)
MARGIN, MARGIN_LOG_ODDS = 0.05, 0.41
#: Data sets of every plan that the package itself computes too.
CHECKED = 1


@dataclass(frozen=True)
class Estimates:
    """Means of many data sets with the moments that their intervals need, float64 ``[R]`` each."""

    mean: np.ndarray
    variance: np.ndarray
    square: np.ndarray
    jump: np.ndarray
    fewest: int
    reach: float

    @classmethod
    def of(cls, values: np.ndarray, codes: list[np.ndarray], reach: float) -> Estimates:
        mean, square = values.mean(axis=0), (values**2).mean(axis=0)
        jump = (np.abs(values) ** 3).mean(axis=0) / np.maximum(square, 1e-300)
        jump = np.minimum(jump, square / np.maximum(np.abs(mean), 1e-300))
        fewest = min(len(np.unique(code)) for code in codes)
        found = cls(mean, multiway(values - mean, codes), square, jump, fewest, reach)
        found.compare(values, codes)
        return found

    def compare(self, values: np.ndarray, codes: list[np.ndarray]) -> None:
        """The package's own functions on the first data sets."""
        bounds = (-self.reach, self.reach) if np.isfinite(self.reach) else None
        for at in range(CHECKED):
            own = multiway_mean(values[:, at], *codes, bounds=bounds)
            ours = self.statistic(0.037)[at]
            assert np.isclose(own.statistic(0.037), ours, rtol=1e-7) or own.standard_error == 0, (own, ours)
            assert own.df == self.fewest - 1

    def statistic(self, value: float) -> np.ndarray:
        """Of the score test where values are bounded, else Wald's."""
        wald = (self.mean - value) / np.sqrt(np.maximum(self.variance, 1e-300))
        if not np.isfinite(self.reach):
            return wald
        jump = np.where(self.jump > 0, self.jump, 1.0)
        at, sign = np.minimum(abs(value) / jump, 1.0), 1.0 if value >= 0 else -1.0
        own, square = sign * self.mean / jump, self.square / jump**2
        b = (2 - own) * at - square
        least = (np.sqrt(b * b + 4 * np.maximum(square - own, 0) * at * (1 - at)) - b) / 4
        restricted = 2 * least + at * (1 - at)
        found = wald * np.sqrt((square - own**2) / np.maximum(restricted, 1e-300))
        return np.where(at >= 1, -sign * np.inf, found)

    def misses(self, truth: float, level: float, critical: np.ndarray | float | None = None) -> np.ndarray:
        """Whether the truth lies below or above the interval, bool ``[2, R]``."""
        if critical is None:
            critical = stats.t.ppf((1 + level) / 2, self.fewest - 1)
        found = self.statistic(truth)
        below, above = found > critical, found < -np.asarray(critical)
        still = self.variance < 1e-24
        if still.any() and np.isfinite(self.reach):
            low, high = unanimous_bounds(self.mean[still], self.fewest, level, -self.reach, self.reach)
            below[still], above[still] = truth < low, truth > high
        return np.stack([below, above])

    def within(self, margin: float) -> np.ndarray:
        """Whether the interval at 90 % keeps within the margin: what is called negligible."""
        return self.misses(margin, 0.9)[1] & self.misses(-margin, 0.9)[0]


def multiway(centred: np.ndarray, codes: list[np.ndarray]) -> np.ndarray:
    """Multiway jackknife variance of every column's mean, at least the largest one-way variance."""
    total, floor = np.zeros(centred.shape[1]), np.zeros(centred.shape[1])
    for size in range(1, len(codes) + 1):
        for chosen in combinations(codes, size):
            joint = np.unique(np.stack(chosen), axis=1, return_inverse=True)[1].ravel()
            sums, share = grouped(centred, joint)
            part = (len(share) - 1) / len(share) * np.square(sums / len(joint) / (1 - share)[:, None]).sum(axis=0)
            total += (-1) ** (size + 1) * part
            floor = np.maximum(floor, part) if size == 1 else floor
    return np.maximum(total, floor)


def grouped(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over groups, ``[G, R]``, and the share of rows of each group."""
    n = len(codes)
    members = sparse.csr_matrix((np.ones(n), (codes, np.arange(n))))
    return members @ values, np.bincount(codes) / n


def contrast_cell(groups: int, design: str, plans: int, copies: int) -> Iterator[tuple[str, str, float, int]]:
    """(interval, outcome, data sets that hold the truth or show an error, data sets) of all outcomes."""
    kind, icc = DESIGNS[design]
    for seed in range(plans):
        plan = draw_plan(groups, kind, seed)
        if plan is None:
            return
        rng = np.random.default_rng([seed, groups, 11])
        z, other = latent(plan, copies, icc, rng), latent(plan, copies, icc, rng)
        common = 0.8 * z[..., :1] + 0.6 * other  # the control: the same recipients, no effect of the level
        for outcome in OUTCOMES:
            yield from _outcome(plan, z, common, outcome, copies)
        yield from _log_odds(plan, z, copies)


def _outcome(
    plan: Plan, z: np.ndarray, common: np.ndarray, outcome: tuple[float, float], copies: int
) -> Iterator[tuple[str, str, float, int]]:
    low, high = stats.norm.ppf(outcome)
    truth, name = outcome[1] - outcome[0], f"{outcome[0]:g} and {outcome[1]:g}"
    whole, thresholds = slice(None), np.array([low, high])
    answers, controls = (z < thresholds).astype(float), (common < low).astype(float)
    swapped, control = (part[..., 1] - part[..., 0] for part in (answers, controls))
    codes = plan.codes(1, 0, whole)
    effect = Estimates.of(swapped, codes, 1.0)
    yield "effect", name, held(effect.misses(truth, 0.95)), copies
    yield "equivalence, decisions", name, held(effect.misses(truth, 0.9)), copies
    if abs(truth - MARGIN) < 1e-9:
        yield "TOST size, decisions", name, float(effect.within(MARGIN).sum()), copies
    specific = Estimates.of(swapped - control, codes, 2.0)
    yield "specific effect", name, held(specific.misses(truth, 0.95)), copies
    likely = 1 / (1 + np.exp(-STEEP * (thresholds - z)))
    probable = Estimates.of(likely[..., 1] - likely[..., 0], codes, 1.0)
    moved = mean_probability(high) - mean_probability(low)
    yield "equivalence, probabilities", name, held(probable.misses(moved, 0.9)), copies
    for half in (plan.half, ~plan.half):
        parts = plan.codes(1, 0, half)
        if half.any() and min(len(np.unique(code)) for code in parts) > 1:
            yield "halves", name, held(Estimates.of(swapped[half], parts, 1.0).misses(truth, 0.9)), copies
    part = plan.cluster[plan.recipient] % 3 == 0
    if plan.n_clusters >= 60:
        third = Estimates.of(swapped[part], plan.codes(1, 0, part), 1.0)
        yield "subgroup (a third of the clusters)", name, held(third.misses(truth, 0.95)), copies


def _log_odds(plan: Plan, z: np.ndarray, copies: int) -> Iterator[tuple[str, str, float, int]]:
    difference = STEEP * (z[..., 0] - z[..., 1])
    for truth in (0.0, MARGIN_LOG_ODDS, 1.6):
        found = Estimates.of(difference + truth, plan.codes(1, 0, slice(None)), np.inf)
        yield "effect, log-odds", f"{truth:g}", held(found.misses(truth, 0.95)), copies
        if truth == MARGIN_LOG_ODDS:
            yield "TOST size, log-odds", f"{truth:g}", float(found.within(MARGIN_LOG_ODDS).sum()), copies


def held(misses: np.ndarray) -> float:
    """Data sets whose interval holds the truth."""
    return float((~misses.any(axis=0)).sum())


def family_cell(groups: int, design: str, plans: int, copies: int) -> Iterator[tuple[str, str, float, int]]:
    """Three levels, three classes, nine hypotheses: whether all intervals hold, and whether any excludes 0."""
    kind, icc = DESIGNS[design]
    own_shares = np.array([0.2, 0.3, 0.5])
    for seed in range(plans):
        plan = draw_plan(groups, kind, seed, 3)
        if plan is None:
            return
        rng = np.random.default_rng([seed, groups, 13])
        z = latent(plan, copies, icc, rng)
        # Answers without the cue: the object's own, common to all arms, and now and then another.
        own = rng.choice(3, (len(plan.cluster), copies), p=own_shares)[plan.recipient][..., None]
        other = rng.choice(3, z.shape, p=own_shares)
        answer = np.where(rng.random(z.shape) < 0.2, other, own)
        for follow in (0.0, 0.3):
            pulled = z < stats.norm.ppf(follow) if follow else np.zeros(z.shape, dtype=bool)
            given = np.where(pulled, np.arange(3), answer)
            yield from _family(plan, given, follow, copies)


def _family(plan: Plan, given: np.ndarray, follow: float, copies: int) -> Iterator[tuple[str, str, float, int]]:
    whole, estimates, truths, columns = slice(None), [], [], []
    for kind in range(3):
        for arm, reference in combinations(range(3), 2):
            values = (given[..., arm] == kind).astype(float) - (given[..., reference] == kind)
            truths.append(follow * ((kind == arm) - (kind == reference)))
            estimates.append(Estimates.of(values, plan.codes(arm, reference, whole), 1.0))
            columns.append(grouped(values - values.mean(axis=0), plan.cluster[plan.recipient])[0])
    influence, df = np.stack(columns, axis=2), min(found.fewest for found in estimates) - 1
    critical = np.array([max_t(influence[:, at], df, 0.95, at, draws=2000).critical for at in range(copies)])
    pairs = list(zip(estimates, truths, strict=True))
    missed = np.any([found.misses(truth, 0.95, critical).any(axis=0) for found, truth in pairs], axis=0)
    yield "family, all at once", f"pull {follow:g}", float((~missed).sum()), copies
    largest = np.abs([found.mean for found in estimates]).argmax(axis=0)
    each = np.array([found.misses(truth, 0.95, critical).any(axis=0) for found, truth in pairs])
    yield "family, the largest", f"pull {follow:g}", float((~each[largest, np.arange(copies)]).sum()), copies
    if not follow:
        alarm = np.any([found.misses(0.0, 0.95, critical).any(axis=0) for found in estimates], axis=0)
        yield "false alarm, no effect", "any of nine", float(alarm.sum()), copies
