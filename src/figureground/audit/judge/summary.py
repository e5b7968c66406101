"""What stands around a verdict: findings worst first, the checks on the audit itself, and what was not tested."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from figureground.audit import document
from figureground.audit.config import Policy
from figureground.audit.document import Finding, Message, NotTested, TrustCheck
from figureground.audit.judge.contrast import Contrast

#: Suspects without a causal test in this version. "Not tested" is never "fine".
UNTESTED_SUBJECTS = (
    "annotations, corner tags and borders",
    "brightness, tint and colour statistics",
    "blur, sharpness and compression",
    "size and position of the object",
    "marks on the object itself",
    "several cues at once",
)
NOT_RUN = (
    ("randomised_weights", "maps of a re-initialised model are not compared in this version"),
    ("contrast_check", "whether the levels can be told apart from their backgrounds is not checked in this version"),
    ("assay", "no planted reliance was audited on this model and data, so this audit's power here is unknown"),
    ("second_layer", "maps of a second target layer are not compared in this version"),
)


def findings(
    verdict: document.Verdict,
    performance: document.Performance,
    data: document.Data,
    preprocessing_source: str,
    contrast: Contrast | None,
    policy: Policy,
) -> list[Finding]:
    """All findings: cues in the order of their states, then what a reader must know about the run."""
    order = sorted(verdict.cues, key=lambda cue: document.STATE_ORDER.index(cue.status))
    found = [
        Finding(
            id=f"cue-{cue.cue}",
            cue=cue.cue,
            status=cue.status,
            message=Message(key="cue_state", args={"cue": cue.cue, "state": cue.status}),
        )
        for cue in order
    ]
    worst = performance.worst_group
    if worst is not None:
        args = {
            "attribute": worst.attribute,
            "level": worst.level,
            "label": worst.label,
            "accuracy": worst.accuracy.estimate,
            "overall": performance.overall.estimate,
        }
        found.append(_fact("worst-group", "worst_group", **args))
    if contrast is not None and contrast.fragility.estimate > policy.max_fragility:
        found.append(_fact("fragile-compositing", "fragile_compositing", rate=contrast.fragility.estimate))
    if data.quarantined:
        above = data.quarantined > policy.max_bad * data.given
        args = {"n": data.quarantined, "given": data.given}
        found.append(_fact("rows-set-aside", "quarantine_above_limit" if above else "rows_set_aside", **args))
    if preprocessing_source == "assumed":
        found.append(_fact("preprocessing-assumed", "preprocessing_assumed"))
    return found


def trust(
    probes: Sequence[TrustCheck], contrast: Contrast | None, degenerate: dict[str, tuple[float, int]], policy: Policy
) -> list[TrustCheck]:
    """Every check on the audit itself: passed, failed, or not run with the reason."""
    checks = list(probes)
    for method, (rate, n) in degenerate.items():
        checks.append(_limit(f"maps_not_empty_{method}", rate, 0.10, n))
    if contrast is None:
        checks += [
            TrustCheck(check=name, status="not_run", value=None, threshold=None, n=None, reason="no swap was run")
            for name in ("fragility", "replication")
        ]
    else:
        checks.append(_limit("fragility", contrast.fragility.estimate, policy.max_fragility, contrast.fragility.n))
        low = float(np.min([half.low for half in contrast.replication]))  # NaN, where a half has no interval
        checks.append(
            TrustCheck(
                check="replication",
                status="passed" if low > 0 else "failed",
                value=low if isfinite(low) else None,
                threshold=0.0,
                n=min(half.n_clusters for half in contrast.replication),
                reason=None if low > 0 else "the effect does not show in both halves",
            )
        )
    return checks + [
        TrustCheck(check=name, status="not_run", value=None, threshold=None, n=None, reason=reason)
        for name, reason in NOT_RUN
    ]


def not_tested(verdict: document.Verdict) -> list[NotTested]:
    """Cues that could not be tested, and suspects for which this version has no test."""
    cues = [NotTested(subject=cue.cue, reason=cue.reasons[0].key) for cue in verdict.cues if cue.status == "not_tested"]
    return cues + [NotTested(subject=subject, reason="no causal test in this version") for subject in UNTESTED_SUBJECTS]


def _fact(identity: str, key: str, **args: object) -> Finding:
    return Finding(id=identity, cue=None, status=None, message=Message(key=key, args=dict(args)))


def _limit(name: str, value: float, limit: float, n: int) -> TrustCheck:
    if not isfinite(value):
        return TrustCheck(
            check=name, status="not_run", value=None, threshold=limit, n=n, reason="nothing to measure it on"
        )
    failed = value > limit
    return TrustCheck(
        check=name,
        status="failed" if failed else "passed",
        value=value,
        threshold=limit,
        n=n,
        reason="above the limit" if failed else None,
    )
