"""How many independent units a verdict takes, before any is measured: the planning side of the judge's own formulas."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import cue_spec
from figureground.audit.judge.intervals import min_detectable
from figureground.audit.judge.margins import certifiable_margin

#: Standard deviation, per independent unit, of how often an answer follows a cue: a difference in {-1, 0, 1}. A swap
#: of backgrounds changes at most about a quarter of a usable model's answers; other cues change less of the picture.
PLANNING_SPREAD = {"place": 0.35, "global": 0.35, "geometry": 0.5, "object": 0.35, "grid": 0.35}
BACKGROUND_SPREAD = 0.5


def planning_spread(cue: str) -> float:
    """The spread that is assumed for a cue before it is measured; deliberately on the large side."""
    spec = cue_spec(cue)
    return BACKGROUND_SPREAD if spec.primary else PLANNING_SPREAD[spec.kind]


def units_to_certify(spread: float, margin: float, policy: Policy, hypotheses: int = 1) -> int:
    """Fewest units at which an effect of 0 is certified within ``margin`` with the policy's power.

    Parameters
    ----------
    spread : float
        Standard deviation per unit, in the unit of the margin.
    margin : float
        Above 0.
    policy : Policy
        ``alpha``, ``power`` and ``min_clusters``, which is the least that carries a verdict.
    hypotheses : int
        Comparisons that must all be certified; what the power leaves over is divided among them.

    Examples
    --------
    >>> units_to_certify(0.5, 0.05, Policy())
    859
    """
    power = 1 - (1 - policy.power) / hypotheses
    return _fewest(
        lambda n: certifiable_margin(spread / sqrt(n), n - 1, policy.alpha, power), margin, policy.min_clusters
    )


def units_to_detect(spread: float, effect: float, policy: Policy) -> int:
    """Fewest units at which an effect of this size is found with the policy's power, in each of two halves.

    Each half is tested one-sided at alpha, and both must show it: each with the root of the power. The whole is
    tested two-sided at alpha.

    Examples
    --------
    >>> units_to_detect(0.5, 0.10, Policy())
    423
    """
    each = sqrt(policy.power)

    def of_halves(n: int) -> float:
        half = n / 2
        return min_detectable(spread / sqrt(half), half - 1, alpha=2 * policy.alpha, power=each)

    whole = _fewest(
        lambda n: min_detectable(spread / sqrt(n), n - 1, alpha=policy.alpha, power=policy.power),
        effect,
        policy.min_clusters,
    )
    return _fewest(of_halves, effect, max(whole, policy.min_clusters))


def _fewest(reached: Callable[[int], float], wanted: float, least: int) -> int:
    """Smallest n, at least ``least``, whose reach is no larger than wanted; the reach falls about with 1 / sqrt(n)."""
    low, high = max(least, 4) - 1, max(least, 4)
    while reached(high) > wanted:
        low, high = high, max(high + 1, ceil(high * min(2.0, (reached(high) / wanted) ** 2)))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) <= wanted else (middle, high)
    return high
