"""Coverage of intervals for one mean, proportion or curve, and the size of tests; by the package's own functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import Direction
from figureground.audit.judge.intervals import Interval, clustered_wilson, logit_t, mean_t
from figureground.audit.judge.multiplicity import benjamini_yekutieli, holm
from figureground.audit.judge.observations import SwapObservations
from figureground.audit.judge.performance import performance_gap
from figureground.audit.judge.placebo import placebo
from figureground.audit.judge.roc import auroc_interval
from simulated.worlds import DESIGNS, Plan, cluster_sizes, draw_plan, latent

Found = Iterator[tuple[str, str, float, int]]


def single_cell(groups: int, design: str, copies: int) -> Found:
    """Shares, log density ratios, proportions, performance gap and AUROC of one design."""
    kind, icc = DESIGNS[design]
    rng = np.random.default_rng([groups, len(design), 17])
    hits: dict[tuple[str, str], int] = {}
    for _ in range(copies):
        codes = np.repeat(np.arange(groups), cluster_sizes(kind, groups, rng))
        z = np.sqrt(icc) * rng.standard_normal(groups)[codes] + np.sqrt(1 - icc) * rng.standard_normal(codes.size)
        for name, outcome, truth, interval in _means(z, codes):
            hits.setdefault((name, outcome), 0)
            hits[name, outcome] += bool(interval.low <= truth <= interval.high)
    yield from ((name, outcome, float(count), copies) for (name, outcome), count in hits.items())


def _means(z: np.ndarray, codes: np.ndarray) -> Iterator[tuple[str, str, float, Interval]]:
    yield "share, logit-t", "median 0.7", *_share(z, codes)
    skewed = np.exp(0.5 * z)
    yield "log density ratio, t", "normal", 0.0, mean_t(z, codes)
    yield "log density ratio, t", "log-normal", float(np.exp(0.125)), mean_t(skewed, codes)
    for rate in (0.02, 0.1, 0.5, 0.9):
        answers = (z < stats.norm.ppf(rate)).astype(float)
        yield "proportion, Wilson", f"{rate:g}", rate, clustered_wilson(answers, codes)
    # Weighted: every second cluster was drawn ten times less often, and has another mean.
    weights, shift = np.where(codes % 2, 10.0, 1.0), np.where(codes % 2, 0.5, 0.0)
    odd = (codes.max() + 1) // 2
    even = codes.max() + 1 - odd
    truth = float((10 * odd * stats.norm.cdf(stats.norm.ppf(0.3) - 0.5) + 0.3 * even) / (10 * odd + even))
    answers = (z + shift < stats.norm.ppf(0.3)).astype(float)
    yield "weighted proportion, Wilson", "rates 1 to 10", truth, clustered_wilson(answers, codes, weights=weights)
    yield "AUROC, t", "0.76", float(stats.norm.cdf(1 / np.sqrt(2))), _auroc(z, codes)


def _share(z: np.ndarray, codes: np.ndarray) -> tuple[float, Interval]:
    # A share that is beta distributed whatever the correlation: Beta(3.5, 1.5) has the mean 0.7.
    return 0.7, logit_t(stats.beta.ppf(stats.norm.cdf(z), 3.5, 1.5), codes)


def _auroc(z: np.ndarray, codes: np.ndarray) -> Interval:
    positive = codes % 2 == 0
    auroc, low, high = auroc_interval(z + positive, positive, codes.astype(object), 0.95)
    return Interval(auroc, low, high, 0.95, codes.size, int(codes.max()) + 1, np.nan, np.nan)


def gap_cell(groups: int, design: str, copies: int) -> Found:
    """The performance gap: labels and environments by cluster, a true gap of 0.2."""
    kind, icc = DESIGNS[design]
    rng = np.random.default_rng([groups, len(design), 19])
    direction = Direction(class_name="cat", arm="grass", reference="gravel")
    hits = 0
    for _ in range(copies):
        codes = np.repeat(np.arange(groups), cluster_sizes(kind, groups, rng))
        z = np.sqrt(icc) * rng.standard_normal(groups)[codes] + np.sqrt(1 - icc) * rng.standard_normal(codes.size)
        cat, grass = codes % 2 == 0, codes // 2 % 2 == 0
        right = np.where(cat == grass, 0.9, 0.7)
        rows = pd.DataFrame(
            {
                "cluster": codes,
                "label": np.where(cat, "cat", "dog"),
                "environment": np.where(grass, "grass", "gravel"),
                "correct": (z < stats.norm.ppf(right)).astype(float),
            }
        )
        found = performance_gap(rows, direction, Policy(), 0, permutations=1)  # its p is not looked at
        hits += bool(found["ci_low"] <= 0.2 <= found["ci_high"])
    yield "performance gap, t", "0.9 and 0.7", float(hits), copies


def observed(plan: Plan, answers: np.ndarray) -> SwapObservations:
    """Answers 0 or 1 of one data set, ``[N, E]``, as the judge gets them."""
    empty = np.zeros(len(answers), dtype=np.int64)
    names = np.array([f"c{code:04d}" for code in plan.cluster], dtype=object)
    return SwapObservations(
        cue="background", levels=("grass", "gravel"), classes=("cat", "dog"), parts=("",), row_id=plan.recipient,
        number=empty, recipient=names[plan.recipient], half=np.where(plan.half, "b", "a").astype(object), own=empty,
        label=empty, original=empty, reference=empty, same=empty, swapped=answers[:, None], control=answers[:, None],
        donor=names[plan.donor], donor_row=plan.donor, logits=None, control_logits=None, original_logits=None,
        score=None, control_score=None, incomplete={},
    )  # fmt: skip


def placebo_cell(groups: int, design: str, plans: int, copies: int) -> Found:
    """How often the placebo's p stays at or below 0.05 where the level has no effect."""
    kind, icc = DESIGNS[design]
    for seed in range(plans):
        plan = draw_plan(groups, kind, seed)
        if plan is None:
            return
        answers = (latent(plan, copies, icc, np.random.default_rng([seed, groups, 23])) < -0.5).astype(np.int64)
        policy = Policy(placebo_draws=99)
        p = [placebo(observed(plan, answers[:, at]), policy, at, "decision").p for at in range(copies)]
        yield "placebo, p <= 0.05", "no effect", float(np.sum(np.array(p) <= 0.05)), copies


def families(copies: int) -> Found:
    """Holm's false alarms and the false discoveries of Benjamini and Yekutieli: ten correlated tests, five effects."""
    rng = np.random.default_rng(29)
    z = np.sqrt(0.5) * rng.standard_normal((copies, 1)) + np.sqrt(0.5) * rng.standard_normal((copies, 10))
    p = 2 * stats.norm.sf(np.abs(z + np.where(np.arange(10) < 5, 3.0, 0.0)))
    false = [(holm(row) <= 0.05)[5:].any() for row in p]
    yield "Holm, any false alarm", "five of ten", float(np.sum(false)), copies
    called = [benjamini_yekutieli(row) <= 0.05 for row in p]
    share = [row[5:].sum() / max(row.sum(), 1) for row in called]
    yield "Benjamini-Yekutieli, false discoveries", "five of ten", float(np.sum(share)), copies
