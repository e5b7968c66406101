"""How bad a demonstrated effect is: what was declared about the cue, and how far the effect goes beyond what matters.

============================================  ==========================================
lower bound, in multiples of the material     severity
effect on its own scale
============================================  ==========================================
below ``policy.severity_lower`` (1.5)         one class below the declared consequence
from there                                    the declared consequence
``policy.severity_raise`` (3) or more         one class above the declared consequence
============================================  ==========================================

With the defaults of the policy these are 15 and 30 points on the decision scale, and odds ratios of 2.8 and 7.9 on the
log-odds scale. There is nothing below ``low`` and nothing above ``critical``. A consequence that nobody declared stays
``not_declared``, whatever the effect: unknown never becomes low.
"""

from __future__ import annotations

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import SEVERITIES
from figureground.audit.judge.effects import Scale, material

NOT_DECLARED = "not_declared"
#: Rounding must not move an effect that lies on a limit.
_EPS = 1e-9


def consequence_of(policy: Policy, cue: str) -> str | None:
    """What the policy declares about reliance on the cue; None where it declares nothing."""
    return policy.consequence.get(cue, policy.default_consequence)


def times_material(low: float, policy: Policy, scale: Scale) -> float:
    """Lower bound of an effect in multiples of what the policy calls material on this scale; without unit.

    Parameters
    ----------
    low : float
        Lower bound of the effect: a share of images, or a log odds ratio.

    Examples
    --------
    >>> round(times_material(0.25, Policy(), "decision"), 2)
    2.5
    """
    return low / material(policy, scale)


def severity_of(policy: Policy, cue: str, times: float) -> str:
    """Severity of a demonstrated cue whose lower bound is ``times`` the material effect.

    Examples
    --------
    >>> policy = Policy(consequence={"tint": "high"})
    >>> [severity_of(policy, "tint", times) for times in (1.0, 2.0, 4.0)], severity_of(policy, "border", 4.0)
    (['moderate', 'high', 'critical'], 'not_declared')
    """
    declared = consequence_of(policy, cue)
    if declared is None:
        return NOT_DECLARED
    at = SEVERITIES.index(declared) + step(policy, times)
    return SEVERITIES[min(max(at, 0), len(SEVERITIES) - 1)]


def step(policy: Policy, times: float) -> int:
    """Classes up (1) or down (-1) from what was declared."""
    return int(times >= policy.severity_raise - _EPS) - int(times < policy.severity_lower - _EPS)
