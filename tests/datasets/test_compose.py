"""Composites: only the hole changes, and nothing comes out of the hole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from figureground.datasets import compose


@st.composite
def holes(draw):
    """Pictures of random colours below 0.5, and holes of random shape."""
    size = (draw(st.integers(1, 3)), draw(st.integers(1, 13)), draw(st.integers(1, 13)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    hole = rng.random(size) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    images = rng.random((size[0], 3, *size[1:])).astype(np.float32) * 0.5
    return torch.from_numpy(images), torch.from_numpy(hole)


@settings(max_examples=80, deadline=None)
@given(holes())
def test_fill_leaves_what_lies_outside_and_takes_nothing_from_inside(given_):
    images, hole = given_
    marked = torch.where(hole[:, None], torch.tensor(0.9), images)
    before = marked.clone()
    filled = compose.fill(marked, hole)
    assert torch.equal(marked, before)
    assert torch.equal(filled.masked_select(~hole[:, None]), images.masked_select(~hole[:, None]))
    assert not torch.isclose(filled, torch.tensor(0.9)).any()
    # What stood in the hole has no influence at all.
    other = compose.fill(torch.where(hole[:, None], torch.tensor(0.0), images), hole)
    assert torch.equal(filled, other)


@settings(max_examples=40, deadline=None)
@given(holes())
def test_every_filled_pixel_is_a_pixel_of_the_same_picture_or_their_mean(given_):
    images, hole = given_
    filled = compose.fill(images, hole)
    for image, gap, result in zip(images.numpy(), hole.numpy(), filled.numpy(), strict=True):
        outside = image[:, ~gap].T
        if len(outside) == 0:
            np.testing.assert_array_equal(result, 0.5)
            continue
        allowed = np.vstack([outside, outside.mean(axis=0, dtype=np.float64)])
        distance = np.abs(result[:, gap].T[:, None] - allowed[None]).max(axis=2).min(axis=1, initial=9)
        assert (distance < 1e-6).all()


def test_a_small_hole_is_filled_from_its_mirror_image():
    images = torch.arange(12.0).view(1, 1, 2, 6) / 12
    hole = torch.zeros(1, 2, 6, dtype=torch.bool)
    hole[0, 0, 1] = True
    assert compose.fill(images, hole)[0, 0, 0, 1] == images[0, 0, 0, 4]


def test_what_no_copy_covers_takes_the_mean_outside():
    images = torch.zeros(1, 1, 1, 9)
    images[..., 0] = 0.8
    hole = torch.ones(1, 1, 9, dtype=torch.bool)
    hole[..., 0] = False
    assert torch.allclose(compose.fill(images, hole), torch.full_like(images, 0.8))


def test_fill_does_not_mix_the_pictures_of_a_batch():
    images, hole = torch.rand(4, 3, 9, 8), torch.rand(4, 9, 8) < 0.4
    together = compose.fill(images, hole)
    alone = torch.cat([compose.fill(images[n : n + 1], hole[n : n + 1]) for n in range(4)])
    assert torch.equal(together, alone)


def test_paste_takes_the_object_from_one_and_the_ground_from_the_other():
    images, grounds = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 5, 4)
    mask = torch.rand(2, 5, 4) < 0.5
    expected = np.where(mask[:, None].numpy(), images.numpy(), grounds.numpy())
    np.testing.assert_array_equal(compose.paste(images, mask, grounds).numpy(), expected)


@settings(max_examples=30, deadline=None)
@given(holes())
def test_mirror_twice_is_the_identity_and_once_exchanges_the_sides(given_):
    images, _ = given_
    once = compose.mirror(images)
    assert torch.equal(compose.mirror(once), images)
    np.testing.assert_array_equal(once.numpy(), images.numpy()[..., ::-1])


@settings(max_examples=60, deadline=None)
@given(holes(), st.integers(0, 5))
def test_dilate_is_scipys_dilation_with_a_square(given_, radius):
    _, hole = given_
    square = np.ones((2 * radius + 1,) * 2, dtype=bool)
    expected = [ndimage.binary_dilation(one, structure=square) for one in hole.numpy()]
    found = compose.dilate(hole, radius)
    assert found.dtype == torch.bool
    np.testing.assert_array_equal(found.numpy(), expected)


@settings(max_examples=30, deadline=None)
@given(holes(), st.integers(0, 2))
def test_visible_share_is_the_mean_of_what_is_neither_object_nor_hole(given_, radius):
    _, mask = given_
    hole = compose.mirror(compose.dilate(mask, radius))
    expected = 1 - np.mean(mask.numpy() | hole.numpy(), axis=(1, 2))
    assert compose.visible_share(mask, hole).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_what_stands_along_the_edge_never_arrives_in_a_hole(size):
    images = torch.rand(3, 3, *size) * 0.5
    thick = min(size) // 16
    inside = torch.zeros(size, dtype=torch.bool)
    inside[thick : size[0] - thick, thick : size[1] - thick] = True
    images[..., ~inside] = 1.0  # a border
    hole = torch.rand(3, *size) < 0.6
    filled = compose.fill(images, hole)
    assert (filled.permute(0, 2, 3, 1)[hole] <= 0.5).all()
    assert torch.equal(filled.masked_select(~hole[:, None]), images.masked_select(~hole[:, None]))


def test_where_only_the_edge_is_left_its_mean_fills_the_hole():
    images, hole = torch.zeros(1, 1, 32, 32), torch.ones(1, 32, 32, dtype=torch.bool)
    images[..., 0, :] = 0.8
    hole[..., 0, :] = False
    assert torch.allclose(compose.fill(images, hole), torch.full_like(images, 0.8))
