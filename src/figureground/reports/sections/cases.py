"""The galleries: images chosen by rules that were declared before anything was measured."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from figureground.audit.methods import METHODS
from figureground.audit.target import Target
from figureground.reports import numbers
from figureground.reports.scales import EffectScale
from figureground.reports.sections.context import Context
from figureground.reports.view import Case, Cases, Panel, Picture, webp_picture

_SHOWN = ("original", "own_level", "other_level")
_PANEL_ORDER = (*_SHOWN, *METHODS)


def swap_cases(context: Context) -> tuple[Cases, ...]:
    """Images whose answer followed the background, and one at random whose answer did not."""
    return _by_rule(context, "swap_changed", "swap_random_unchanged")


def heatmap_cases(context: Context) -> tuple[Cases, ...]:
    """The worst images by the declared rule, and as many at random."""
    return _by_rule(context, "worst", "random")


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


def _by_rule(context: Context, *rules: str) -> tuple[Cases, ...]:
    """All that the run stored: how many that is, was declared before it."""
    return tuple(found for rule in rules if (found := _cases(context, rule)) is not None)


def _cases(context: Context, rule: str) -> Cases | None:
    rows = [row for row in context.gallery if row["rule"] == rule]
    if not rows:
        return None
    cases = [
        _case(context, rank, list(group))
        for (rank, _), group in groupby(rows, key=lambda row: (row["rank"], row["row_id"]))
    ]
    say = context.words.say
    return Cases(say(f"gallery.{rule}.title"), say(_said(context, rule)), tuple(cases))


def _case(context: Context, rank: int, rows: list[dict[str, Any]]) -> Case:
    say = context.words.say
    return Case(
        title=say("gallery.case", label=rows[0]["label"]),
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
        return Panel(title, _picture(context, row), say("panel.map_alt", title=title, lines=lines[0]), lines)
    title = say(f"panel.{row['panel']}", level=level) if level else say(f"panel.{row['panel']}.plain")
    predicted = row["predicted"] or numbers.NONE
    said = numbers.percent(row["probability"]) if context.target is None else _number(context.target, row)
    lines = (say("panel.predicted", name=predicted), said)
    swapped = row["panel"] in ("own_level", "other_level") and original is not None
    changed = swapped and original is not None and _changed(context.target, row, original)
    mark = say("panel.changed" if changed else "panel.unchanged") if swapped else ""
    key = "panel.alt" if context.target is None else "panel.alt_native"
    alt = say(key, title=title, label=row["label"], name=predicted, probability=said)
    return Panel(
        title, _picture(context, row), context.words.clauses([alt, mark]) if mark else alt, lines, mark, changed
    )


def _number(target: Target, row: dict[str, Any]) -> str:
    return EffectScale("native", target.unit).stated(row["number"])


def _changed(target: Target | None, row: dict[str, Any], original: dict[str, Any]) -> bool:
    """Whether another class is predicted, or the number moved by what is material."""
    if target is None:
        return bool(row["predicted"] != original["predicted"])
    known = row["number"] is not None and original["number"] is not None
    return bool(known and abs(row["number"] - original["number"]) >= target.material)


def _picture(context: Context, row: dict[str, Any]) -> Picture | None:
    return webp_picture(context.result.asset(row["asset"])) if row["asset"] else None
