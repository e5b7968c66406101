"""The inside of a network as values; all of it illustration, and said to be so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from figureground.audit.document.sheets import FeatureMaps, Filters, Inside, ModelFacts, Patch, Strongest
from figureground.reports import numbers
from figureground.reports.catalogue import Catalogue
from figureground.reports.decision.page import Fact, Tile, model_facts
from figureground.reports.decision.pictures import coloured, enlarged, filter_grid, signed

#: Dead channels that are named; more are counted.
_NAMED = 40
#: A filter most of whose energy its stride folds.
_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of one picture."""

    title: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class InsidePage:
    """Everything that the template shows."""

    lang: str
    layer: str
    headline: str
    stamp: str
    filters: Tile | None
    filter_lines: tuple[str, ...]
    features: tuple[Features, ...]
    survey: tuple[str, ...]
    patches: tuple[tuple[Tile, Tile], ...]
    facts: tuple[Fact, ...]


def build(inside: Inside, model: ModelFacts, words: Catalogue) -> InsidePage:
    """The page on the inside in one language."""
    say, survey = words.say, inside.strongest
    channel = "" if inside.channel is None else say("inside.of_channel", channel=inside.channel)
    return InsidePage(
        words.lang,
        inside.layer,
        say("inside.headline", layer=inside.layer, channel=channel),
        say("inside.stamp"),
        None if inside.filters is None else _filters(inside.filters, words),
        (say("inside.no_filters"),) if inside.filters is None else _aliasing(inside.filters, words),
        tuple(_features(each, inside.channel, words) for each in inside.features),
        (say("inside.no_survey"),) if survey is None else _survey(survey, inside.channel, words),
        () if survey is None else tuple(_patch(patch, words) for patch in survey.patches),
        model_facts(model, words),
    )


def _filters(found: Filters, words: Catalogue) -> Tile:
    count, _, height, width = found.weights.shape
    line = words.say("inside.filters_line", layer=found.layer, n=count, height=height, width=width)
    return Tile(filter_grid(found.weights), words.say("inside.filters"), (line,))


def _aliasing(found: Filters, words: Catalogue) -> tuple[str, ...]:
    mostly = int((found.folded > _MOSTLY).sum())
    known = {"rows": found.stride[0], "columns": found.stride[1], "n": len(found.folded), "mostly": mostly}
    folded = words.say("inside.folded", median=float(np.median(found.folded)), **known)
    high = words.say("inside.high", median=float(np.median(found.high)), largest=float(found.high.max()))
    return folded, high


def _features(found: FeatureMaps, channel: int | None, words: Catalogue) -> Features:
    tiles = tuple(
        Tile(coloured(values), words.say("inside.channel", channel=at), (_range(values, words),))
        for at, values in zip(found.channels, found.maps, strict=True)
    )
    if channel is not None:
        return Features(words.say("inside.feature", name=found.name, channel=channel, of=found.of), tiles)
    return Features(words.say("inside.features", name=found.name, shown=len(tiles), of=found.of), tiles)


def _range(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], words: Catalogue) -> str:
    return words.say("inside.range", low=_short(float(values.min())), high=_short(float(values.max())))


def _short(value: float) -> str:
    return numbers.style().marked(f"{value:.3g}")


def _survey(found: Strongest, channel: int | None, words: Catalogue) -> tuple[str, ...]:
    say = words.say
    lines = [words.plural("inside.seen", found.n, channels=found.channels)]
    lines += [words.plural("inside.set_aside", found.set_aside)] if found.set_aside else []
    named = ", ".join(map(str, found.dead[:_NAMED])) + (", …" if len(found.dead) > _NAMED else "")
    lines.append(
        say("inside.dead", dead=len(found.dead), of=found.channels, n=found.n, named=named)
        if found.dead
        else say("inside.none_dead", of=found.channels, n=found.n)
    )
    if channel is None:
        return (*lines, say("inside.no_channel"))
    lines.append(say("inside.projection" if found.rectifiers else "inside.no_rectifier"))
    return (*lines, *([] if found.switches or not found.rectifiers else [say("inside.no_switches")]))


def _patch(patch: Patch, words: Catalogue) -> tuple[Tile, Tile]:
    top, left, bottom, right = patch.box
    where = words.say("inside.box", top=top, left=left, height=bottom - top, width=right - left)
    value = words.say("inside.activation", value=_short(patch.activation))
    title = words.say("inside.projected")
    return Tile(enlarged(patch.picture), patch.name, (value, where)), Tile(signed(patch.projection), title, ())
