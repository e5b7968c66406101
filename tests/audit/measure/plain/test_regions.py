"""Where plain interventions act: as many pixels in the control as in the background, whatever the masks look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label as components

from figureground.audit.measure.plain.regions import equal_area, holes, moved_ground, places_of, regions_of

SIDE = 24
BOXES = st.tuples(st.integers(0, 16), st.integers(0, 16), st.integers(1, 8), st.integers(1, 8))


def box_mask(top, left, height, width, ignored=0):
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    mask[top : top + height, left : left + width] = 1
    mask[SIDE - ignored :, SIDE - ignored :] = 255
    return mask


def rng():
    return np.random.default_rng(0)


@given(BOXES, BOXES, st.integers(0, 3))
def test_every_control_changes_as_many_pixels_as_the_background(one, two, ignored):
    mask, partner = box_mask(*one, ignored)[None], box_mask(*two)[None]
    found = regions_of(mask, torch.tensor([True]), partner, [rng()])
    counts = {name: int(region.sum()) for name, region in found.where.items()}
    assert counts["background"] == counts["equal_area"] == counts["elsewhere"]
    assert counts["object"] == int((mask == 1).sum())
    assert not (found.where["equal_area"] & (mask == 255)).any()


@given(BOXES, st.integers(1, SIDE * SIDE))
def test_the_object_grows_and_shrinks_from_its_middle(one, count):
    mask = box_mask(*one)
    found = equal_area(mask, count, rng())
    figure = mask == 1
    assert int(found.sum()) == count
    assert (found <= figure).all() if count <= int(figure.sum()) else (figure <= found).all()
    if count >= int(figure.sum()):  # a grown box is one piece
        assert components(found.numpy(), connectivity=2).max() == 1


def test_growing_takes_the_nearest_pixels():
    mask = box_mask(10, 10, 3, 3)
    found = equal_area(mask, 9 + 12, rng())
    away = np.hypot(*np.meshgrid(np.arange(SIDE) - 11, np.arange(SIDE) - 11, indexing="ij"))
    assert away[found.numpy()].max() < away[~found.numpy()].min() + 1.01


def test_the_hole_moves_to_where_the_other_object_is():
    mask, partner = box_mask(1, 2, 4, 5)[None], box_mask(15, 14, 4, 5)[None]
    region, stuck = moved_ground(mask, partner)
    assert not stuck.item()
    assert torch.equal(~region[0], box_mask(15, 14, 4, 5) == 1)


@pytest.mark.parametrize(
    ("mask", "partner"),
    [
        (box_mask(4, 4, 5, 5), box_mask(4, 5, 5, 5)),  # nearly the same place
        (box_mask(0, 0, 24, 24), box_mask(4, 5, 5, 5)),  # no room to move
        (box_mask(4, 4, 5, 5), torch.zeros(SIDE, SIDE, dtype=torch.uint8)),  # no other picture
    ],
)
def test_a_hole_that_cannot_move_is_no_control(mask, partner):
    assert moved_ground(mask[None], partner[None])[1].item()


def test_pictures_without_object_or_background_are_no_test_and_say_why():
    masks = torch.stack([box_mask(4, 4, 5, 5), torch.zeros(SIDE, SIDE, dtype=torch.uint8), box_mask(0, 0, 24, 24)])
    known = torch.tensor([True, True, True])
    partner = box_mask(15, 15, 3, 3).expand(3, -1, -1)
    found = regions_of(masks, known, partner, [rng(), rng(), rng()])
    assert found.status["background"] == ("ok", "no_object", "no_visible_background")
    absent = regions_of(masks, ~known, partner, [rng(), rng(), rng()])
    assert set(absent.status["equal_area"]) == {"mask_absent"}
    assert set(places_of(masks, known)[0]) == {"background", "object", "whole"}


def test_holes_are_the_dilated_mask_and_its_box():
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[0, 10, 4:9] = mask[0, 4:9, 6] = 1  # a cross
    dilated, box = holes(mask, 1)
    assert dilated[0, 3:10, 5:8].all()
    assert not dilated[0, 3, 3]
    rows, columns = torch.nonzero(dilated[0], as_tuple=True)
    expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    assert torch.equal(box[0], expected)
    assert not torch.stack(holes(torch.zeros_like(mask), 1)).any()
