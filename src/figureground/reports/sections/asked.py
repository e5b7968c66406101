"""What people are asked to decide, and the block in which they sign; the tool decides and signs nothing."""

from __future__ import annotations

from figureground.audit.document.audit_json import Finding
from figureground.reports.sections.context import Context, cue_name, for_finding

#: States of a cue that ask for a decision, worst first.
_ASKING = ("demonstrated", "error", "suspected", "inconclusive", "not_tested")
#: Lines on the first screen; all findings stand below.
MAX_ASKED = 6


def decisions(context: Context) -> tuple[str, ...]:
    """One sentence for each finding that wants a decision, worst first; what was decided is told as such."""
    findings = [item for item in context.document.findings if item.cue is not None and item.status in _ASKING]
    told = [
        _begun(_asked(context, item)) for item in sorted(findings, key=lambda item: _ASKING.index(str(item.status)))
    ]
    left = len(told) - MAX_ASKED
    more = (context.words.plural("asked.more", left),) if left > 0 else ()
    return (*(told[:MAX_ASKED] or [context.words.say("asked.none")]), *more)


def _begun(line: str) -> str:
    """A sentence may begin with the name of a cue."""
    return line[:1].upper() + line[1:]


def _asked(context: Context, item: Finding) -> str:
    cue = for_finding(context, item.finding, cue_name(context, str(item.cue)))
    decided = item.decision
    if decided is not None and decided.active:
        key = f"asked.decided_{decided.decision}"
        said = {"by": decided.by, "reason": decided.reason, "until": decided.expires}
        return context.words.say(key, cue=cue, id=item.id, **said)
    return context.words.say(f"asked.{item.status}", cue=cue, id=item.id)
