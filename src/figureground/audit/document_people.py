"""Parts of ``audit.json`` that are left to people: fields that they fill in, and provisions that they answer for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from figureground.audit.document_base import Part


class HumanInput(Part):
    """A field that only a person can fill."""

    field: str
    value: str | None
    by: str | None
    at: str | None


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
