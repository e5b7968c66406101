"""What all formats tell: each finding with its identifier, state and words; and text that XML can hold."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.reports.sections import findings
from figureground.reports.sections.context import Context
from figureground.visible import visible

#: The state of a finding that is a fact about the run and no verdict on a cue.
NOTE = "note"


@dataclass(frozen=True)
class Told:
    """One finding in words."""

    id: str
    status: str
    state: str
    sentence: str
    details: tuple[str, ...]


def told(context: Context) -> tuple[Told, ...]:
    """Every finding of the document, in its order."""
    views = findings.build(context).items
    return tuple(
        Told(view.id, found.status or NOTE, view.chip.words, view.sentence, view.details)
        for view, found in zip(views, context.document.findings, strict=True)
    )


def printable(text: str) -> str:
    """The text with code points in place of what no XML document can hold, and of what would turn or hide text."""
    return visible(text)
