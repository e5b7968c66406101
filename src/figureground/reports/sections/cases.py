"""The galleries: images chosen by rules that were declared before anything was measured."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.declared.target import Target
from figureground.audit.methods.reported import METHODS
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context
from figureground.reports.view import Case, Cases, Panel, Picture, webp_picture

_SHOWN = ("original", "own_level", "other_level")
_PANEL_ORDER = (*_SHOWN, *METHODS)


def heatmap_cases(context: Context) -> tuple[Cases, ...]:
    """The worst images by the declared rule, and as many at random: all that the run stored."""
    worst, chance = (cases_of(context, rule, None, context.gallery) for rule in ("worst", "random"))
    return tuple(found for found in (worst, chance) if found is not None)


def panels(context: Context, rows: list[dict[str, Any]]) -> tuple[Panel, ...]:
    """The stored pictures of one image, in reading order."""
    ordered = sorted(rows, key=_place)
    original = next((row for row in ordered if row["panel"] == "original"), None)
    return tuple(_panel(context, row, original) for row in ordered)


def _place(row: dict[str, Any]) -> tuple[int, str, str]:
    """Before the maps what was shown to the model, and a caller's own maps last."""
    panel = row["panel"]
    at = _PANEL_ORDER.index(panel) if panel in _PANEL_ORDER else len(_PANEL_ORDER)
    return at, panel, row["caption_level"] or ""


def cases_of(context: Context, rule: str, limit: int | None, gallery: list[dict[str, Any]]) -> Cases | None:
    """The cases of a rule among these rows of the gallery; None without any."""
    rows = [row for row in gallery if row["rule"] == rule]
    if not rows:
        return None
    cases = [
        _case(context, rank, list(group))
        for (rank, _), group in groupby(rows, key=lambda row: (row["rank"], row["row_id"]))
    ]
    say, cue = context.words.say, cue_of(rows[0])
    of = "" if cue == BACKGROUND or not rule.startswith("swap_") else ".cue"
    title, told = say(f"gallery.{rule}.title{of}", cue=cue), say(f"{_said(context, rule)}{of}", cue=cue)
    return Cases(title, told, tuple(cases[:limit]), rule)


def cue_of(row: dict[str, Any]) -> str:
    """What was exchanged; in runs that do not say, it was the background."""
    return str(row.get("cue") or BACKGROUND)


def _case(context: Context, rank: int, rows: list[dict[str, Any]]) -> Case:
    say = context.words.say
    return Case(
        title=say(context.of_labels("gallery.case"), label=rows[0]["label"]),
        subtitle=say("gallery.row", rank=int(rank), row_id=str(rows[0]["row_id"])),
        panels=panels(context, rows),
    )


def _said(context: Context, rule: str) -> str:
    """The sentence of a rule; those that go by probability go by distance where the answer is a number."""
    own = context.target is not None and rule in ("swap_changed", "worst")
    return f"gallery.{rule}.rule{'_native' if own else ''}"


def _panel(context: Context, row: dict[str, Any], original: dict[str, Any] | None) -> Panel:
    say = context.words.say
    level = row["caption_level"] or ""
    share = row["background_share"]
    if row["panel"] not in _SHOWN:
        title = context.words.term("method", row["panel"])
        known = say("panel.no_share") if share is None else say("panel.share", share=numbers.percent(share))
        lines: tuple[str, ...] = (known,)
        return Panel(
            title, picture_of(context, row), say("panel.map_alt", title=title, lines=lines[0]), lines, is_map=True
        )
    of = "" if row["panel"] == "original" or cue_of(row) == BACKGROUND else ".cue"
    title = say(f"panel.{row['panel']}{of}" if level else f"panel.{row['panel']}.plain", level=level, cue=cue_of(row))
    predicted, lines = row["predicted"] or numbers.NONE, answered(context, row)
    said = lines[1]
    swapped = row["panel"] in ("own_level", "other_level") and original is not None
    moved = swapped and original is not None and changed(context.target, row, original)
    mark = say("panel.changed" if moved else "panel.unchanged") if swapped else ""
    key = context.of_labels("panel.alt") if context.target is None else "panel.alt_native"
    alt = say(key, title=title, label=row["label"], name=predicted, probability=said)
    return Panel(
        title, picture_of(context, row), context.words.clauses([alt, mark]) if mark else alt, lines, mark, moved
    )


def answered(context: Context, row: dict[str, Any]) -> tuple[str, str]:
    """What the model said, and its probability or its number."""
    said = numbers.percent(row["probability"]) if context.target is None else _number(context.target, row)
    return context.words.say("panel.predicted", name=row["predicted"] or numbers.NONE), said


def _number(target: Target, row: dict[str, Any]) -> str:
    return EffectScale("native", target.unit).stated(row["number"])


def changed(target: Target | None, row: dict[str, Any], original: dict[str, Any]) -> bool:
    """Whether another class is predicted, or the number moved by what is material."""
    if target is None:
        return bool(row["predicted"] != original["predicted"])
    known = row["number"] is not None and original["number"] is not None
    return bool(known and abs(row["number"] - original["number"]) >= target.material)


def picture_of(context: Context, row: dict[str, Any]) -> Picture | None:
    """The stored picture of a row of the gallery."""
    return webp_picture(context.result.asset(row["asset"])) if row["asset"] else None
