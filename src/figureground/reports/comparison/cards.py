"""The first screen of a comparison: what changed, in words for people who decide."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import pandas as pd

from figureground.audit.compare.document import CHANGE_ORDER, CueChange, Difference, MeasureChange
from figureground.audit.document.base import Message
from figureground.reports import numbers
from figureground.reports.comparison.words import Told
from figureground.reports.figures.frequency import frequency_chart
from figureground.reports.sections.charts import drawn
from figureground.reports.sections.cover import CueCard
from figureground.reports.sections.facts import Fact
from figureground.reports.view import Picture, svg_picture

#: Cues of these states have a card; the others stand in the table.
_TOLD = ("new", "worse", "lost_coverage", "not_comparable", "better", "resolved")


@dataclass(frozen=True)
class Cover:
    """The first screen."""

    subject: str
    headline: str
    open: bool
    gate: tuple[str, ...]
    cards: tuple[CueCard, ...]
    caveats: tuple[str, ...]
    facts: tuple[Fact, ...]


def build(told: Told) -> Cover:
    """The first screen of a comparison."""
    document = told.document
    cues = [item for item in document.cues if item.state in _TOLD] or document.cues[:1]
    measures = [item for item in document.measures if item.measure != "background_share" and item.difference]
    return Cover(
        subject=_subject(told),
        headline=headline(told),
        open=document.gate.exit_code == 0,
        gate=gate_lines(told),
        cards=(*(_cue_card(told, item) for item in cues), *(_measure_card(told, item) for item in measures)),
        caveats=_caveats(told),
        facts=_facts(told),
    )


def headline(told: Told) -> str:
    """Counts, what needs attention first: no score, no average."""
    counts, say = told.document.counts, told.words
    parts = [say.say(f"compare.count.{state}", n=counts[state]) for state in CHANGE_ORDER if counts.get(state)]
    return say.plural("compare.headline", len(told.document.cues), parts=", ".join(parts) or say.say("count.none"))


def gate_lines(told: Told) -> tuple[str, ...]:
    """Whether the gate is passed, and what keeps it shut."""
    found = told.document.gate
    return (told.words.say(f"compare.gate.{found.exit_code}"), *(_gate_reason(told, one) for one in found.reasons))


def _gate_reason(told: Told, reason: Message) -> str:
    args, finding = reason.args, reason.args.get("finding")
    if "cue" in args:
        return told.words.say(reason.key, cue=told.cue(str(args["cue"]), finding))
    words = told.words.say(reason.key, margin=args["margin"])
    return words if finding is None else told.words.say("finding.of", finding=finding, words=words)


def _subject(told: Told) -> str:
    rows = told.document.rows
    if rows.how == "paired":
        return told.words.say("compare.subject", n=rows.common)
    return told.words.say("compare.subject_aggregates", reason=told.reason(rows.reason))


def _cue_card(told: Told, item: CueChange) -> CueCard:
    sentences = [*_frequencies(told, item), *_effect(told, item)]
    if not sentences:
        sentences = [_coverage(told, item)]
    name = told.cue(item.cue, item.finding)
    picture, alt = _picture(told, item)
    return CueCard(
        chip=told.chip(item.state),
        cue=name[:1].upper() + name[1:],
        sentences=tuple(sentences),
        small=tuple(line for line in (_sentence(told.reason(item.reason)), _small(told, item.difference)) if line),
        picture=picture,
        alt=alt,
    )


def _frequencies(told: Told, item: CueChange) -> list[str]:
    before, after = item.first_changed, item.second_changed
    if before is None or after is None or before.estimate is None or after.estimate is None:
        return []
    first, second = numbers.of_hundred(before.estimate), numbers.of_hundred(after.estimate)
    return [told.words.say("compare.changed", change=told.change(item.cue), first=first, second=second)]


def _effect(told: Told, item: CueChange) -> list[str]:
    found, way = item.difference, item.direction
    if found is None or way is None or found.estimate is None:
        return []
    scale = told.scale(found)
    if scale.name == "log_odds":
        first, second = (numbers.general(scale.told(value)) for value in (found.first, found.second))
        return [told.words.say("compare.effect_odds", **way.model_dump(), first=first, second=second)]
    return [
        told.words.say(
            "compare.effect" if scale.shares else "compare.effect_native",
            class_name=way.class_name,
            arm=way.arm,
            reference=way.reference,
            first=scale.stated(found.first),
            second=scale.stated(found.second),
        )
    ]


def _coverage(told: Told, item: CueChange) -> str:
    return told.words.say(f"compare.told.{item.state}", reason=told.why(item.second_reason))


def _small(told: Told, found: Difference | None) -> str:
    """n, the interval, and the difference that would have been shown."""
    if found is None or found.estimate is None:
        return ""
    scale = told.scale(found)
    if scale.name == "log_odds":
        return _small_odds(told, found)
    return told.words.say(
        f"compare.small.{found.how}",
        n=found.n,
        units=found.n_clusters,
        difference=told.moved(found),
        level=told.level(found),
        interval=scale.span(found.ci_low, found.ci_high),
        smallest=scale.stated(found.smallest),
    )


def _small_odds(told: Told, found: Difference) -> str:
    """The same of odds ratios, which people can picture: a factor."""
    ends = (found.estimate, found.ci_low, found.ci_high, found.smallest)
    ratio, low, high, smallest = (None if value is None else exp(value) for value in ends)
    return told.words.say(
        "compare.small.odds",
        n=found.n,
        units=found.n_clusters,
        level=told.level(found),
        ratio=ratio,
        low=low,
        high=high,
        smallest=smallest,
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _measure_card(told: Told, item: MeasureChange) -> CueCard:
    name = told.measure(item)
    return CueCard(
        chip=told.measured(item),
        cue=name[:1].upper() + name[1:],
        sentences=tuple(_answers(told, item)),
        small=tuple(line for line in (_sentence(told.reason(item.reason)), _small(told, item.difference)) if line),
        picture=None,
        alt="",
    )


def _answers(told: Told, item: MeasureChange) -> list[str]:
    found = item.difference
    if found is None or found.first is None or found.second is None:
        return [told.words.say("compare.no_number")]
    first, second = numbers.of_hundred(found.first), numbers.of_hundred(found.second)
    groups = {"first_group": told.named(item.first_group or ""), "second_group": told.named(item.second_group or "")}
    return [told.words.say(f"compare.told.{item.measure}", first=first, second=second, **groups)]


def _picture(told: Told, item: CueChange) -> tuple[Picture | None, str]:
    shown = [(item.first_changed, "first"), (item.second_changed, "second")]
    rows = [
        {
            "title": told.words.say(f"compare.dots_{name}", n=numbers.of_hundred(one.estimate)),
            "share": one.estimate,
            "strong": getattr(item, f"{name}_status") == "demonstrated",
        }
        for one, name in shown
        if one is not None and one.estimate is not None
    ]
    if not rows:
        return None, ""
    picture = drawn(lambda: svg_picture(*frequency_chart(pd.DataFrame(rows))))
    parts = told.words.clauses(str(row["title"]) for row in rows)
    alt = told.words.say("cover.dots_alt", change=told.change(item.cue), parts=parts)
    return (None if isinstance(picture, str) else picture), alt


def _caveats(told: Told) -> tuple[str, ...]:
    document, say = told.document, told.words.say
    found = [say("compare.caveat.cause"), say("not_legal")]
    changed = {item.name for item in document.inputs if item.changed}
    if document.policy_changes:
        found.insert(0, say("compare.caveat.policy"))
    if document.rows.how == "aggregates":
        found.insert(0, say("compare.caveat.aggregates"))
    elif {"classes"} & changed:
        found.insert(0, say("compare.caveat.classes"))
    if document.same_model:
        found.insert(0, say("compare.caveat.same_model"))
    return tuple(found)


def _facts(told: Told) -> tuple[Fact, ...]:
    document, say = told.document, told.words.say
    months = say("date.months").split()
    found: list[Fact] = []
    for name, side in (("first", document.first), ("second", document.second)):
        model = side.model_sha256 or ""
        day = numbers.day(side.started, months)
        found += [
            Fact(say(f"compare.fact.{name}"), say("compare.fact.audit", audit=side.audit_id, day=day), side.seal),
            Fact(
                say(f"compare.fact.{name}_model"),
                say(
                    "compare.fact.model",
                    architecture=side.architecture,
                    sha256=numbers.short_hash(model) or numbers.NONE,
                ),
                model,
            ),
        ]
    found.append(Fact(say("compare.fact.rows"), _rows(told)))
    return tuple(found)


def _rows(told: Told) -> str:
    rows = told.document.rows
    return told.words.say("compare.fact.rows_value", common=rows.common, first=rows.only_first, second=rows.only_second)
