"""Places and doses: where an effect lies, how it grows, and what else may then count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.plain_doses import (
    Dosed,
    DoseResponse,
    dose_messages,
    effect_place,
    place_alternatives,
)
from figureground.reports import catalogue


def interval(low, high):
    return Interval((low + high) / 2, low, high, 0.95, 100, 50, (high - low) / 4, 49.0)


def dosed(low, high, specific=None):
    return Dosed(interval(low, high), interval(-0.02, 0.02), interval(*(specific or (low - 0.02, high))))


NOTHING, SMALL, LARGE = dosed(-0.04, 0.04), dosed(0.03, 0.09), dosed(0.35, 0.55)


@pytest.mark.parametrize(
    ("background", "figure", "place"),
    [
        (LARGE, NOTHING, "background"),
        (NOTHING, LARGE, "object"),
        (LARGE, SMALL, "both"),
        (NOTHING, NOTHING, "neither"),
        (SMALL, NOTHING, "unclear"),  # the intervals overlap: the other may be as large
        (dosed(0.35, 0.55, specific=(-0.1, 0.2)), NOTHING, "neither"),  # noise does as much
    ],
)
def test_where_an_effect_lies(background, figure, place):
    assert effect_place(background, figure) == place
    turned = {"background": "object", "object": "background"}
    assert effect_place(figure, background) == turned.get(place, place)


@given(st.tuples(*[st.floats(-1, 1)] * 4))
def test_one_place_is_named_only_where_it_shows_and_the_other_is_smaller(ends):
    low, high = sorted(ends[:2])
    other_low, other_high = sorted(ends[2:])
    place = effect_place(dosed(low, high), dosed(other_low, other_high))
    if place == "background":
        assert low > 0
        assert low > other_high
    if place == "neither":
        assert low <= 0.02
        assert other_low <= 0.02


def test_a_property_of_the_background_alone_says_that_the_background_may_count():
    (found,) = place_alternatives("tint", "background")
    assert (found.key, found.args) == ("alt_background_property", {"cue": "tint"})
    assert "the tint of the background" in catalogue.load("en").message(found)
    assert [m.key for m in place_alternatives("tint", "object")] == ["alt_object_property"]
    for place in ("both", "neither", "unclear", None):
        assert place_alternatives("tint", place) == []


def response(step, scale="decision", places=("background", "object", "whole")):
    by = {(part, dose): LARGE if part != "object" else NOTHING for part in places for dose in (0.5, 1.0)}
    return DoseResponse(scale, by, {part: interval(*step) for part in places}, [])


@pytest.mark.parametrize("scale", ["decision", "log_odds", "native"])
@pytest.mark.parametrize(
    ("step", "key"), [((0.1, 0.3), "dose_rising"), ((-0.3, -0.1), "dose_falling"), ((-0.1, 0.1), "dose_flat")]
)
@pytest.mark.parametrize("places", [("background", "object", "whole"), ("whole",)])
def test_sentences_name_places_sizes_and_growth(step, key, scale, places):
    found = dose_messages(response(step, scale, places))
    suffix = {"log_odds": "_odds", "native": "_native"}.get(scale, "")
    first = "dose_places" if len(places) > 1 else "dose_whole"
    assert [message.key for message in found] == [f"{first}{suffix}", f"{key}{suffix}"]
    said = [catalogue.load("en").message(message) for message in found]
    assert all("{" not in text and "None" not in text for text in said)
    if scale == "decision":
        assert "45 points" in said[0]
        assert ("on the background alone" in said[0]) == (len(places) > 1)
    assert response(step, scale, places).place == ("background" if len(places) > 1 else None)


def test_without_doses_nothing_is_said_and_missing_bounds_are_unknown():
    assert dose_messages(None) == []
    odd = response((np.nan, np.nan))
    assert dose_messages(odd)[1].args["low"] is None
