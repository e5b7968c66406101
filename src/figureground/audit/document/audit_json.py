"""``audit.json``: the whole result as one language-neutral document (JSON Schema 2020-12, no NaN)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from figureground.audit.document.audited import Audit, Cost, Judged, Optimisation, StageCost, Subject, Tool
from figureground.audit.document.base import Estimate, Message, Part
from figureground.audit.document.data import (
    AskedFinding,
    Cell,
    Data,
    Group,
    Joined,
    Level,
    MaskCoverage,
    MaskTrouble,
    MaskUse,
    NotUsed,
    Sample,
    SampledStratum,
    TrainingOverlap,
)
from figureground.audit.document.handed import Edition, Purged
from figureground.audit.document.numbers import (
    AlarmRate,
    Association,
    FalseAlarms,
    Reliability,
    ReliabilityBin,
)
from figureground.audit.document.people import HUMAN_FIELDS, Clause, HumanInput

State = Literal["demonstrated", "suspected", "not_detected", "inconclusive", "not_tested", "error"]
#: Worst first: the order in which ``verdict.status`` rolls up.
STATE_ORDER: tuple[State, ...] = (
    "demonstrated",
    "error",
    "suspected",
    "inconclusive",
    "not_tested",
    "not_detected",
)
SCHEMA_VERSION = "1.0"
#: From mild to grave.
SEVERITIES = ("low", "moderate", "high", "critical")


class Confusion(Part):
    """Confusion matrix of one subgroup; rows are labels, columns predictions, in the order of the classes."""

    attribute: str
    level: str
    counts: list[list[int]]


class GroupPerformance(Part):
    """Accuracy of one subgroup."""

    attribute: str
    level: str
    label: str
    accuracy: Estimate
    finding: str | None = None


class Direction(Part):
    """Which level pulls to which class, against which other level."""

    class_name: str
    arm: str
    reference: str


class Assay(Part):
    """What a reliance of known size, implanted into this very model, would have looked like to this audit."""

    smallest_found: float | None = Field(description="smallest implanted effect found with the power asked for")
    power: dict[str, float] = Field(description="share of redraws in which the implant was found, by its size")
    redraws: int
    reason: str | None = None


class Explained(Part):
    """Another cue that accounts for an effect: with it kept as it was, little of the effect is left."""

    by: str
    share: float = Field(description="share of the effect that goes with the other cue, at most 1")
    left: Estimate = Field(description="the effect with the other cue held")


class Repeated(Part):
    """What another run, on other data or of another training, says of the same cue."""

    seal: str = Field(description="SHA-256 of the other run's seal")
    audit_id: str
    differs: list[Literal["data", "training"]]
    holds: bool = Field(description="demonstrated there too, in the same direction, its own interval above material")
    reason: str | None = Field(description="why it does not repeat the finding")
    status: State | None = None
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    level: float | None = None
    scale: str | None = None
    n: int = 0
    n_clusters: int = 0
    direction: Direction | None = None


class CueVerdict(Part):
    """The state of one cue, with the effect that decides it."""

    cue: str
    finding: str | None = Field(None, description="multi-label data: which finding; null otherwise")
    status: State
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    scale: str | None
    level: float | None = Field(description="confidence level of the interval")
    severity: str = Field(description="effect times declared consequence; see judge.severity")
    consequence: str | None = Field(None, description="what the policy declares about reliance on this cue")
    times_material: float | None = Field(
        None, description="demonstrated: the effect's lower bound over the material effect, on its scale"
    )
    evidence_level: Literal["L1", "L2", "L3", "L4"] | None
    n: int
    n_clusters: int
    min_detectable: float | None
    direction: Direction | None
    changed_other_level: Estimate | None
    changed_same_level: Estimate | None
    reasons: list[Message]
    does_not_show: list[Message]
    next_step: list[Message]
    p_adjusted: float | None = Field(
        None, description="of an effect no larger than the material one, by Holm over all cues and findings"
    )
    part: str | None = Field(None, description="cell of a grid where the effect is largest")
    bound: float | None = Field(None, description="not_detected: effects of this size or more are excluded")
    explained: list[Explained] = Field(default_factory=list)
    alternatives: list[Message] = Field(default_factory=list, description="other readings that are not excluded")
    attribution: Message | None = Field(None, description="whether the maps agree with the causal test")
    assay: Assay | None = None
    placebo_p: float | None = Field(None, description="exact p of the effect under permuted arms")
    tested_on: Literal["all", "subsample"] | None = None
    dose_response: list[Message] = Field(
        default_factory=list, description="properties of the whole picture: on what they count, and at which dose"
    )
    on_positives: Estimate | None = Field(
        None, description="the same effect on images that have the finding, or are of the second of two classes"
    )
    on_negatives: Estimate | None = None
    repeats: list[Repeated] = Field(default_factory=list)


class Verdict(Part):
    """Counts and the worst state over the cues that the policy requires."""

    status: State
    counts: dict[str, int]
    cues: list[CueVerdict]
    tested: list[str] = Field(default_factory=list, description="cues whose causal test was run")
    not_tested: list[str] = Field(
        default_factory=list, description="cues whose test was not run; never the same as fine"
    )


class OtherRun(Part):
    """Another run that this one was set beside, as far as that needs it: nothing of it is read again later."""

    seal: str
    audit_id: str
    model_sha256: str
    data_sha256: str
    classes: list[str]
    differs: list[Literal["data", "training"]]
    policy: dict[str, Any]
    cues: list[CueVerdict]


class WorstBound(Part):
    """Lower bound on the accuracy of whichever group is truly the worst, of those that are large enough."""

    low: float
    level: float
    groups: int = Field(description="groups that the bound covers at once")
    attribute: str
    label: str
    group: str = Field(description="level of the group whose own lower bound is the lowest")


class Average(Part):
    """Average accuracy over the levels of an attribute, weighted in two ways."""

    attribute: str
    sample_weighted: Estimate = Field(description="every image counts the same")
    group_weighted: Estimate = Field(description="every level counts the same")
    levels: int = Field(description="levels that the group-weighted average is over")
    left_out: int = Field(description="levels with images but too few independent units")


class Performance(Part):
    """Accuracy overall, by group, and of the worst group that is large enough to be judged."""

    finding: str | None = Field(None, description="multi-label data: the finding that these numbers are of")
    classes: list[str] = Field(default_factory=list, description="names of the rows of each confusion matrix")
    overall: Estimate
    others: list[Performance] = Field(default_factory=list, description="multi-label data: the other findings")
    worst_group: GroupPerformance | None
    worst_exploratory: GroupPerformance | None = Field(
        None, description="a group that was asked for after the run, where its accuracy is lower still"
    )
    by_group: list[GroupPerformance]
    left_out: list[GroupPerformance] = Field(description="groups too small to be the worst")
    confusion: list[Confusion]
    positive: str | None = Field(None, description="two classes: the one that counts as positive")
    worst_bound: WorstBound | None = None
    averages: list[Average] = Field(default_factory=list)
    reliability: list[Reliability] = Field(
        default_factory=list, description="all images, the worst calibrated groups, the best"
    )
    false_alarms: FalseAlarms | None = Field(
        None, description="the tests between groups, run on groups made at random; null: no groups, or an older version"
    )


class CheckMeasure(Part):
    """One number of a check with its interval; ``n`` counts images."""

    name: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    ci_level: float
    n: int


class TrustCheck(Part):
    """A check on the audit itself."""

    check: str
    status: Literal["passed", "failed", "not_run"]
    value: float | None
    threshold: float | None
    n: int | None
    reason: str | None
    finding: str | None = None
    compared_with: list[str] = Field([], description="second_layer: the layer of the audit and the one after it")
    measures: list[CheckMeasure] = Field(
        [], description="second_layer: its numbers, one by one; agreement: rank correlation of each pair of methods"
    )


class Decision(Part):
    """What a person decided about a finding. It marks the finding and never hides it."""

    decision: Literal["accepted", "disputed", "legitimate"]
    reason: str
    by: str
    expires: str = Field(description="ISO date; afterwards the finding fails the gate again")
    active: bool


class Finding(Part):
    """What people read: a cue with its state, or a fact about the run that needs attention.

    ``id`` is the same in every run for the same cue, finding or fact.
    """

    id: str
    cue: str | None
    finding: str | None = None
    status: State | None
    message: Message
    decision: Decision | None = None


class NotTested(Part):
    """Something that was not tested, and why. "Not tested" is never "fine"."""

    subject: str
    reason: str
    finding: str | None = None


class Asset(Part):
    """A picture in ``assets/``."""

    sha256: str
    media: str
    bytes: int
    role: str


class Deviation(Part):
    """A field of the policy that differs from what was hashed before the first image was seen."""

    field: str
    declared: Any
    now: Any


class AuditDocument(Part):
    """The document itself; tools may rely on its top-level keys."""

    schema_version: str = SCHEMA_VERSION
    audit: Audit
    subject: Subject
    data: Data
    policy: dict[str, Any]
    deviations: list[Deviation] = Field(
        default_factory=list, description="from the policy that was declared before the first image"
    )
    software: dict[str, str]
    verdict: Verdict
    performance: Performance
    subgroups: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    trust: list[TrustCheck]
    findings: list[Finding]
    not_tested: list[NotTested]
    clause_map: list[Clause]
    human_inputs: list[HumanInput]
    assets: list[Asset]
    edition: Edition | None = Field(None, description="null: the run itself")


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``audit.json``; the package ships it as ``audit/schema/audit.schema.json``."""
    schema = AuditDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "figureground audit", **schema}


__all__ = [
    "HUMAN_FIELDS",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "STATE_ORDER",
    "AlarmRate",
    "AskedFinding",
    "Assay",
    "Asset",
    "Association",
    "Audit",
    "AuditDocument",
    "Average",
    "Cell",
    "CheckMeasure",
    "Clause",
    "Confusion",
    "Cost",
    "CueVerdict",
    "Data",
    "Decision",
    "Deviation",
    "Direction",
    "Edition",
    "Estimate",
    "Explained",
    "FalseAlarms",
    "Finding",
    "Group",
    "GroupPerformance",
    "HumanInput",
    "Joined",
    "Judged",
    "Level",
    "MaskCoverage",
    "MaskTrouble",
    "MaskUse",
    "Message",
    "NotTested",
    "NotUsed",
    "Optimisation",
    "OtherRun",
    "Performance",
    "Purged",
    "Reliability",
    "ReliabilityBin",
    "Repeated",
    "Sample",
    "SampledStratum",
    "StageCost",
    "State",
    "Subject",
    "Tool",
    "TrainingOverlap",
    "TrustCheck",
    "Verdict",
    "WorstBound",
    "json_schema",
]
