"""Intervals for the mean of paired differences that are mostly 0, such as answers that seldom change.

The variance of such differences grows with their mean, so that an interval whose width is estimated at the observed
mean falls short on the side of larger effects: of nominal 95 % intervals at a true effect of 0.05 some 91 % hold it.
The score interval of Tango (Statistics in Medicine 17 (1998) 891-908) holds every effect that a test with the variance
*at that effect* does not reject. Here it is carried over to clustered data, as Wilson's interval is by a design effect,
and to differences other than -1, 0 and 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from figureground.audit.judge.intervals import FloatArray, Interval


@dataclass(frozen=True)
class PairedInterval(Interval):
    """An interval from the score test of differences that behave like ``-jump``, 0 and ``jump``.

    ``T(v) = (mean - v) / SE * sqrt(S / S(v))`` with SE the cluster-robust standard error, S the variance of one
    observation and S(v) its value under a mean of v, from the shares of ``jump`` and ``-jump`` that are most likely
    then. The clusters enter by SE alone: ``S / SE²`` independent observations would have told as much.

    Attributes
    ----------
    square : float
        Mean of the squared differences.
    jump : float
        Size of a typical change, ``E|d|³ / E d²``, and 1 for differences of decisions; at most ``E d² / |E d|``, so
        that mean and mean square are those of three values. 0 where there is no change at all.
    """

    square: float
    jump: float

    @classmethod
    def of(cls, plain: Interval, values: FloatArray, weights: FloatArray | None) -> PairedInterval:
        """With the moments of the observations, float64 ``[n]``, that the estimate is the (weighted) mean of."""
        square = float(np.average(values**2, weights=weights))
        jump = 0.0
        if square > 0:
            jump = float(np.average(np.abs(values) ** 3, weights=weights)) / square
            jump = min(jump, square / abs(plain.estimate)) if plain.estimate else jump
        return cls(**vars(plain), square=square, jump=jump)

    def statistic(self, value: float = 0.0) -> float:
        """The score statistic; beyond the jump, which no mean can exceed, infinite."""
        if not (self.standard_error > 0 and self.jump > 0):
            return super().statistic(value)
        if abs(value) >= self.jump:
            return math.copysign(math.inf, -value)
        spread = self.square - self.estimate**2
        ratio = spread / (self.jump**2 * self._restricted(value / self.jump))
        return super().statistic(value) * math.sqrt(max(ratio, 0.0))

    def bounds_at(self, critical: float) -> tuple[float, float]:
        """All effects whose statistic stays within ``critical``."""
        if not (self.standard_error > 0 and self.jump > 0 and math.isfinite(critical)):
            return super().bounds_at(critical)
        return self._crossing(-1, critical), self._crossing(1, critical)

    def _restricted(self, mean: float) -> float:
        """Variance of one observation under this mean, in units of the jump: shares by maximum likelihood."""
        sign, mean = math.copysign(1.0, mean), abs(mean)
        own, square = sign * self.estimate / self.jump, self.square / self.jump**2
        against = max(square - own, 0.0) / 2
        b = (2 - own) * mean - square
        # The root of 2 x² + b x - against * mean (1 - mean) = 0: the share that moves against the mean.
        least = (math.sqrt(b * b + 8 * against * mean * (1 - mean)) - b) / 4
        return 2 * least + mean * (1 - mean)

    def _crossing(self, side: int, critical: float) -> float:
        end = side * self.jump * (1 - 1e-12)

        def beyond(value: float) -> float:
            return -side * self.statistic(value) - critical

        if abs(self.estimate) >= abs(end) or beyond(end) <= 0:
            return side * self.jump
        return float(brentq(beyond, self.estimate, end, xtol=1e-12))
