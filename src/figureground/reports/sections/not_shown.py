"""What the verdicts on all cues do not show, each thing once; of rare labels with their names and the fewest units."""

from __future__ import annotations

from figureground.audit.document.audit_json import CueVerdict
from figureground.reports.sections.context import Context

#: Said of one label, so that it is told which.
_FEW = "few_with_finding"


def not_shown(context: Context) -> tuple[str, ...]:
    """Sentences, in the order in which the cues say them."""
    cues, found = context.document.verdict.cues, dict[tuple[str, str], str]()
    fewest = _fewest(context)
    for cue in cues:
        for message in cue.does_not_show:
            label = _label(context, cue) if message.key == _FEW else ""
            if label:
                words = context.words.say(context.of_labels("few_with_label"), label=label, n=fewest[label])
            else:
                words = context.words.message(message)
            found.setdefault((message.key, label or words), words)
    return tuple(found.values())


def _fewest(context: Context) -> dict[str, int]:
    """By label, the fewest independent units that any cue was tested on."""
    few = [
        (_label(context, cue), int(message.args["n"]))
        for cue in context.document.verdict.cues
        for message in cue.does_not_show
        if message.key == _FEW
    ]
    return {label: min(n for name, n in few if name == label) for label, _ in few}


def _label(context: Context, cue: CueVerdict) -> str:
    """The finding, or the second class, as the verdict's own parts by label have it."""
    return cue.finding or context.document.subject.classes[-1]
