"""Parts of ``audit.json`` that say how it left the house: an edition of a run, and people who were taken out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from figureground.audit.document.base import Message, Part

EditionName = Literal["internal", "regulator", "public"]


class Edition(Part):
    """For whom this copy of a run was made, and what it leaves out."""

    name: EditionName
    key_id: str | None = Field(description="of the key of its ids and hashes; null: a key that nobody kept")
    seal: str = Field(description="SHA-256 of the seal of the run that it was made from")
    threshold: int | None = Field(description="cells of fewer rows or units are hidden; null: none is")
    hidden_cells: int = Field(description="cells and margins of the tables of subgroups that are hidden")
    hidden_attributes: list[str] = Field(description="attributes of which nothing is shown")
    rows: bool = Field(description="whether there are tables with a line for each image")
    left_out: list[Message]


class Purged(Part):
    """Rows that were taken out of a run after it was sealed; not whose they were."""

    at: str
    rows: int = Field(description="rows of the examples that were taken out")
    seal: str = Field(description="SHA-256 of the seal that the run had before")
