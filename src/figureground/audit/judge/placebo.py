"""The same data with the arms exchanged at random: what effects does chance alone show, and how often one as large?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from figureground.audit.declared.config import Policy
from figureground.audit.judge.effects import UNBOUNDED, Scale
from figureground.audit.judge.intervals import cluster_codes
from figureground.audit.judge.observations import Reals, SwapObservations


@dataclass(frozen=True)
class Placebo:
    """Effects under permuted arms.

    Attributes
    ----------
    p : float
        Exact: ``(1 + draws that reach the effect) / (1 + draws)``.
    reference_95 : float
        95 % of the placebo effects are no larger than this.
    draws, n, n_clusters : int
    """

    p: float
    reference_95: float
    draws: int
    n: int
    n_clusters: int


def placebo(observed: SwapObservations, policy: Policy, seed: int, scale: Scale) -> Placebo:
    """Permute the arms of whole recipient clusters; the statistic is the largest effect of any class, pair and part.

    If the levels do not matter, every arm is as good as any other within a recipient, whatever the model is like: the
    p needs no other assumption but that clusters are independent.
    """
    sums, total = _by_cluster(observed, scale)
    effect = _largest(sums.sum(axis=0) / total)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x9B]))
    draws = np.array([_largest(_permuted(sums, rng) / total) for _ in range(policy.placebo_draws)])
    p = (1 + int((draws >= effect - 1e-12).sum())) / (1 + len(draws))
    return Placebo(p, float(np.quantile(draws, 0.95)), len(draws), len(observed), len(sums))


def _by_cluster(observed: SwapObservations, scale: Scale) -> tuple[Reals, int]:
    """Sums over each recipient cluster, float64 ``[G, P, C, E]``, and the number of observations."""
    if scale in UNBOUNDED and observed.logits is not None:
        values = (observed.logits[..., -1] - observed.logits[..., 0])[:, :, None]
    else:
        classes = np.unique(observed.swapped)
        values = (observed.swapped[:, :, None] == classes[:, None]).astype(np.float64)
    codes = cluster_codes(observed.recipient)
    sums = np.zeros((int(codes.max()) + 1, *values.shape[1:]))
    np.add.at(sums, codes, values)
    return sums, len(observed)


def _permuted(sums: Reals, rng: np.random.Generator) -> Reals:
    order = rng.random((len(sums), sums.shape[-1])).argsort(axis=1)
    return np.asarray(np.take_along_axis(sums, order[:, None, None, :], axis=3).sum(axis=0))


def _largest(means: Reals) -> float:
    return float((means.max(axis=-1) - means.min(axis=-1)).max())
