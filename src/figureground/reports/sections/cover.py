"""The first screen: what was audited, what was found, in words for people who decide."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from figureground.audit.declared.cues import BACKGROUND, cue_spec
from figureground.audit.document.audit_json import STATE_ORDER, CueVerdict, Direction, Estimate
from figureground.reports import numbers
from figureground.reports.figures.frequency import frequency_chart
from figureground.reports.scales import EffectScale
from figureground.reports.sections import asked, facts
from figureground.reports.sections.charts import drawn
from figureground.reports.sections.context import (
    Context,
    chip,
    cue_name,
    for_finding,
    min_detectable,
    odds,
    scale_of,
    state_words,
)
from figureground.reports.sections.cues import foremost
from figureground.reports.sections.facts import Fact
from figureground.reports.sections.pairs import CardPictures, on_cards
from figureground.reports.view import Chip, Picture, svg_picture

#: What nobody should read into any audit; said on the first screen where the verdict says it.
_ALWAYS_SAID = ("not_everyday_errors", "not_legal")


@dataclass(frozen=True)
class CueCard:
    """One cue on the first screen."""

    chip: Chip
    cue: str
    sentences: tuple[str, ...]
    small: tuple[str, ...]
    picture: Picture | None
    alt: str
    pictures: CardPictures = field(default_factory=CardPictures)


@dataclass(frozen=True)
class Cover:
    """The first screen."""

    subject: str
    headline: str
    about: str
    warning: str
    cards: tuple[CueCard, ...]
    caveats: tuple[str, ...]
    asked: tuple[str, ...]
    facts: tuple[Fact, ...]


def build(context: Context) -> Cover:
    """The first screen of a run."""
    cues = context.document.verdict.cues
    said = {message.key: context.words.message(message) for cue in cues for message in cue.does_not_show}
    return Cover(
        subject=_subject(context),
        headline=headline(context),
        about=_about(context),
        warning=_warning(context),
        cards=_cards(context, [cue for cue in _worst_first(cues) if _told(context, cue)]),
        caveats=(*(said[key] for key in _ALWAYS_SAID if key in said), *_reconciled(context)),
        asked=asked.decisions(context),
        facts=facts.build(context),
    )


def _warning(context: Context) -> str:
    """What makes every number doubtful, before all of them."""
    found = [item for item in context.document.findings if item.id == "class-order"]
    return context.words.message(found[0].message) if found else ""


def _reconciled(context: Context) -> tuple[str, ...]:
    """That nobody has shown this to be the model in use, where nobody has."""
    known = any(
        check.check == "predictions_reconciled" and check.status == "passed" for check in context.document.trust
    )
    return () if known else (context.words.say("not_reconciled"),)


def _told(context: Context, cue: CueVerdict) -> bool:
    return cue.cue in foremost(context.asked(cue.finding))


def headline(context: Context) -> str:
    """Counts, worst first: no score, no average."""
    cues, say = context.document.verdict.cues, context.words
    bound = context.document.policy.get("delta_negligible")
    own_scale = any(cue.status == "not_detected" and not EffectScale(cue.scale).shares for cue in cues)
    parts = []
    for state in STATE_ORDER:
        n = sum(cue.status == state for cue in cues)
        if n:
            key = "count.not_detected_mixed" if state == "not_detected" and own_scale else f"count.{state}"
            parts.append(say.say(key, n=n, bound=bound))
    if context.findings:
        pairs = {"n": len(cues), "findings": len(context.findings), "parts": ", ".join(parts) or say.say("count.none")}
        return say.say("cover.headline_findings", **pairs)
    return say.plural("cover.headline", len(cues), parts=", ".join(parts) or say.say("count.none"))


def _worst_first(cues: list[CueVerdict]) -> list[CueVerdict]:
    return sorted(cues, key=lambda cue: STATE_ORDER.index(cue.status))


def _subject(context: Context) -> str:
    subject, data = context.document.subject, context.document.data
    if context.target is not None:
        name = context.target.name
        return context.words.say("cover.subject_number", architecture=subject.architecture, n=data.ok, name=name)
    key = "cover.subject_findings" if context.findings else "cover.subject"
    return context.words.say(key, architecture=subject.architecture, n=data.ok, classes=len(subject.classes))


def _about(context: Context) -> str:
    """What the answer is, where that is a number."""
    target = context.target
    if target is None:
        return ""
    unit = f" ({target.unit})" if target.unit else ""
    limits = {"material": target.written(target.material), "cut": target.written(target.cut)}
    return context.words.say("cover.about_number", name=target.name, unit=unit, **limits)


def _cards(context: Context, cues: list[CueVerdict]) -> tuple[CueCard, ...]:
    """The cards, those of demonstrated cues with their pictures."""
    found = on_cards(context, cues)
    beside = [found.get((cue.cue, cue.finding), CardPictures()) for cue in cues]
    return tuple(replace(_card(context, cue), pictures=shown) for cue, shown in zip(cues, beside, strict=True))


def _card(context: Context, cue: CueVerdict) -> CueCard:
    sentences, small = [], []
    other, same = cue.changed_other_level, cue.changed_same_level
    if other is not None and other.estimate is not None:
        sentences.append(_frequency_sentence(context, cue, other, same))
        small.append(_frequency_small(context, other, same))
    if cue.direction is not None and cue.estimate is not None:
        sentences.append(_direction_sentence(context, cue, cue.direction))
    # The first reason stands in the state itself, except where the state needs none.
    others = cue.reasons if cue.status in ("demonstrated", "suspected", "not_detected") else cue.reasons[1:]
    if others:
        small.append(context.words.say("cover.also", reasons=context.words.clauses(map(context.words.message, others))))
    if cue.status not in ("demonstrated", "not_tested", "error") and cue.min_detectable is not None:
        small.append(min_detectable(context, cue))
    picture, alt = _picture(context, cue, other, same)
    name = cue_name(context, cue.cue)
    words = chip(context, cue.status, state_words(context, cue))
    title = for_finding(context, cue.finding, name)
    return CueCard(words, title[:1].upper() + title[1:], tuple(sentences), tuple(small), picture, alt)


def _frequency_sentence(context: Context, cue: CueVerdict, other: Estimate, same: Estimate | None) -> str:
    n, change = numbers.of_hundred(other.estimate), _change(context, cue)
    if same is None or same.estimate is None:
        return context.words.say("cover.changed", n=n, change=change)
    kind = context.words.say("same.background" if cue.cue == BACKGROUND else "same.other")
    control = numbers.of_hundred(same.estimate)
    return context.words.say("cover.changed_control", n=n, change=change, same=kind, control=control)


def _change(context: Context, cue: CueVerdict) -> str:
    """What was done to the picture, in words."""
    name = BACKGROUND if cue.cue == BACKGROUND else cue_spec(cue.cue).kind
    return context.words.say(f"change.{name}", cue=cue.cue)


def _frequency_small(context: Context, other: Estimate, same: Estimate | None) -> str:
    interval = numbers.span(other.ci_low, other.ci_high)
    base = context.words.say(
        "cover.changed_small", n=other.n, clusters=other.n_clusters, level=other.ci_level, interval=interval
    )
    if same is None or same.estimate is None:
        return base
    control = context.words.say("cover.control_small", n=same.n, interval=numbers.span(same.ci_low, same.ci_high))
    return f"{base} {control}"


def _direction_sentence(context: Context, cue: CueVerdict, direction: Direction) -> str:
    if cue.scale == "log_odds":
        return _odds_sentence(context, cue, direction)
    if cue.scale == "native":
        return _number_sentence(context, cue, direction)
    key = "cover.direction" if cue.status == "demonstrated" else "cover.largest"
    return context.words.say(
        key if cue.finding is None else f"{key}_finding",
        arm=direction.arm,
        reference=direction.reference,
        class_name=direction.class_name,
        effect=cue.estimate,
        level=cue.level,
        interval=numbers.span(cue.ci_low, cue.ci_high),
    )


def _number_sentence(context: Context, cue: CueVerdict, direction: Direction) -> str:
    """How much more the number is, in its own unit."""
    scale, target = scale_of(context, cue.scale), context.target
    return context.words.say(
        "cover.number",
        name="" if target is None else target.name,
        effect=scale.stated(cue.estimate),
        arm=direction.arm,
        reference=direction.reference,
        level=cue.level,
        interval=scale.span(cue.ci_low, cue.ci_high),
    )


def _odds_sentence(context: Context, cue: CueVerdict, direction: Direction) -> str:
    """On the log-odds scale: how many times the odds are, which people can picture."""
    return context.words.say(
        "cover.odds",
        arm=direction.arm,
        reference=direction.reference,
        class_name=direction.class_name,
        level=cue.level,
        **odds(cue.estimate, cue.ci_low, cue.ci_high),
    )


def _picture(
    context: Context, cue: CueVerdict, other: Estimate | None, same: Estimate | None
) -> tuple[Picture | None, str]:
    if other is None or other.estimate is None:
        return None, ""
    strong = cue.status == "demonstrated"
    shown = [(other, "cover.dots_other", strong), (same, "cover.dots_same", False)]
    rows = [
        {
            "title": context.words.say(key, n=numbers.of_hundred(e.estimate)),
            "share": e.estimate,
            "strong": warm,
        }
        for e, key, warm in shown
        if e is not None and e.estimate is not None
    ]
    picture = drawn(lambda: svg_picture(*frequency_chart(pd.DataFrame(rows))))
    return None if isinstance(picture, str) else picture, context.words.say(
        "cover.dots_alt", change=_change(context, cue), parts=context.words.clauses(str(r["title"]) for r in rows)
    )
