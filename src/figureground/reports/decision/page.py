"""The sheet of one decision as values: the answer, the maps, what would change it, what it cannot say."""

from __future__ import annotations

from dataclasses import dataclass

from figureground.audit.document.sheets import Agreement, Covering, MapShown, ModelFacts, PartShown, Sheet
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.decision.pictures import Pixels, enlarged, hatched, outlined, overlay
from figureground.reports.view import Table, table


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with its words; ``stamp`` where it is no evidence."""

    pixels: Pixels
    title: str
    lines: tuple[str, ...]
    stamp: str = ""


@dataclass(frozen=True)
class Fact:
    """A line of small print; ``whole`` where ``value`` is cut."""

    label: str
    value: str
    whole: str = ""


@dataclass(frozen=True, eq=False)
class SheetPage:
    """Everything that the template, or the figure, shows."""

    lang: str
    name: str
    headline: str
    owed: str
    answers: Table
    probabilities: str
    maps_lead: str
    maps: tuple[Tile, ...]
    agreement: Table
    changes: tuple[str, ...]
    covered: tuple[Tile, ...]
    parts: tuple[Tile, ...]
    parts_lead: str
    cannot: tuple[str, ...]
    facts: tuple[Fact, ...]


def build(sheet: Sheet, model: ModelFacts, words: Catalogue) -> SheetPage:
    """The sheet of one decision in one language."""
    say = words.say
    maps = tuple(_map_tile(shown, sheet, words) for shown in sheet.maps)
    return SheetPage(
        words.lang,
        sheet.name,
        say("sheet.headline", answer=sheet.answer.name, probability=sheet.answer.probability),
        say("sheet.owed"),
        _answers(sheet, words),
        say("sheet.independent" if sheet.several else "sheet.uncalibrated"),
        say("sheet.maps_lead", explained=sheet.explained),
        (_picture_tile(sheet, words), *maps),
        _agreement(sheet.agreements, words),
        tuple(_changes(each, words) for each in sheet.coverings),
        tuple(_covered_tile(sheet, each, words) for each in sheet.coverings if each.flip is not None),
        tuple(_part_tile(part, words) for part in sheet.parts),
        say("sheet.parts_lead") if sheet.parts else say("sheet.no_parts", status=_status(sheet, words)),
        tuple(say(f"sheet.cannot.{key}") for key in _cannot(sheet)),
        model_facts(model, words, Fact(say("sheet.fact.file"), numbers.short_hash(sheet.sha256), sheet.sha256)),
    )


def model_facts(model: ModelFacts, words: Catalogue, *more: Fact) -> tuple[Fact, ...]:
    """Whose decision it is."""
    say, weights = words.say, model.sha256
    return (
        Fact(say("sheet.fact.model"), model.architecture),
        Fact(say("sheet.fact.weights"), numbers.short_hash(weights) if weights else numbers.NONE, weights or ""),
        Fact(say("sheet.fact.classes"), say("sheet.count", n=len(model.classes))),
        Fact(say("sheet.fact.access"), say(f"sheet.access.{model.access}")),
        Fact(say("sheet.fact.input"), say(f"sheet.input.{model.preprocessing_source}")),
        *more,
    )


def method_name(method: str, words: Catalogue) -> str:
    """The words for a method; its own name where there are none."""
    return words.term("sheet.method", method)


def _answers(sheet: Sheet, words: Catalogue) -> Table:
    say = words.say
    rows = [(each.name, say("sheet.probability", p=each.probability)) for each in sheet.answers]
    columns = (say("sheet.col.finding" if sheet.several else "sheet.col.class"), say("sheet.col.probability"))
    return table(say("sheet.answers"), columns, rows, limit=len(rows))


def _picture_tile(sheet: Sheet, words: Catalogue) -> Tile:
    height, width = sheet.picture.shape[:2]
    pixels = enlarged(sheet.picture)
    shown = pixels if sheet.mask is None else outlined(pixels, sheet.mask)
    lines = [words.say("sheet.size", width=width, height=height)]
    lines += [words.say("sheet.outline")] if sheet.mask is not None else []
    return Tile(shown, words.say("sheet.shown"), tuple(lines))


def _map_tile(shown: MapShown, sheet: Sheet, words: Catalogue) -> Tile:
    rows, columns = shown.cells.shape
    key = "sheet.looks_input" if shown.layer == "input" else "sheet.looks"
    lines = [words.say(key, layer=shown.layer, rows=rows, columns=columns)]
    lines += [] if shown.values.any() else [words.say("sheet.map_empty")]
    stamp = words.say("sheet.illustration") if shown.illustration else ""
    return Tile(overlay(sheet.picture, shown.values, sheet.mask), method_name(shown.method, words), tuple(lines), stamp)


def _agreement(found: tuple[Agreement, ...], words: Catalogue) -> Table:
    say = words.say
    rows = [
        (
            say("sheet.pair", first=method_name(each.first, words), second=method_name(each.second, words)),
            numbers.NONE if each.rank_correlation is None else numbers.fixed(each.rank_correlation, digits=2),
            numbers.NONE if each.overlap is None else numbers.percent(each.overlap),
            numbers.count(each.n),
        )
        for each in found
    ]
    names = ("pair", "correlation", "overlap", "cells")
    return table(say("sheet.agreement"), [say(f"sheet.col.{name}") for name in names], rows, limit=len(rows))


def _changes(covering: Covering, words: Catalogue) -> str:
    say, fill = words.say, words.say(f"sheet.fill.{covering.fill}")
    rows, columns = covering.falls.shape
    known = {"fill": fill, "tried": covering.tried, "rows": rows, "columns": columns}
    if covering.flip is None:
        return say("sheet.no_flip", **known)
    flip = covering.flip
    known |= {"area": flip.area, "answer": flip.answer.name, "probability": flip.answer.probability}
    if covering.changing:
        return words.plural("sheet.flip_alone", covering.changing, cells=covering.falls.size, **known)
    return say("sheet.flip", **known)


def _covered_tile(sheet: Sheet, covering: Covering, words: Catalogue) -> Tile:
    flip = covering.flip
    if flip is None:
        raise ValueError("a covering that changes nothing has no picture")
    lines = (
        words.say("sheet.covered_area", area=flip.area),
        words.say("sheet.becomes", answer=flip.answer.name, probability=flip.answer.probability),
    )
    title = words.say("sheet.covered", fill=words.say(f"sheet.fill.{covering.fill}"))
    return Tile(hatched(sheet.picture, flip.covered), title, lines)


def _part_tile(part: PartShown, words: Catalogue) -> Tile:
    fill = words.say(f"sheet.fill.{part.fill}")
    key = "sheet.becomes" if part.changed else "sheet.stays"
    lines = (words.say(key, answer=part.answer.name, probability=part.answer.probability),)
    return Tile(enlarged(part.picture), words.say(f"sheet.only.{part.part}", fill=fill), lines)


def _status(sheet: Sheet, words: Catalogue) -> str:
    return words.term("sheet.mask", sheet.mask_status)


def _cannot(sheet: Sheet) -> tuple[str, ...]:
    illustrated = any(shown.illustration for shown in sheet.maps)
    return ("cause", "one", "maps", "covering", "right", *(("illustration",) if illustrated else ()))
