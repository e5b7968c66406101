"""Parts of ``audit.json`` that are left to people: fields that they fill in, and provisions that they answer for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from figureground.audit.document.base import Part

#: Fields that only a person can fill: their keys in ``system.toml``, and their names in the document.
HUMAN_FIELDS = {
    "system_name": "system name",
    "system_version": "system version",
    "intended_purpose": "intended purpose",
    "risk_tolerance": "risk tolerance",
    "reference_population": "reference population",
    "lawful_basis": "lawful basis",
    "responsible_persons": "responsible persons",
    "contact": "contact and review",
    "independence": "independence",
    "validity": "validity",
    "dissent": "dissent",
}


class HumanInput(Part):
    """A field that only a person can fill."""

    field: str
    value: str | None
    by: str | None
    at: str | None
    shares: dict[str, dict[str, float]] | None = Field(
        default=None, description="share in [0, 1] of each level of an attribute in the population of reference"
    )


class Clause(Part):
    """Which evidence is relevant to which provision; never that anything is met."""

    id: str = Field(description="stable name of the row in the pack")
    instrument: str
    provision: str
    version: str = Field(description="the text that is meant")
    state: Literal["available", "partial", "human_input_required", "not_applicable"]
    evidence: list[str] = Field(description="kinds of relevant evidence that this run has")
    missing: list[str] = Field(description="kinds of relevant evidence that it has not")
    people: bool = Field(description="whether something is left that only people can add")
    verified: Literal["read", "to_verify"] = Field(description="whether somebody read it in the original")
    source: str
    as_of: str = Field(description="ISO date on which the pack stood")
    stale_from: str = Field(description="ISO date from which the row is not to be relied on")
