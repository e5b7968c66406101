"""Pages of sheets: every word there, stamps where they belong, torch nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from figureground.audit.document.sheets import (
    Agreement,
    Answer,
    Covering,
    FeatureMaps,
    Filters,
    Flip,
    Inside,
    MapShown,
    ModelFacts,
    PartShown,
    Patch,
    Sheet,
    Strongest,
)
from figureground.reports import catalogue
from figureground.reports.decision import inside_page, page
from figureground.reports.decision.figure import inside_png, sheet_png
from figureground.reports.decision.html import inside_html, sheet_html
from figureground.reports.decision.pictures import SIDE, enlarged, filter_grid, hatched, outlined, overlay, signed

WORDS = catalogue.load("en")
MODEL = ModelFacts("net", None, ("a", "b"), "answers", "assumed")
DRAW = np.random.default_rng(0)
PICTURE = DRAW.integers(0, 255, (12, 16, 3), dtype=np.uint8)


def covering(flip=None, changing=0):
    return Covering("mean", np.zeros((8, 8), np.float32), changing, 99, flip)


def sheet(**more):
    heat = DRAW.random((12, 16)).astype(np.float32)
    maps = (MapShown("saliency", heat, heat, "input"), MapShown("deconvolution", heat, heat, "x.y", True))
    known = {
        "name": "a.png",
        "sha256": "ab" * 32,
        "picture": PICTURE,
        "several": False,
        "answer": Answer("b", 0.75),
        "answers": (Answer("b", 0.75), Answer("a", 0.25)),
        "explained": "b",
        "maps": maps,
        "agreements": (Agreement("saliency", "gradcam", None, None, 64),),
        "coverings": (covering(),),
    }
    return Sheet(**(known | more))


def test_a_method_for_illustration_is_stamped_and_no_other():
    view = page.build(sheet(), MODEL, WORDS)
    assert [tile.stamp for tile in view.maps] == ["", "", "illustration only"]
    assert any("stamped as illustration" in line for line in view.cannot)
    assert sheet_html(sheet(), MODEL).count(">illustration only<") == 1
    plain = replace(sheet(), maps=sheet().maps[:1])
    assert not any("stamped" in line for line in page.build(plain, MODEL, WORDS).cannot)


def test_what_was_not_found_is_told_with_the_number_tried():
    (line,) = page.build(sheet(), MODEL, WORDS).changes
    assert "no covering that changes the answer was found among 99 tried" in line


@pytest.mark.parametrize(
    ("changing", "words"), [(0, "no single cell changes"), (1, "1 of 64 cells changes"), (3, "3 of 64 cells change ")]
)
def test_what_was_found_is_told_with_its_area(changing, words):
    covered = np.zeros((12, 16), bool)
    covered[:3, :4] = True
    flip = Flip(1 / 16, covered, Answer("a", 0.6))
    view = page.build(sheet(coverings=(covering(flip, changing),)), MODEL, WORDS)
    assert words in view.changes[0]
    assert "6.2" in view.changes[0].replace("6.3", "6.2")
    assert view.covered[0].lines[1].startswith("Becomes a")


def test_a_mask_that_is_of_no_use_is_told():
    for status in ("mask_absent", "no_object", "cropped_out"):
        assert page.build(sheet(mask_status=status), MODEL, WORDS).parts_lead != ""
    assert "(--mask FILE)" in page.build(sheet(), MODEL, WORDS).parts_lead
    part = PartShown("object", "mean", Answer("a", 0.9), True, PICTURE)
    assert page.build(sheet(parts=(part,)), MODEL, WORDS).parts[0].lines[0].startswith("Becomes a")


def test_no_pair_of_maps_is_left_out():
    pairs = tuple(Agreement("saliency", f"method_{at}", 0.5, 0.5, 64) for at in range(40))
    assert len(page.build(sheet(agreements=pairs), MODEL, WORDS).agreement.rows) == 40


def inside(**more):
    weights = DRAW.standard_normal((5, 3, 3, 3)).astype(np.float32)
    known = {
        "layer": "a.b",
        "channel": 1,
        "filters": Filters("a", weights, (2, 2), np.full(5, 0.6), np.full(5, 0.3)),
        "features": (FeatureMaps("p.png", (1,), weights[:1, 0], 5),),
        "strongest": Strongest(7, 2, 5, (0, 3), (Patch("p.png", 1.5, (0, 0, 12, 16), PICTURE, weights[0]),), 2, 0),
    }
    return Inside(**(known | more))


def test_the_inside_is_stamped_and_names_dead_channels_with_n():
    text = inside_html(inside(), MODEL)
    assert "Illustration only." in text
    view = inside_page.build(inside(), MODEL, WORDS)
    lines = " ".join(view.survey)
    assert "2 of 5 channels had one and the same value in every place of all n = 7 pictures" in lines
    assert "0, 3" in lines
    assert "2 pictures could not be read" in lines
    assert "no max pooling" in lines
    assert "in 5 filters it is more than half" in view.filter_lines[0]


def test_what_was_not_asked_of_the_inside_is_said():
    view = inside_page.build(inside(strongest=None, filters=None, channel=None), MODEL, WORDS)
    assert "--over" in view.survey[0]
    assert view.filters is None
    silent = inside_page.build(inside(channel=None, strongest=Strongest(1, 0, 5, ())), MODEL, WORDS)
    assert "None of 5 channels" in silent.survey[1]
    assert "--channel" in silent.survey[2]


def test_numbers_are_written_as_the_reader_writes_them():
    told = sheet_html(sheet(agreements=(Agreement("saliency", "gradcam", -0.321, 0.4286, 64),)), MODEL, "fr")
    assert "−0,32" in told
    assert "42,9\u202f%" in told
    shown = inside_html(inside(), MODEL, "fr")
    assert "Activation 1,5" in shown
    assert "Activation 1.5" in inside_html(inside(), MODEL)


def test_pages_and_pictures_are_the_same_every_time():
    one = sheet()
    assert sheet_html(one, MODEL) == sheet_html(one, MODEL)
    assert sheet_png(one, MODEL) == sheet_png(one, MODEL)
    assert inside_png(inside(features=()), MODEL).startswith(b"\x89PNG")


def test_pictures_keep_pixels_as_pixels():
    assert enlarged(PICTURE).shape == (12 * (SIDE // 16), 16 * (SIDE // 16), 3)
    np.testing.assert_array_equal(enlarged(PICTURE)[:: SIDE // 16, :: SIDE // 16], PICTURE)
    assert overlay(PICTURE, np.zeros((12, 16), np.float32)).shape == enlarged(PICTURE).shape
    covered = np.zeros((12, 16), bool)
    covered[2:5, 3:6] = True
    factor = SIDE // 16
    changed = (hatched(PICTURE, covered) != enlarged(PICTURE)).any(2)
    assert not changed[~np.kron(covered, np.ones((factor, factor), bool))].any()
    line = (outlined(np.zeros((12, 16, 3), np.uint8), covered) == 255).all(2)
    assert line.sum() == 8
    assert not line[3, 4]


def test_zero_is_mid_grey_and_filters_stand_side_by_side():
    values = np.array([[[0.0, 1.0, -1.0]]], np.float32)
    assert np.unique(signed(values)).tolist() == [0, 127, 255]
    grid = filter_grid(np.zeros((17, 3, 5, 5), np.float32))
    assert grid.shape == (2 * (40 + 4), 16 * (40 + 4), 3)


def test_pages_are_made_without_torch():
    code = (
        "import sys, figureground.reports.decision.html, figureground.reports.decision.figure; "
        "assert {'torch', 'torchvision', 'captum'}.isdisjoint(sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    subprocess.run([sys.executable, "-c", code], check=True, env=clean, timeout=300)
