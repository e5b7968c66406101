"""A model that is made to rely on a cue: its own logits, and a share of the cue's score added to one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from figureground.audit.judge.effects import UNBOUNDED, Scale
from figureground.audit.judge.observations import Reals, SwapObservations

#: Larger than any weight that is needed: a score has standard deviation 1, logits seldom exceed some tens.
_MOST = 1e3


@dataclass(frozen=True)
class Implant:
    """What is needed to implant a reliance into stored logits.

    Attributes
    ----------
    observed : SwapObservations
    donors : ndarray
        float64 ``[N, E]``: the score of each donor's unchanged image, what an ideal transfer of the cue would carry.
    class_index : int
        The logit that is raised: of the class whose share among the unchanged predictions is nearest to one half.
    """

    observed: SwapObservations = field(repr=False)
    donors: Reals = field(repr=False)
    class_index: int

    @classmethod
    def of(cls, observed: SwapObservations, scores: pd.Series) -> Implant | None:
        """None where logits or readings are missing, or readings do not differ."""
        if observed.logits is None or observed.original_logits is None or observed.score is None:
            return None
        donors = scores.reindex(observed.donor_row.ravel()).to_numpy(dtype=np.float64).reshape(observed.donor_row.shape)
        known = (
            np.isfinite(donors).all(axis=1)
            & np.isfinite(observed.score).all(axis=(1, 2))
            & np.isfinite(observed.original_logits).all(axis=1)
        )
        if observed.control_score is not None:
            known &= np.isfinite(observed.control_score).all(axis=(1, 2))
        if known.sum() < 2 or np.ptp(donors[known]) == 0:
            return None
        part = observed.take(known)
        shares = np.bincount(part.original[part.original >= 0], minlength=len(part.classes)) / max(len(part), 1)
        return cls(part, donors[known], int(np.argmin(np.abs(shares - 0.5))))

    def true_effect(self, weight: float, scale: Scale) -> float:
        """The implanted reliance: the largest effect if the cue were carried without loss."""
        own = self.observed.original_logits
        assert own is not None  # noqa: S101  (of() makes none without)
        raised = weight * self.donors
        if scale in UNBOUNDED:
            means = raised.mean(axis=0)
        else:
            others = np.delete(own, self.class_index, axis=1).max(axis=1)
            means = ((own[:, self.class_index] - others)[:, None] + raised > 0).mean(axis=0)
        return float(means.max() - means.min())

    def weight_for(self, effect: float, scale: Scale) -> float | None:
        """The weight at which the implanted reliance is ``effect``, by bisection; None where none reaches it."""
        low, high = 0.0, 1e-3
        while self.true_effect(high, scale) < effect:
            low, high = high, 2 * high
            if high > _MOST * max(effect, 1.0):
                return None
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.true_effect(middle, scale) < effect else (low, middle)
        return high

    def answers(self, weight: float, scale: Scale) -> tuple[Reals, Reals]:
        """What the implanted model says under each arm, and in the control: float64 ``[N, P, E]`` each.

        Whether the class is predicted, or its log-odds against the rest.
        """
        seen = self.observed
        assert seen.logits is not None and seen.score is not None  # noqa: S101, PT018
        swapped = self._read(seen.logits, weight * seen.score, scale)
        if seen.control_logits is None or seen.control_score is None:
            return swapped, np.zeros_like(swapped)
        return swapped, self._read(seen.control_logits, weight * seen.control_score, scale)

    def _read(self, logits: Reals, raised: Reals, scale: Scale) -> Reals:
        others = np.delete(logits, self.class_index, axis=-1)
        if scale in UNBOUNDED:
            return np.asarray(logits[..., self.class_index] + raised - logsumexp(others, axis=-1))
        ahead: npt.NDArray[np.bool_] = logits[..., self.class_index] + raised > others.max(axis=-1)
        return np.asarray(ahead, dtype=np.float64)
