"""What a comparison of two audits says, as one language-neutral document (JSON Schema 2020-12, no NaN).

Differences are always the second run minus the first.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from figureground.audit.document.audit_json import Deviation, Direction, State
from figureground.audit.document.base import Estimate, Message, Part
from figureground.audit.keeping.tables import ALL

SCHEMA_VERSION = "1.0"
ChangeState = Literal[
    "new",
    "worse",
    "lost_coverage",
    "not_comparable",
    "unchanged",
    "better",
    "resolved",
    "gained_coverage",
    "not_tested",
]
#: What needs attention first.
CHANGE_ORDER: tuple[ChangeState, ...] = (
    "new",
    "worse",
    "lost_coverage",
    "not_comparable",
    "unchanged",
    "better",
    "resolved",
    "gained_coverage",
    "not_tested",
)
How = Literal["paired", "aggregates"]


class Compared(Part):
    """One of the two audits: what it was of, and what proves it."""

    kind: Literal["run", "bundle"]
    edition: str | None = Field(description="of a bundle")
    key_id: str | None = Field(description="of the key under which a bundle's hashes were made; null: none, or a run")
    seal: str = Field(description="SHA-256 of the seal, or of the list of files of a bundle")
    audit_id: str
    started: str
    tool: str
    model_sha256: str | None
    architecture: str
    data_sha256: str
    policy_sha256: str
    rows: int = Field(description="usable rows")


class CommonRows(Part):
    """Which rows both audits have, by the hash of what was read."""

    how: How
    reason: str | None = Field(description="why rows were not compared one by one")
    common: int = Field(description="pictures with the same label in both")
    clusters: int = Field(description="independent units among them")
    same_mask: int = Field(description="of these, rows whose object mask is the same too, or that have none in both")
    masks_recorded: bool = Field(description="whether both audits say which mask each row had")
    other_label: int = Field(description="pictures in both that bear another label in each; not compared")
    only_first: int
    only_second: int
    weights: Literal["none", "same", "larger"] = Field(
        description="design weights; larger: the draws differ, and a row has the larger of its two weights"
    )


class Difference(Part):
    """Second minus first, with its interval; null with a reason where there is none."""

    how: How
    scale: str
    n: int
    n_clusters: int
    first: float | None
    second: float | None
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    ci_level: float = Field(description="over all comparisons of its family at once")
    smallest: float | None = Field(description="smallest difference that would be shown with the policy's power")
    line: float = Field(description="power line: where `smallest` lies above it, silence means nothing")
    negligible: float = Field(0.0, description="differences of this size or less do not matter")
    reason: str | None = None


class CueChange(Part):
    """One cue in both audits."""

    cue: str
    finding: str | None
    state: ChangeState
    reason: str | None
    first_status: State | None = Field(description="null: the audit does not list the cue")
    second_status: State | None
    first_reason: Message | None = Field(description="first reason that the audit gives for its state")
    second_reason: Message | None
    first_changed: Estimate | None = Field(
        description="share of images of the audit whose answer changed when only the cue was changed to another level"
    )
    second_changed: Estimate | None
    severity: str | None = Field(description="in the second audit")
    direction: Direction | None = Field(description="of the effect that the difference is of; turned to be positive")
    part: str | None = None
    difference: Difference | None
    decided: bool = Field(False, description="a person's decision about the second audit's finding is in force")


class MeasureChange(Part):
    """A number that both audits have: accuracy, worst-group accuracy, share of attribution on the background."""

    measure: Literal["accuracy", "worst_group_accuracy", "background_share"]
    finding: str | None
    method: str | None = Field(None, description="attribution method")
    sign: str | None = None
    state: ChangeState
    reason: str | None
    difference: Difference | None
    first_group: str | None = Field(None, description="worst group in the first audit")
    second_group: str | None = None


class GroupChange(Part):
    """Accuracy of one subgroup on the rows that both audits have; intervals cover all groups at once."""

    finding: str | None
    attribute: str = Field(description="(all): everything with this label")
    level: str
    label: str = Field(description="(all), or one label: the crossing")
    difference: Difference


def group_name(attribute: str, level: str, label: str) -> str:
    """A subgroup as text.

    Examples
    --------
    >>> group_name("site", "B", "(all)"), group_name("site", "B", "coat")
    ('site = B', 'site = B, label = coat')
    """
    parts = [(attribute, level), ("label", label)]
    return ", ".join(f"{name} = {value}" for name, value in parts if ALL not in (name, value))


class InputChange(Part):
    """One input of the audits."""

    name: str
    first: Any
    second: Any
    changed: bool


class Untested(Part):
    """Something that at least one of the two audits did not test."""

    subject: str
    finding: str | None
    first: Message | None = Field(description="why the first audit did not test it; null: it does not say so")
    second: Message | None


class Gate(Part):
    """What the command line answers: 1 new or worse, 3 coverage lost or nothing to be told, 0 otherwise."""

    exit_code: Literal[0, 1, 3]
    fail_on: str
    reasons: list[Message]


class ComparisonDocument(Part):
    """The document itself."""

    schema_version: str = SCHEMA_VERSION
    id: str = Field(description="of the two seals, the policy and the version; nothing of when or where")
    tool: str
    first: Compared
    second: Compared
    same_model: bool
    unit: str = Field("", description="of effects on the scale native")
    rows: CommonRows
    policy: dict[str, Any] = Field(description="fields that decide about states here")
    cues: list[CueChange]
    measures: list[MeasureChange]
    groups: list[GroupChange]
    inputs: list[InputChange]
    policy_changes: list[Deviation] = Field(description="fields of the policies that differ")
    not_tested: list[Untested]
    counts: dict[str, int]
    gate: Gate


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a comparison; the package ships it as ``audit/schema/compare.schema.json``."""
    schema = ComparisonDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "figureground comparison", **schema}
