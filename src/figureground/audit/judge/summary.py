"""What stands around the verdicts: findings worst first, the checks on the audit itself, and what was not tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import Finding, Message, NotTested, TrustCheck
from figureground.audit.judge.contrast import Contrast
from figureground.audit.judge.file_facts import without_most_masks

#: What no test of this version can see. "Not tested" is never "fine".
UNTESTED_SUBJECTS = (
    ("objects of other classes in the scene", "no causal test in this version"),
    ("cues that act only together", "cues are changed one at a time"),
    ("cues that do not vary between the levels of this data", "what never changes here cannot be told apart here"),
)
#: Share of masks that look inverted from which on people are told.
INVERTED = 0.5
#: What is not tested where the training data, or the independent units in it, are not known.
LEAKAGE, LEAKAGE_OF_UNITS = "leakage from the training data", "leakage of independent units from the training data"
#: Checks of an attribution method whose failure takes the method out of every reading.
_DISQUALIFYING = ("randomised_weights_", "repeatability_", "maps_not_empty_")


def findings(
    verdict: document.Verdict,
    performance: document.Performance,
    data: document.Data,
    preprocessing_source: str,
    contrasts: Mapping[str | None, Contrast | None],
    policy: Policy,
    failed_methods: Sequence[str] = (),
    order: Mapping[str, str] | None = None,
) -> list[Finding]:
    """All findings: cues in the order of their states, then what a reader must know about the run.

    ``order`` are names of classes that seem to be exchanged: that goes before everything.
    """
    worst_first = sorted(verdict.cues, key=lambda cue: document.STATE_ORDER.index(cue.status))
    found = [_of_cue(cue) for cue in worst_first]
    found += [item for cue in worst_first for item in _discordant(cue)]
    for part in (performance, *performance.others):
        found += _worst("worst-group", "worst_group", part.worst_group, part)
        found += _worst("worst-group-exploratory", "worst_exploratory", part.worst_exploratory, part)
    for finding, contrast in contrasts.items():
        if contrast is not None and contrast.fragility.n and contrast.fragility.estimate > policy.max_fragility:
            rate = contrast.fragility.estimate
            found.append(_fact("fragile-compositing", "fragile_compositing", finding, {"rate": rate}))
    if any(cue.severity == "not_declared" for cue in verdict.cues):
        found.append(_fact("severity-not-declared", "severity_not_declared"))
    if order:
        found.insert(
            0, _fact("class-order", "class_order", pairs=[f"{said} → {meant}" for said, meant in order.items()])
        )
    if failed_methods:
        found.append(_fact("maps-failed", "maps_failed", methods=list(failed_methods)))
    return found + _about_data(data, preprocessing_source, policy)


def _worst(
    name: str, key: str, group: document.GroupPerformance | None, performance: document.Performance
) -> list[Finding]:
    if group is None:
        return []
    args = {
        "attribute": group.attribute,
        "level": group.level,
        "label": group.label,
        "accuracy": group.accuracy.estimate,
        "overall": performance.overall.estimate,
    }
    return [_fact(name, key, performance.finding, args)]


def about_policy(deviations: Sequence[document.Deviation]) -> list[Finding]:
    """That the run was judged under another policy than was declared before the first image."""
    names = [deviation.field for deviation in deviations]
    return [_fact("policy-deviation", "policy_deviates", fields=names)] if names else []


def identity(cue: document.CueVerdict) -> str:
    """Id of a cue's finding: the same in every run."""
    return f"cue-{cue.finding}-{cue.cue}" if cue.finding else f"cue-{cue.cue}"


def _of_cue(cue: document.CueVerdict) -> Finding:
    return Finding(
        id=identity(cue),
        cue=cue.cue,
        finding=cue.finding,
        status=cue.status,
        message=Message(key="cue_state", args={"cue": cue.cue, "state": cue.status}),
    )


def _discordant(cue: document.CueVerdict) -> list[Finding]:
    """Maps and causal test disagree: a finding of its own."""
    keys = {"looks_does_not_use": "discordant_looks", "uses_not_visible": "discordant_uses"}
    key = keys.get(cue.attribution.key) if cue.attribution else None
    if key is None:
        return []
    message = Message(key=key, args={"cue": cue.cue})
    return [Finding(id=f"{identity(cue)}-maps", cue=cue.cue, finding=cue.finding, status=None, message=message)]


def _about_data(data: document.Data, preprocessing_source: str, policy: Policy) -> list[Finding]:
    found: list[Finding] = []
    if data.quarantined:
        looked_at = data.given - data.filtered  # not those that a draw or another split left out
        above = data.quarantined > policy.max_bad * looked_at
        args = {"n": data.quarantined, "given": looked_at}
        found.append(_fact("rows-set-aside", "quarantine_above_limit" if above else "rows_set_aside", None, args))
    if 0 < data.with_mask < data.ok:
        found.append(_fact("masks-partial", "masks_partial", n=data.with_mask, given=data.ok))
    found += _about_overlap(data.overlap)
    found += [] if data.labelled else [_fact("no-labels", "no_labels")]
    if preprocessing_source == "assumed":
        found.append(_fact("preprocessing-assumed", "preprocessing_assumed"))
    return found + _about_files(data)


def _about_files(data: document.Data) -> list[Finding]:
    """What in the files themselves may make every number wrong."""
    found: list[Finding] = []
    if data.masks_inverted is not None and data.masks_inverted > INVERTED:
        found.append(_fact("masks-inverted", "masks_inverted", share=data.masks_inverted))
    labels = without_most_masks(data.mask_troubles)
    if labels:
        found.append(_fact("masks-missing", "masks_missing", labels=labels))
    if data.duplicate_content:
        found.append(_fact("duplicate-content", "duplicate_content", n=data.duplicate_content))
    damaged = data.read_notes.get("decoder_warning", 0)
    if damaged:
        found.append(_fact("decoder-warnings", "decoder_warnings", n=damaged))
    return found


def _about_overlap(overlap: document.TrainingOverlap | None) -> list[Finding]:
    if overlap is None or not (overlap.unit_rows or overlap.equal or overlap.alike):
        return []
    args = {name: getattr(overlap, name) for name in ("unit_rows", "equal", "alike", "rows")}
    return [_fact("training-overlap", "training_overlap", None, args)]


def trust(
    probes: Sequence[TrustCheck],
    contrasts: Mapping[str | None, Contrast | None],
    degenerate: Mapping[str, tuple[float, int]],
    policy: Policy,
    further: Mapping[str | None, Sequence[TrustCheck]],
) -> list[TrustCheck]:
    """Every check on the audit itself: passed, failed, or not run with the reason.

    ``contrasts`` of the background and ``further`` checks are by finding; the key is None where there are none.
    """
    checks = list(probes)
    for method, (rate, n) in degenerate.items():
        checks.append(_limit(f"maps_not_empty_{method}", rate, policy.max_degenerate, n))
    for finding, contrast in (contrasts or {None: None}).items():
        mine = [*_of_swap(contrast, policy), *further.get(finding, ())]
        checks += [check.model_copy(update={"finding": finding}) for check in mine]
    return checks


def _of_swap(contrast: Contrast | None, policy: Policy) -> list[TrustCheck]:
    if contrast is None:
        return [not_run(name, "no background swap was run") for name in ("fragility", "replication")]
    fragility = contrast.fragility
    return [
        _limit("fragility", fragility.estimate, policy.max_fragility, fragility.n),
        _replication(contrast),
    ]


def _replication(contrast: Contrast) -> TrustCheck:
    low = float(np.min([half.low for half in contrast.replication]))  # NaN, where a half has no interval
    return TrustCheck(
        check="replication",
        status="passed" if low > 0 else "failed",
        value=low if isfinite(low) else None,
        threshold=0.0,
        n=min(half.n_clusters for half in contrast.replication),
        reason=None if low > 0 else "the effect does not show in both halves",
    )


def failed_methods(checks: Sequence[TrustCheck], methods: Sequence[str]) -> tuple[str, ...]:
    """Attribution methods that a check takes out of every reading."""
    failed = {check.check for check in checks if check.status == "failed"}
    return tuple(m for m in methods if any(f"{prefix}{m}" in failed for prefix in _DISQUALIFYING))


def not_run(name: str, reason: str) -> TrustCheck:
    """A check that was not run; that is never a pass."""
    return TrustCheck(check=name, status="not_run", value=None, threshold=None, n=None, reason=reason)


def not_tested(verdict: document.Verdict) -> list[NotTested]:
    """Cues that could not be tested, and suspects for which this version has no test."""
    cues = [
        NotTested(subject=cue.cue, reason=cue.reasons[0].key, finding=cue.finding)
        for cue in verdict.cues
        if cue.status == "not_tested"
    ]
    return cues + [NotTested(subject=subject, reason=reason) for subject, reason in UNTESTED_SUBJECTS]


def leakage_untested(data: document.Data) -> list[NotTested]:
    """That nobody gave the training data, or that it cannot be told whose pictures they are."""
    if data.overlap is None:
        return [NotTested(subject=LEAKAGE, reason="no_training_data")]
    return [] if data.overlap.shared_units is not None else [NotTested(subject=LEAKAGE_OF_UNITS, reason="no_units")]


def _fact(
    name: str, key: str, finding: str | None = None, more: Mapping[str, object] | None = None, **args: object
) -> Finding:
    return Finding(
        id=f"{name}-{finding}" if finding else name,
        cue=None,
        finding=finding,
        status=None,
        message=Message(key=key, args={**(more or {}), **args}),
    )


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
