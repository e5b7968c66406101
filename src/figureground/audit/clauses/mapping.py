"""Which evidence of a run is relevant to which provision. It never says that a provision is met."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal

from figureground.audit.declared.config import Policy
from figureground.audit.document.audit_json import AuditDocument, Clause

State = Literal["available", "partial", "human_input_required", "not_applicable"]
#: States of a cue that rest on a test.
_TESTED = ("demonstrated", "suspected", "not_detected", "inconclusive")
#: Checks of the maps themselves, by the beginning of their names.
_MAPS = ("randomised_weights_", "repeatability_", "mask_sensitivity_", "agreement", "second_layer")
#: Checks that ask the tests themselves: what they find where there is nothing, and where something was implanted.
_CONTROLS = ("placebo", "assay", "false_alarms")


@dataclass(frozen=True)
class Provision:
    """A row of the pack.

    Attributes
    ----------
    id, instrument, provision, version : str
    evidence : tuple of str
        Kinds of evidence that are relevant: keys of :data:`KINDS`.
    partial : bool
        Whether the provision asks for more than these kinds could ever show.
    people : bool
        Whether something is left that only people can add.
    verified : {"read", "to_verify"}
        Whether somebody read the provision in the original.
    source : str
    """

    id: str
    instrument: str
    provision: str
    version: str
    evidence: tuple[str, ...]
    partial: bool
    people: bool
    verified: Literal["read", "to_verify"]
    source: str


@dataclass(frozen=True)
class Pack:
    """All rows, the day on which they stood, and the day from which they are stale."""

    as_of: date
    stale_from: date
    provisions: tuple[Provision, ...]


@cache
def pack() -> Pack:
    """The pack that is shipped."""
    with files("figureground.audit.clauses").joinpath("pack.toml").open("rb") as file:
        found = tomllib.load(file)
    rows = tuple(Provision(**row | {"evidence": tuple(row["evidence"])}) for row in found["provision"])
    return Pack(found["as_of"], found["as_of"] + timedelta(days=found["stale_after_days"]), rows)


def clause_map(document: AuditDocument) -> list[Clause]:
    """Every provision of the pack with the evidence that a run has for it.

    ``available``: every kind of relevant evidence is there; ``partial``: some of it, or it could never be all that is
    asked for; ``human_input_required``: none, or none is relevant. Where people must add something, that is told
    beside it in every state. Provisions that concern performance are ``not_applicable`` without labels.
    """
    has = {kind: test(document) for kind, test in KINDS.items()}
    return [_row(one, has, labelled=document.data.labelled) for one in pack().provisions]


def _row(one: Provision, has: Mapping[str, bool], *, labelled: bool) -> Clause:
    held = [kind for kind in one.evidence if has[kind]]
    return Clause(
        id=one.id,
        instrument=one.instrument,
        provision=one.provision,
        version=one.version,
        state=_state(one, held, labelled=labelled),
        evidence=held,
        missing=[kind for kind in one.evidence if not has[kind]],
        people=one.people,
        verified=one.verified,
        source=one.source,
        as_of=pack().as_of.isoformat(),
        stale_from=pack().stale_from.isoformat(),
    )


def _state(one: Provision, held: list[str], *, labelled: bool) -> State:
    if not labelled and one.evidence and set(one.evidence) <= {"performance", "subgroups"}:
        return "not_applicable"
    if not held:
        return "human_input_required"
    return "partial" if one.partial or len(held) < len(one.evidence) else "available"


def _has_interventions(document: AuditDocument) -> bool:
    return any(cue.status in _TESTED and cue.estimate is not None for cue in document.verdict.cues)


def _has_attribution(document: AuditDocument) -> bool:
    """Whether some share of the maps was measured against masks."""
    return document.data.with_mask > 0 and any(
        row.get("measure") == "background_share" and row.get("estimate") is not None for row in document.subgroups
    )


def _has_subgroups(document: AuditDocument) -> bool:
    groups = document.performance.by_group
    return document.data.labelled and any(group.accuracy.estimate is not None for group in groups)


def _has_map_checks(document: AuditDocument) -> bool:
    return any(check.check.startswith(_MAPS) and check.status != "not_run" for check in document.trust)


def _has_controls(document: AuditDocument) -> bool:
    return any(check.check.startswith(_CONTROLS) and check.status != "not_run" for check in document.trust)


def _has_criteria(document: AuditDocument) -> bool:
    """Whether people declared thresholds; those that come with the tool are nobody's choice."""
    return document.policy.get("sha256") != Policy().sha256 and not document.deviations


def _always(_: AuditDocument) -> bool:
    return True


#: By kind of evidence, whether a run has it.
KINDS: Mapping[str, Callable[[AuditDocument], bool]] = {
    "performance": lambda document: document.data.labelled and document.performance.overall.estimate is not None,
    "subgroups": _has_subgroups,
    "attribution": _has_attribution,
    "interventions": _has_interventions,
    "map_checks": _has_map_checks,
    "controls": _has_controls,
    "criteria": _has_criteria,
    "group_label": lambda document: bool(document.data.composition),
    "cases": lambda document: bool(document.assets),
    # What every run has: its ledger, its seal, its register of what was not tested, and its settings.
    "data": _always,
    "provenance": _always,
    "limits": _always,
    "repeatable": _always,
}
