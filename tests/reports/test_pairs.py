"""Pictures of each cue: a pair beside its card, all of them in a section of the cue, and what is said without any."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from figureground.reports.catalogue import load
from figureground.reports.numbers import percent
from figureground.reports.sections import pairs
from figureground.reports.sections.context import Context

CUES = ("background", "border", "region:tag", "tint", "object_size")


def context_of(finished: Any, cues: Any, gallery: pd.DataFrame, lang: str = "en", **document: Any) -> Context:
    verdict = finished.document.verdict
    told = [verdict.cues[0].model_copy(update={"cue": cue, "finding": of}) for cue, of in cues]
    changes = {"verdict": verdict.model_copy(update={"cues": told}), **document}
    run = SimpleNamespace(
        document=finished.document.model_copy(update=changes), gallery=gallery, asset=finished.asset, path=finished.path
    )
    return Context(run, load(lang))


def shown(finished: Any, *cues: tuple[str, str | None]) -> pd.DataFrame:
    swaps = finished.gallery[finished.gallery["rule"].str.startswith("swap_")]
    return pd.concat([swaps.assign(cue=cue, finding=of) for cue, of in cues], ignore_index=True)


def test_the_first_three_have_a_pair_and_the_others_a_link_to_their_own_section(finished: Any) -> None:
    cues = [(cue, None) for cue in CUES]
    context = context_of(finished, cues, shown(finished, *reversed(cues)))
    cards = pairs.on_cards(context, context.document.verdict.cues)
    assert [len(cards[cue].panels) for cue in cues] == [2, 2, 2, 0, 0]
    sections = pairs.build(context)
    titles = {one.identifier: one.title for one in sections}
    assert len(titles) == len(CUES)
    assert all(cards[cue].link and cards[cue].note == "" for cue in cues)
    assert titles[cards["border", None].target] == "The same picture, only the border changed"
    assert titles[cards["tint", None].target] == "The same picture, only the tint changed"
    assert titles["settles"] == "The same object, another background"
    assert [len(group.cases) for one in sections for group in one.groups] == [3, 1] * len(CUES)


def test_a_pair_says_what_was_changed_and_what_came_of_it(finished: Any) -> None:
    context = context_of(finished, [("border", None)], shown(finished, ("border", None)))
    before, after = pairs.on_cards(context, context.document.verdict.cues)["border", None].panels
    rows = finished.gallery.query("rule == 'swap_changed' and rank == 1").set_index("panel")
    assert before.alt == f"Original: predicted {rows.loc['original', 'predicted']}, {percent(0.94)}"
    assert after.title == "Only the border changed"
    assert rows.loc["other_level", "predicted"] in after.alt
    assert after.alt.endswith("answer changed")
    assert after.marked
    assert max(before.picture.width, before.picture.height) == pairs.SMALL


def test_findings_are_kept_apart(finished: Any) -> None:
    cues = [("border", "nodule"), ("border", "effusion")]
    context = context_of(finished, cues, shown(finished, cues[1]))
    cards = pairs.on_cards(context, context.document.verdict.cues)
    assert [len(cards[cue].panels) for cue in cues] == [0, 2]
    assert cards[cues[0]].note == "No pictures of this cue are stored with this run."
    (section,) = pairs.build(context)
    assert "effusion" in section.title


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_without_pictures_the_card_says_why(lang: str, finished: Any) -> None:
    say, cue = load(lang).say, ("border", None)
    swaps = shown(finished, cue)
    edition = SimpleNamespace(name="regulator")
    expected = {
        "cover.pair.none": context_of(finished, [cue], swaps[swaps["rule"] == "swap_random_unchanged"], lang),
        "cover.pair.not_stored": context_of(finished, [cue], shown(finished, ("tint", None)), lang),
        "gallery.none": context_of(finished, [cue], swaps.head(0), lang),
        "cover.pair.edition": context_of(finished, [cue], swaps.head(0), lang, edition=edition),
    }
    for key, context in expected.items():
        card = pairs.on_cards(context, context.document.verdict.cues)[cue]
        assert (card.panels, card.note) == ((), say(key)), key


def test_runs_that_know_no_cue_are_of_the_background(finished: Any) -> None:
    old = finished.gallery.drop(columns=["cue", "finding"], errors="ignore")
    context = context_of(finished, [("background", None), ("border", None)], old)
    cards = pairs.on_cards(context, context.document.verdict.cues)
    assert len(cards["background", None].panels) == 2
    assert cards["border", None].panels == ()
    assert [one.identifier for one in pairs.build(context)] == ["settles"]


def test_cues_that_are_not_demonstrated_have_no_pair_on_the_first_sheet(finished: Any) -> None:
    context = context_of(finished, [("border", None)], shown(finished, ("border", None)))
    suspected = [cue.model_copy(update={"status": "suspected"}) for cue in context.document.verdict.cues]
    assert pairs.on_cards(context, suspected) == {}
