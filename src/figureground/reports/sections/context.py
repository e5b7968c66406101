"""What every section is given, and the words for a state: a state never stands without its cue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import exp
from typing import Any

from figureground.audit.declared.cues import apart
from figureground.audit.declared.target import Target
from figureground.audit.document.audit_json import STATE_ORDER, AuditDocument, CueVerdict, HumanInput, Performance
from figureground.audit.keeping.result import AuditResult
from figureground.reports.answer_names import Names, answer_names, renamed, renamed_document
from figureground.reports.catalogue import Catalogue
from figureground.reports.scales import EffectScale
from figureground.reports.view import Chip, records

SHAPES = {
    "demonstrated": "▲",
    "suspected": "◆",
    "inconclusive": "◐",
    "not_detected": "○",
    "not_tested": "□",
    "error": "✕",
    "note": "■",
    "passed": "✓",
    "failed": "✕",
    "not_run": "□",
}

#: Findings with drawings of everything.
_DRAWN = 4


@dataclass(frozen=True)
class Context:
    """A run and the language in which it is told."""

    result: AuditResult
    words: Catalogue
    #: Multi-label data: the finding that a part of the page is about; None: all of them.
    finding: str | None = None
    #: Names of answers as they are shown, and the document under them: see :meth:`of`.
    names: Names = field(default_factory=dict)
    told: AuditDocument | None = None

    @classmethod
    def of(cls, result: AuditResult, words: Catalogue) -> Context:
        """The run, with the answers that the audit itself gave a name under their names in the reader's language."""
        names = answer_names(result.document, words)
        return cls(result, words, names=names, told=renamed_document(result.document, names))

    @property
    def findings(self) -> tuple[str, ...]:
        """Multi-label data: every finding that was asked; empty otherwise."""
        performance = self.document.performance
        return tuple(part.finding for part in (performance, *performance.others) if part.finding is not None)

    def asked(self, finding: str | None) -> Context:
        """The same run, told for one finding only."""
        return replace(self, finding=finding)

    @property
    def cues(self) -> list[CueVerdict]:
        """Verdicts on all cues, or on those of one finding."""
        return [cue for cue in self.document.verdict.cues if self.finding in (None, cue.finding)]

    @property
    def performance(self) -> Performance:
        """Of the run, or of one finding."""
        whole = self.document.performance
        return next((part for part in whole.others if self.finding and part.finding == self.finding), whole)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names that an answer can have: the classes, or a finding and its absence."""
        return tuple(self.performance.classes or self.document.subject.classes)

    @cached_property
    def target(self) -> Target | None:
        """What the number is that is the answer; None where the answer is a class or a finding."""
        declared = self.document.policy.get("target")
        return None if declared is None else Target.model_validate(declared)

    def of_answers(self, key: str) -> str:
        """Name of the sentence that says this of classes; of findings, or of the sides of a cut, where these answer."""
        return key + ("_sides" if self.target is not None else "_finding" if self.findings else "")

    def of_labels(self, key: str) -> str:
        """Name of the sentence that says this of labels; of the model's own answers, where these stand for them."""
        return key if self.document.data.labelled else f"{key}_unlabelled"

    @property
    def unit(self) -> str:
        """The unit of the number, or words that stand for it."""
        return (self.target.unit if self.target else "") or self.words.say("column.own")

    def _mine(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = renamed(rows, self.names) if self.names else rows
        return rows if self.finding is None else [row for row in rows if row.get("finding") == self.finding]

    @property
    def document(self) -> AuditDocument:
        """The whole of ``audit.json``."""
        return self.result.document if self.told is None else self.told

    @cached_property
    def subgroups(self) -> list[dict[str, Any]]:
        """Rows of the subgroup table."""
        return self._mine(records(self.result.subgroups))

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """Rows of the test table."""
        return self._mine(records(self.result.tests))

    @cached_property
    def gallery(self) -> list[dict[str, Any]]:
        """Rows of the gallery, by rule and rank, panels in their stored order."""
        return sorted(renamed(records(self.result.gallery), self.names), key=lambda row: (row["rule"], row["rank"]))

    @property
    def demonstrated(self) -> bool:
        """Whether any cue was shown by intervention."""
        return any(cue.status == "demonstrated" for cue in self.document.verdict.cues)

    @cached_property
    def brief(self) -> bool:
        """Whether this finding has words and tables by subgroup, but no drawings of them.

        A page of many findings could not be opened if all were drawn: those with the worst states are.
        """
        findings = self.findings
        if self.finding is None or len(findings) <= _DRAWN:
            return False
        worst = {name: min(self._orders(name), default=len(STATE_ORDER)) for name in findings}
        return self.finding not in sorted(findings, key=lambda name: (worst[name], findings.index(name)))[:_DRAWN]

    def _orders(self, finding: str) -> list[int]:
        return [STATE_ORDER.index(cue.status) for cue in self.document.verdict.cues if cue.finding == finding]

    def is_environment(self, attribute: str) -> bool:
        """Whether an attribute is the one that gives the strata."""
        return attribute in ("environment", self.document.data.environment)


def scale_of(context: Context, name: str | None) -> EffectScale:
    """How effects on a scale of this run are written."""
    target = context.target
    return EffectScale(name, "" if target is None or name != "native" else target.unit)


def cue_name(context: Context, cue: str) -> str:
    """The cue in words; several that were kept together, joined."""
    return " + ".join(context.words.term("cue", one) for one in apart(cue))


def state_words(context: Context, cue: CueVerdict) -> str:
    """The state in the report's fixed words; only ``demonstrated`` names its cue itself."""
    reason = context.words.message(cue.reasons[0]) if cue.reasons else context.words.say("state.no_reason")
    bound = cue.bound if cue.bound is not None else context.document.policy.get("delta_negligible", cue.min_detectable)
    scale, key = scale_of(context, cue.scale), f"verdict.{cue.status}"
    if cue.status == "not_detected" and bound is not None:
        key, bound = scale.key(key), scale.told(bound)
    return context.words.say(key, cue=cue.cue, reason=reason, bound=bound)


def state_line(context: Context, cue: CueVerdict) -> str:
    """The state together with its cue."""
    words = state_words(context, cue)
    if cue.status != "demonstrated":
        name = cue_name(context, cue.cue)
        words = context.words.say("verdict.with_cue", cue=name[:1].upper() + name[1:], state=words)
    return for_finding(context, cue.finding, words)


def for_finding(context: Context, finding: str | None, words: str) -> str:
    """Words about one finding, with its name before them; of data with one label, the words alone."""
    return words if finding is None else context.words.say("finding.of", finding=finding, words=words)


def odds(estimate: float | None, low: float | None, high: float | None) -> dict[str, float | None]:
    """Log odds ratios as odds ratios, which people can picture: ``ratio``, ``low``, ``high``."""
    ratio, least, most = (None if value is None else exp(value) for value in (estimate, low, high))
    return {"ratio": ratio, "low": least, "high": most}


def min_detectable(context: Context, cue: CueVerdict) -> str:
    """The smallest effect that so many images would probably have shown, on the cue's own scale."""
    scale = scale_of(context, cue.scale)
    return context.words.say(scale.key("cover.min_detectable"), value=scale.told(cue.min_detectable))


def chip(context: Context, state: str, words: str | None = None) -> Chip:
    """A state as shape and words."""
    return Chip(state, SHAPES[state], words if words is not None else context.words.say(f"state.{state}"))


def more(context: Context, file: str) -> Callable[[int, int], str]:
    """Words for rows that a table leaves out, of how many, pointing at the file that holds them."""

    def told(left_out: int, total: int) -> str:
        return context.words.plural("table.more", left_out, shown=total - left_out, total=total, file=file)

    return told


def given(context: Context, item: HumanInput) -> str:
    """What a person said, with who and when; empty where nobody said anything."""
    if not (item.value and item.by and item.at):
        return item.value or ""
    return context.words.say("human.given", value=item.value, by=item.by, at=item.at)
