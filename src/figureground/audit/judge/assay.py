"""Would this audit have found a reliance if there were one? Known ones are implanted and audited, with no model.

``f'(x) = logits(x) + weight * u_c * g(x)``, where g reads the cue from the picture (``measure/scores.py``) and the
weight gives the reliance its size. The implanted model is then seen as the audit sees any: through the composites,
which may carry the cue only in part, and against the control. An effect counts as found where the lower bound of the
specific effect lies above 0. Redraws of the recipients' clusters give the power.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import Assay
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.effects import UNBOUNDED, Clusterings, Scale, material
from figureground.audit.judge.implant import Implant
from figureground.audit.judge.multiplicity import max_t
from figureground.audit.judge.observations import Reals, SwapObservations

#: Sizes on the log-odds scale: odds ratios of 1.5, 2 and 3.
LOG_ODDS_EFFECTS = (0.41, 0.69, 1.10)
#: Implanted effects on a number, in multiples of the one that matters.
_TIMES_MATERIAL = (0.5, 1.0, 2.0)
#: Beyond this many hypotheses the donors' share of the variance is not computed for each.
_MANY = 12


@dataclass(frozen=True)
class SpikeIn:
    """Audits implanted reliances.

    Attributes
    ----------
    policy : Policy
        Sizes, redraws, and the power that counts as enough.
    seed : int
    """

    policy: Policy
    seed: int

    def __call__(self, observed: SwapObservations, scores: pd.Series | None, scale: Scale) -> Assay:
        """Power by size of the implant.

        Parameters
        ----------
        observed : SwapObservations
            With logits and the readings of the composites.
        scores : pandas.Series or None
            Readings of the unchanged images by ``row_id``.
        scale : {"decision", "log_odds", "native"}
        """
        implant = None if scores is None else Implant.of(observed, scores)
        if implant is None:
            return Assay(smallest_found=None, power={}, redraws=0, reason="the cue could not be read on enough images")
        sizes = _sizes(self.policy, scale)
        power = {f"{size:g}": self._power(implant, size, scale) for size in sizes}
        found = [float(size) for size, share in power.items() if share >= self.policy.power]
        return Assay(smallest_found=min(found, default=None), power=power, redraws=self.policy.assay_redraws)

    def _power(self, implant: Implant, size: float, scale: Scale) -> float:
        weight = implant.weight_for(size, scale)
        if weight is None:  # no weight of this score moves so many answers: such a reliance cannot be implanted
            return 0.0
        return self.detection(implant, weight, scale)

    def detection(self, implant: Implant, weight: float, scale: Scale) -> float:
        """Share of the redraws, in [0, 1], in which the implanted reliance is found."""
        swapped, control = implant.answers(weight, scale)
        values = _differences(swapped - control)
        codes = Clusterings.of(implant.observed)
        groups = int(codes.recipient.max()) + 1
        if groups < 2:
            return 0.0
        design = implant.observed.weight
        share = np.ones(len(values)) if design is None else design
        sums, squares = (_by_cluster(part * share[:, None], codes.recipient, groups) for part in (values, values**2))
        counts = np.bincount(codes.recipient, weights=share, minlength=groups).astype(np.float64)
        inflation = self._donors_share(values, codes, implant.observed)
        influence = (sums - np.average(values, axis=0, weights=design) * counts[:, None]) / counts.sum()
        critical = max_t(influence, groups - 1, 1 - self.policy.alpha, self.seed, draws=4000).critical
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0xA5]))
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=self.policy.assay_redraws).astype(
            np.float64
        )
        bounded = None if scale in UNBOUNDED else squares
        return float(_found(weights, sums, counts, bounded, inflation, critical).mean())

    def _donors_share(self, values: Reals, codes: Clusterings, observed: SwapObservations) -> Reals:
        """Variance clustered by donors too, over that clustered by recipients alone, at least 1; ``[H]``."""
        pairs = list(combinations(range(len(observed.levels)), 2))
        found = np.ones(values.shape[1])
        if values.shape[1] > _MANY:
            return found
        for at in range(values.shape[1]):
            arm, reference = pairs[at % len(pairs)]
            donors = codes.donor[:, arm], codes.donor[:, reference]
            both = multiway_mean(values[:, at], codes.recipient, *donors, bounds=None)
            alone = multiway_mean(values[:, at], codes.recipient, bounds=None)
            if alone.standard_error > 0 and np.isfinite(both.standard_error):
                found[at] = max(1.0, (both.standard_error / alone.standard_error) ** 2)
        return found


def _sizes(policy: Policy, scale: Scale) -> tuple[float, ...]:
    """Effects to implant; of a number half, once and twice what matters."""
    if scale == "native":
        return tuple(times * material(policy, scale) for times in _TIMES_MATERIAL)
    return LOG_ODDS_EFFECTS if scale == "log_odds" else policy.assay_effects


def _differences(values: Reals) -> Reals:
    """Every pair of arms in every part: float64 ``[N, H]`` from ``[N, P, E]``, pairs running fastest."""
    n, parts, arms = values.shape
    pairs = list(combinations(range(arms), 2))
    return np.stack([values[:, p, a] - values[:, p, r] for p in range(parts) for a, r in pairs], axis=1).reshape(n, -1)


def _by_cluster(values: Reals, codes: npt.NDArray[np.int64], groups: int) -> Reals:
    sums = [np.bincount(codes, weights=column, minlength=groups) for column in values.T]
    return np.column_stack(sums).astype(np.float64)


def _found(
    weights: Reals, sums: Reals, counts: Reals, squares: Reals | None, inflation: Reals, critical: float
) -> npt.NDArray[np.bool_]:
    """Whether the largest effect of each redraw lies above its bound; bool ``[R]``.

    With the mean squares the bound is that of the score interval, whose statistic at 0 is t times
    ``sqrt(1 - mean² / mean square)``.
    """
    groups = len(counts)
    total = weights @ counts
    means = (weights @ sums) / total[:, None]
    spread = (
        weights @ sums**2 - 2 * means * (weights @ (sums * counts[:, None])) + means**2 * (weights @ counts**2)[:, None]
    )
    errors = np.sqrt(np.clip(spread, 0, None) * groups / (groups - 1) * inflation) / total[:, None]
    if squares is not None:
        mean_squares = np.maximum((weights @ squares) / total[:, None], 1e-12)
        errors /= np.sqrt(np.clip(1 - means**2 / mean_squares, 1e-12, None))
    at = np.arange(len(means)), np.abs(means).argmax(axis=1)
    return np.asarray(np.abs(means[at]) > critical * np.maximum(errors[at], 1e-12))
