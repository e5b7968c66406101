"""Which cues are held while which change, and which of two cues the name of an effect goes to."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import apart, can_be_held, explanations, together
from figureground.audit.document.audit_json import Estimate, Explained
from figureground.audit.judge.contrasts import largest_effect, to_hold, yielding
from figureground.reports.catalogue import load


def item(estimate=0.5, low=0.4, specific=0.3):
    """As much of a contrast as these functions read."""
    contrast = SimpleNamespace(
        effect=SimpleNamespace(estimate=estimate, low=low), specific=SimpleNamespace(low=specific), scale="decision"
    )
    return SimpleNamespace(contrast=contrast)


def part(by, share):
    left = Estimate(n=100, n_clusters=100, estimate=0.0, ci_low=0.0, ci_high=0.0, ci_level=0.95, status="ok")
    return Explained(by=by, share=share, left=left)


def names(parts):
    return {cue: [other.by for other in found] for cue, found in parts.items()}


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_effect_is_that_of_a_loop_over_everything(seed):
    rng = np.random.default_rng(seed)
    swapped = rng.integers(0, 3, size=(40, 2, 4))
    expected = max(
        abs(np.mean(swapped[:, p, a] == c) - np.mean(swapped[:, p, b] == c))
        for c in range(3)
        for p in range(2)
        for a, b in combinations(range(4), 2)
    )
    assert largest_effect(SimpleNamespace(swapped=swapped)) == pytest.approx(expected, abs=1e-12)


def test_only_cues_with_a_specific_and_material_effect_are_held_or_hold():
    found = {
        "background": item(),
        "border": item(),
        "tint": item(low=0.09),  # below the material effect
        "corner_top_left": item(specific=0.0),  # its control does as much
    }
    assert to_hold(found, Policy()) == [("background", "border")]


def test_two_cues_within_the_background_are_held_together_as_well():
    found = {"background": item(), "border": item(), "corner_top_left": item()}
    assert ("background", "border + corner_top_left") in to_hold(found, Policy())
    assert can_be_held("background", together(["border", "tint"]))
    assert not can_be_held("background", together(["border", "object_size"]))
    assert apart(together(["tint", "border"])) == ("border", "tint")


def test_a_mark_may_explain_a_property_of_the_whole_picture_and_not_the_reverse():
    assert "object_patch" in explanations("sharpness", ["object_patch", "background"])
    assert "background" not in explanations("sharpness", ["object_patch", "background"])
    assert explanations("object_patch", ["sharpness"]) == ()


def test_halves_count_together_only_where_neither_is_enough():
    found = {"background": item(), "border": item(), "corner_top_left": item()}
    both = "border + corner_top_left"
    half = {"background": [part("border", 0.5), part("corner_top_left", 0.5), part(both, 0.98)]}
    assert names(yielding(half, found, 0.8)) == {"background": [both]}
    one = {"background": [part("border", 0.95), part("corner_top_left", 0.1), part(both, 0.98)]}
    assert names(yielding(one, found, 0.8)) == {"background": ["border"]}
    none = {"background": [part("border", 0.3), part("corner_top_left", 0.3), part(both, 0.6)]}
    assert names(yielding(none, found, 0.8)) == {"background": []}


def test_of_two_that_explain_each_other_the_smaller_yields():
    found = {"border": item(estimate=0.6), "corner_top_left": item(estimate=0.9)}
    explained = {"border": [part("corner_top_left", 0.9)], "corner_top_left": [part("border", 0.9)]}
    assert names(yielding(explained, found, 0.8)) == {"border": ["corner_top_left"], "corner_top_left": []}


def test_cues_held_together_are_told_by_their_names():
    said = load("en").say("explained_by", cue=together(["border", "corner_top_left"]), share=0.9)
    assert "corner_top_left" not in said
    assert all(load("en").say(f"cue.{cue}") in said for cue in ("border", "corner_top_left"))
