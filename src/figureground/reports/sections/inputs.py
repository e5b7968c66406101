"""What went in beside the data: who supplied it, what was joined, what the training data shares with the audit."""

from __future__ import annotations

from collections.abc import Sequence

from figureground.audit.document.audit_json import TrainingOverlap
from figureground.reports.catalogue import Catalogue
from figureground.reports.sections.context import Context, more
from figureground.reports.view import Table, table

#: So many names of classes and columns are told.
_SHOWN = 20


def reading(context: Context) -> str:
    """How the data was read, where that was not as usual; empty otherwise."""
    data = context.document.data
    if data.reading is None:
        return ""
    key = "ledger.undone" if data.source in ("dataset", "datamodule") else "ledger.reading"
    return context.words.say(key, reading=data.reading)


def joined(context: Context) -> str:
    """What was joined to the rows, and how many found no entry; empty where nothing was."""
    found = context.document.data.joined
    if found is None:
        return ""
    values = found.model_dump(include={"on", "entries", "matched", "unmatched", "unused"})
    return context.words.say("ledger.joined", columns=_named(context, found.columns), **values)


def unlabelled(context: Context) -> str:
    """That the data has no labels, and what stands for them; empty where it has."""
    return "" if context.document.data.labelled else context.words.say("ledger.unlabelled")


def absent(context: Context) -> str:
    """Classes of the model that no row has; empty where there is none."""
    labels = [label for label, n in context.document.data.labels.items() if n == 0]
    if not labels:
        return ""
    return context.words.say("ledger.absent", n=len(labels), labels=_named(context, labels))


def _named(context: Context, names: Sequence[str]) -> str:
    """The first names, and how many there are beside them."""
    shown, left_out = ", ".join(names[:_SHOWN]), len(names) - _SHOWN
    return shown if left_out <= 0 else context.words.say("fact.and_more", shown=shown, n=left_out)


def overlap(context: Context) -> str:
    """What the training data shares with the rows that were looked at, or that nobody gave it."""
    found = context.document.data.overlap
    return context.words.say("overlap.not_given") if found is None else shared_words(context.words, found)


def shared_words(words: Catalogue, found: TrainingOverlap) -> str:
    """What training data and the rows that were looked at share."""
    return " ".join(
        [words.say("overlap.pictures", **_numbers(found)), _units(words, found), _unread(words, found)]
    ).strip()


def _numbers(found: TrainingOverlap) -> dict[str, int]:
    return found.model_dump(include={"rows", "training_rows", "equal", "alike", "near_bits"})


def _units(words: Catalogue, found: TrainingOverlap) -> str:
    if found.shared_units is None:
        return words.say("overlap.no_units")
    return words.say("overlap.units", units=found.shared_units, rows=found.unit_rows)


def _unread(words: Catalogue, found: TrainingOverlap) -> str:
    return words.say("overlap.unreadable", n=found.unreadable) if found.unreadable else ""


def suppliers(context: Context) -> Table:
    """Every input with the party that supplied it."""
    say = context.words.say
    rows = [
        [say(f"input.{name}"), say("input.undeclared") if party is None else say(f"party.{party}")]
        for name, party in context.document.audit.supplied_by.items()
    ]
    columns = (say("column.name"), say("column.supplied_by"))
    return table(say("provenance.suppliers"), columns, rows, text_columns=2, note=more(context, "audit.json"))
