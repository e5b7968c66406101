"""The pictures of every cue: one pair beside its card on the first sheet, and all of them in a section of the cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document.audit_json import STATE_ORDER, CueVerdict
from figureground.reports.sections.cases import answered, cases_of, changed, cue_of, picture_of
from figureground.reports.sections.context import Context, for_finding
from figureground.reports.view import Cases, Panel

#: So many cards of the first sheet have a pair: more would push the signatures off it.
ON_COVER = 3
#: Longer side of a picture on a card, in CSS pixels.
SMALL = 104
Key = tuple[str, str | None]


@dataclass(frozen=True)
class CuePairs:
    """The pictures of one cue."""

    identifier: str
    title: str
    lead: str
    groups: tuple[Cases, ...]


@dataclass(frozen=True)
class CardPictures:
    """What a card says in pictures: the two of them, or why there are none, and where more are."""

    panels: tuple[Panel, ...] = ()
    note: str = ""
    target: str = ""
    link: str = ""


def build(context: Context) -> tuple[CuePairs, ...]:
    """One section for each cue that has pictures, the worst first."""
    return tuple(_section(context, key, name) for key, name in _sections(context).items())


def on_cards(context: Context, cues: Sequence[CueVerdict]) -> dict[Key, CardPictures]:
    """By cue and finding, for the cues that have a card: a pair for the first of those that are demonstrated."""
    shown = [_key(cue) for cue in cues if cue.status == "demonstrated"]
    names = _sections(context)
    return {key: _on_card(context, key, names.get(key, ""), at < ON_COVER) for at, key in enumerate(shown)}


def _on_card(context: Context, key: Key, target: str, roomy: bool) -> CardPictures:
    link = context.words.say("cover.pair.more") if target else ""
    known = _of(context, key)
    rows = [row for row in known if row["rule"] == "swap_changed" and row["rank"] == 1]
    if not rows:
        return CardPictures((), _why_none(context, bool(known)), target, link)
    if not roomy:
        return CardPictures((), "", target, context.words.say("cover.pair.below"))
    return CardPictures(_pair(context, key, rows), "", target, link)


def _why_none(context: Context, stored: bool) -> str:
    """Left out of an edition, or of the run, or no image to be shown under the rule."""
    if not len(context.result.gallery):
        left_out = context.document.edition is not None and context.document.edition.name != "internal"
        return context.words.say("cover.pair.edition" if left_out else "gallery.none")
    return context.words.say("cover.pair.none" if stored else "cover.pair.not_stored")


def _pair(context: Context, key: Key, rows: list[dict[str, Any]]) -> tuple[Panel, ...]:
    """The picture as it is, and with nothing but the cue changed."""
    panels = {row["panel"]: row for row in rows}
    if not {"original", "other_level"} <= set(panels):
        return ()
    before, after = panels["original"], panels["other_level"]
    say, was = context.words.say, answered(context, before)
    first = Panel(say("panel.original.plain"), _small(context, before), _alt(context, before), was)
    title = say("cover.pair.changed", cue=key[0])
    moved = changed(context.target, after, before)
    mark = say("panel.changed" if moved else "panel.unchanged")
    alt = say("cover.pair.alt", title=title, answer=", ".join(answered(context, after)), mark=mark)
    return first, Panel(title, _small(context, after), alt, answered(context, after), mark, moved)


def _alt(context: Context, row: dict[str, Any]) -> str:
    title = context.words.say("panel.original.plain")
    return context.words.say("cover.pair.alt_original", title=title, answer=", ".join(answered(context, row)))


def _small(context: Context, row: dict[str, Any]) -> Any:
    picture = picture_of(context, row)
    if picture is None:
        return None
    factor = SMALL / max(picture.width, picture.height)
    return replace(picture, width=round(picture.width * factor), height=round(picture.height * factor))


def _sections(context: Context) -> dict[Key, str]:
    """Cues that have pictures, the worst first, and the name of the section of each."""
    order = {_key(cue): STATE_ORDER.index(cue.status) for cue in reversed(context.document.verdict.cues)}
    found = dict.fromkeys(_of_row(row) for row in context.gallery if row["rule"].startswith("swap_"))
    ordered = sorted(found, key=lambda key: (order.get(key, len(STATE_ORDER)), key[0] != BACKGROUND, key[1] or "", key))
    return {key: "settles" if at == 0 else f"settles-{at + 1}" for at, key in enumerate(ordered)}


def _section(context: Context, key: Key, name: str) -> CuePairs:
    cue, finding = key
    shown = any(_key(one) == key and one.status == "demonstrated" for one in context.document.verdict.cues)
    kind, say = "demonstrated" if shown else "other", context.words.say
    of = "" if cue == BACKGROUND else ".cue"
    title = say(f"section.settles.{kind}{of}", cue=cue)
    rules = (("swap_changed", 3), ("swap_random_unchanged", 1))
    groups = (cases_of(context, rule, limit, _of(context, key)) for rule, limit in rules)
    return CuePairs(
        identifier=name,
        title=for_finding(context, finding, title),
        lead=say(f"settles.lead.{kind}{of}", cue=cue),
        groups=tuple(group for group in groups if group is not None),
    )


def _of(context: Context, key: Key) -> list[dict[str, Any]]:
    return [row for row in context.gallery if row["rule"].startswith("swap_") and _of_row(row) == key]


def _of_row(row: dict[str, Any]) -> Key:
    return cue_of(row), row.get("finding")


def _key(cue: CueVerdict) -> Key:
    return cue.cue, cue.finding
