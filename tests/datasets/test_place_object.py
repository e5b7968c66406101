"""Objects moved, scaled and stretched: whole, inside the frame, picture and mask together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from figureground.datasets.place_object import aligned, boxes, centroids, fitting_scale, move_within, scaled, shifted


def box_mask(top, left, height, width, size=(40, 50)):
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[0, top : top + height, left : left + width] = True
    return mask


def test_boxes_and_centroids_are_those_of_scipy():
    rng = np.random.default_rng(0)
    masks = ndimage.gaussian_filter(rng.normal(size=(5, 30, 40)), (0, 3, 3)) > 0.05
    for mask, box, centre in zip(
        masks, boxes(torch.from_numpy(masks)), centroids(torch.from_numpy(masks)), strict=True
    ):
        rows, columns = ndimage.find_objects(mask.astype(int))[0]
        assert box.tolist() == [rows.start, columns.start, rows.stop, columns.stop]
        np.testing.assert_allclose(centre, ndimage.center_of_mass(mask), rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 20), st.integers(0, 25), st.integers(1, 20), st.integers(1, 25), st.floats(-5, 60), st.floats(-5, 60)
)
def test_a_moved_object_stays_whole(top, left, height, width, row, column):
    mask = box_mask(top, left, height, width)
    move = move_within(mask, torch.tensor([[row, column]]))
    moved = shifted(mask, move)
    assert moved.sum() == mask.sum()
    box = boxes(moved)[0].tolist()
    assert (box[2] - box[0], box[3] - box[1]) == (height, width)  # not wrapped around an edge
    inside = 0.5 + height / 2 <= row <= 39 - height / 2 and 0.5 + width / 2 <= column <= 49 - width / 2
    if inside:
        assert (centroids(moved)[0] - torch.tensor([row, column])).abs().max() <= 0.51


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5, 2.0])
def test_areas_grow_with_the_square_of_the_scale(factor):
    mask = box_mask(14, 18, 12, 14)
    scale = fitting_scale(mask, torch.tensor([factor]))
    image = torch.rand(1, 3, 40, 50)
    _, soft = scaled(image, mask, scale)
    assert soft.sum().item() == pytest.approx(12 * 14 * factor**2, rel=0.06)
    back, again = scaled(image, mask, scale, back=True)
    assert again.sum().item() == pytest.approx(12 * 14, rel=0.12)
    assert back.shape == image.shape


def test_an_object_at_the_edge_is_moved_in_rather_than_cut():
    mask = box_mask(0, 38, 10, 12)
    _, soft = scaled(torch.rand(1, 3, 40, 50), mask, torch.tensor([2.0]))
    assert soft.sum().item() == pytest.approx(4 * 120, rel=0.05)


def test_what_does_not_fit_is_scaled_less():
    mask = box_mask(2, 2, 30, 30)
    assert fitting_scale(mask, torch.tensor([2.0])).item() == pytest.approx(40 / 30)


def test_scale_one_changes_nothing():
    mask, image = box_mask(5, 6, 20, 20), torch.rand(1, 3, 40, 50)
    same, soft = scaled(image, mask, torch.ones(1))
    torch.testing.assert_close(same, image, atol=1e-4, rtol=0)
    torch.testing.assert_close(soft, mask.float(), atol=1e-4, rtol=0)


def test_an_object_is_stretched_onto_the_box_of_another():
    own, other = box_mask(5, 5, 10, 20), box_mask(20, 10, 15, 30)
    image = torch.zeros(1, 1, 40, 50)
    image[0, 0, 5:10, 5:25] = 1.0  # its upper half is bright
    moved, mask = aligned(image, own, other)
    assert (mask ^ other).sum() <= 2 * (15 + 30)
    assert moved[0, 0, 21:26, 12:38].min() > 0.9
    assert moved[0, 0, 29:34, 12:38].max() < 0.1
