"""For whom a copy of a run was made, what it leaves out, and who was taken out of the run."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.reports.sections.context import Context


@dataclass(frozen=True)
class EditionView:
    """What an edition says of itself; the run itself has none."""

    name: str
    lead: str
    left_out: tuple[str, ...]


def build(context: Context) -> EditionView | None:
    """The edition in words; None for the run itself."""
    edition, say = context.document.edition, context.words.say
    if edition is None:
        return None
    lead = say(f"edition.{edition.name}.lead", seal=edition.seal)
    lines = tuple(context.words.message(message) for message in edition.left_out)
    return EditionView(say(f"edition.{edition.name}"), lead, lines)


def purges(context: Context) -> tuple[str, ...]:
    """That rows were taken out, how many and when; not whose."""
    return tuple(
        context.words.plural("purged", item.rows, at=item.at[:10], seal=item.seal)
        for item in context.document.audit.purged
    )
