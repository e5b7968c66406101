"""How often one donor served: an effect of many recipients that borrow from a few donors is an effect of those few."""

from __future__ import annotations

import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.observations import SwapObservations


def donor_reuse(observed: SwapObservations, policy: Policy) -> TrustCheck:
    """The largest number of recipients that one donor lent to, within one half, pass and arm, beside the bound.

    ``n`` counts the donors. Recipients whose composites were no test do not count.
    """
    arms = range(len(observed.levels))
    lent = pd.concat(
        [
            pd.DataFrame(
                {"half": observed.half, "pass": observed.number, "arm": arm, "donor": observed.donor_row[:, arm]}
            )
            for arm in arms
        ]
    )
    most = int(lent.value_counts().iloc[0])
    passed = most <= policy.max_donor_reuse
    return TrustCheck(
        check="donor_reuse" if observed.cue == "background" else f"donor_reuse_{observed.cue}",
        status="passed" if passed else "failed",
        value=float(most),
        threshold=float(policy.max_donor_reuse),
        n=int(lent["donor"].nunique()),
        reason=None if passed else "one donor served more often than the policy allows",
    )
