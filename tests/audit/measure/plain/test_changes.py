"""What plain interventions do to pixels: nothing outside their region, and inside it what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from figureground.audit.measure.plain import changes

SIDE = 24
ORDERS = [np.random.default_rng(row).permutation(16).tolist() for row in range(2)]
NOISE = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, SIDE, SIDE)).astype(np.float32))
CHANGES = {
    "blank": changes.blanked,
    "blur": changes.blurred,
    "shuffle": lambda images, region: changes.shuffled(images, region, ORDERS),
    "noise": lambda images, region: changes.noised(images, region, NOISE, 0.2),
    "noise_total": lambda images, region: changes.noised_total(images, region, NOISE, 0.2),
}


def pictures(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((2, 3, SIDE, SIDE), dtype=np.float32))


def region_of(seed, share):
    return torch.from_numpy(np.random.default_rng(seed).random((2, SIDE, SIDE)) < share)


@pytest.mark.parametrize("name", CHANGES)
@given(seed=st.integers(0, 5), share=st.floats(0.0, 1.0))
def test_outside_its_region_a_picture_stays_and_values_stay_in_range(name, seed, share):
    images, region = pictures(seed), region_of(seed, share)
    made = CHANGES[name](images, region)
    outside = ~region[:, None].expand_as(made)
    assert torch.equal(made[outside], images[outside])
    assert torch.isfinite(made).all()
    assert 0 <= made.min() <= made.max() <= 1


def test_a_blank_is_the_regions_own_mean_colour():
    images, region = pictures(), region_of(3, 0.6)
    made = changes.blanked(images, region)
    for image, where, new in zip(images.numpy(), region.numpy(), made.numpy(), strict=True):
        np.testing.assert_allclose(
            new[:, where], np.repeat(image[:, where].mean(1)[:, None], where.sum(), 1), rtol=1e-5
        )


def test_a_blur_of_everything_is_scipys():
    images = pictures()
    made = changes.blurred(images, torch.ones(2, SIDE, SIDE, dtype=torch.bool))
    expected = gaussian_filter(images.numpy(), (0, 0, SIDE / 16, SIDE / 16), mode="mirror", truncate=3.4)
    np.testing.assert_allclose(made.numpy(), expected, atol=0.02)


def test_nothing_of_the_rest_bleeds_into_a_blur_or_a_shuffle():
    figure = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    figure[:, 8:14, 9:15] = True
    images = pictures() * 0.5
    images[:, 0] = figure  # the figure is the only red there is
    for name in ("blur", "shuffle", "blank"):
        assert CHANGES[name](images, ~figure)[:, 0][~figure].max() == 0, name


def test_shuffled_tiles_are_all_there_and_elsewhere():
    images = pictures()
    made = changes.shuffled(images, torch.ones(2, SIDE, SIDE, dtype=torch.bool), ORDERS)
    assert not torch.equal(made, images)
    assert torch.equal(made.flatten(1).sort().values, images.flatten(1).sort().values)


def test_equal_total_noise_has_the_same_norm_in_a_small_and_a_large_region():
    grey = torch.full((2, 3, SIDE, SIDE), 0.5)
    sizes = []
    for share in (0.2, 0.9):
        made = changes.noised_total(grey, region_of(0, share), NOISE, 0.02)
        sizes.append((made - grey).flatten(1).norm(dim=1))
    expected = torch.full((2,), 0.02 * (3 * SIDE * SIDE) ** 0.5)
    torch.testing.assert_close(sizes[0], expected)
    torch.testing.assert_close(sizes[1], expected)
    per_pixel = changes.noised(grey, region_of(0, 0.2), NOISE, 0.05) - grey
    assert per_pixel[region_of(0, 0.2)[:, None].expand_as(grey)].std() == pytest.approx(0.05, rel=0.1)
