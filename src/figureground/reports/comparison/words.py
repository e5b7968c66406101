"""The words of a comparison: states, effects before and after, why something is as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from figureground.audit.compare.document import (
    ChangeState,
    ComparisonDocument,
    CueChange,
    Difference,
    GroupChange,
    MeasureChange,
    group_name,
)
from figureground.audit.declared.cues import BACKGROUND, apart, cue_spec, is_known
from figureground.audit.document.base import Message
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.scales import EffectScale
from figureground.reports.view import Chip

#: Shape, and the colours of which state of an audit a change is shown in.
_CHIPS: dict[str, tuple[str, str]] = {
    "new": ("▲", "demonstrated"),
    "worse": ("▲", "demonstrated"),
    "lost_coverage": ("□", "not_tested"),
    "not_comparable": ("◐", "inconclusive"),
    "unchanged": ("○", "note"),
    "better": ("▽", "not_detected"),
    "resolved": ("✓", "not_detected"),
    "gained_coverage": ("■", "note"),
    "not_tested": ("□", "not_tested"),
}


@dataclass(frozen=True)
class Told:
    """A comparison and the language in which it is told."""

    document: ComparisonDocument
    words: Catalogue

    def chip(self, state: ChangeState) -> Chip:
        """A state as shape and words."""
        shape, colours = _CHIPS[state]
        return Chip(colours, shape, self.words.say(f"compare.state.{state}"))

    def measured(self, item: MeasureChange) -> Chip:
        """The state of a measure; that a model looks elsewhere is neither better nor worse by itself."""
        chip = self.chip(item.state)
        if item.measure != "background_share" or item.state not in ("worse", "better"):
            return chip
        return Chip("note", chip.shape, self.words.say(f"compare.state.{'more' if item.state == 'worse' else 'less'}"))

    def level(self, found: Difference) -> float:
        """The confidence level as it is written: quotients of an error have no end of digits."""
        return round(found.ci_level, 4)

    def cue(self, name: str, finding: str | None = None) -> str:
        """A cue in words, with the finding that it is about."""
        words = " + ".join(self.words.term("cue", one) for one in apart(name))
        return words if finding is None else self.words.say("finding.of", finding=finding, words=words)

    def measure(self, item: MeasureChange) -> str:
        """A measure in words, with its method and finding."""
        method = self.words.term("method", item.method) if item.method else ""
        words = self.words.say(f"compare.measure.{item.measure}", method=method)
        return words if item.finding is None else self.words.say("finding.of", finding=item.finding, words=words)

    def group(self, item: GroupChange) -> str:
        """A subgroup in words, with the finding that it is about."""
        words = self.named(group_name(item.attribute, item.level, item.label))
        return words if item.finding is None else self.words.say("finding.of", finding=item.finding, words=words)

    def of(self, head: str, words: str) -> str:
        """A head and what is said of it, with the colon of the language."""
        return self.words.say("finding.of", finding=head, words=words)

    @property
    def label(self) -> str:
        """The word for a label."""
        return self.words.say("column.label").lower()

    def named(self, group: str) -> str:
        """A subgroup as it was stored, with its label in words."""
        return re.sub(r"(^|, )label = ", lambda found: f"{found[1]}{self.label} = ", group)

    def short(self, item: MeasureChange) -> str:
        """A measure as it stands at the side of a chart."""
        method = self.words.term("method", item.method) if item.method else ""
        return self.words.say(f"compare.short.{item.measure}", method=method)

    def scale(self, found: Difference) -> EffectScale:
        """How a difference is written."""
        return EffectScale(found.scale, self.document.unit if found.scale == "native" else "")

    def moved(self, found: Difference) -> str:
        """A difference with its sign and unit."""
        scale = self.scale(found)
        plus = "+" if found.estimate is not None and found.estimate > 0 and scale.name != "log_odds" else ""
        return plus + scale.stated(found.estimate)

    def why(self, message: Message | None) -> str:
        """A reason of an audit in words; a dash where there is none."""
        if message is None:
            return numbers.NONE
        known = message.key in self.words.sentences
        return self.words.message(message) if known else self.words.term("reason", message.key)

    def reason(self, key: str | None) -> str:
        """What is to be known of a change; empty where there is nothing."""
        return "" if key is None else self.words.term("compare.reason", key)

    def change(self, cue: str) -> str:
        """What was done to the picture, in words."""
        kind = BACKGROUND if cue == BACKGROUND else cue_spec(cue).kind if is_known(cue) else "global"
        return self.words.say(f"change.{kind}", cue=cue)

    def audit_state(self, item: CueChange, which: str) -> str:
        """The state that one of the audits gives a cue."""
        status = getattr(item, f"{which}_status")
        return self.words.say("compare.not_listed") if status is None else self.words.say(f"state.{status}")
