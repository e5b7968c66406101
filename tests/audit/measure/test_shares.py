"""Every share against an independent implementation, and the properties that its definition promises."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from skimage.measure import regionprops
from skimage.morphology import dilation, footprint_rectangle
from sklearn.metrics import roc_auc_score

from figureground.audit.measure import shares
from figureground.errors import UsageError

MAP_SHAPE = (2, 3)


#: Measures that take (maps, masks); those that need a layer's resolution or a fraction get a typical one.
MEASURES = {
    "share": shares.background_share,
    "ldr": shares.log_density_ratio,
    "auc": shares.background_auc,
    "rank": lambda a, m: shares.background_rank_share(a, m, 0.2),
    "mass": shares.relevance_mass_accuracy,
    "rank_accuracy": shares.relevance_rank_accuracy,
    "ring": lambda a, m: shares.ring_share(a, m, MAP_SHAPE),
    "far": lambda a, m: shares.far_share(a, m, MAP_SHAPE),
    "relative": lambda a, m: shares.relative_background(a, m, MAP_SHAPE),
}
#: Those that see pixels only, not places.
PIXELWISE = ["share", "ldr", "auc", "rank", "mass", "rank_accuracy"]


@st.composite
def maps_and_masks(draw, values=(0, 1, 2, 3), ignored=True):
    """Maps with many ties and masks that hold object and background in every image."""
    batch, height, width = draw(st.integers(1, 3)), draw(st.integers(2, 7)), draw(st.integers(2, 7))
    shape = (batch, height, width)
    maps = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from(values)))
    levels = [0, 1, 255] if ignored else [0, 1]
    masks = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(levels)))
    masks[:, 0, 0], masks[:, -1, -1] = 1, 0
    maps[:, 0, -1] = 1  # never a zero map ...
    masks[:, 0, -1] = 0  # ... not even where much is ignored
    return maps, masks


def example(seed=0, batch=4, height=12, width=9, ignored=0.1):
    rng = np.random.default_rng(seed)
    maps = rng.gamma(0.5, size=(batch, height, width))
    masks = (rng.random(maps.shape) < 0.3).astype(np.uint8)
    masks[:, 2:5, 3:6] = 1
    masks[rng.random(maps.shape) < ignored] = 255
    return maps, masks


# -- against independent implementations


def test_share_area_and_density_ratio_are_what_the_formulas_say():
    maps, masks = example()
    for i, (a, m) in enumerate(zip(maps, masks, strict=True)):
        out, inside = a[m == 0], a[m == 1]
        assert shares.background_share(maps, masks)[i] == pytest.approx(out.sum() / (out.sum() + inside.sum()))
        assert shares.background_area(masks)[i] == pytest.approx(out.size / (out.size + inside.size))
        assert shares.log_density_ratio(maps, masks)[i] == pytest.approx(np.log(out.mean() / inside.mean()))


@pytest.mark.parametrize("decimals", [0, 1, 8], ids=["many ties", "some ties", "no ties"])
def test_auc_is_that_of_scikit_learn_and_scipy(decimals):
    maps, masks = example(1)
    maps = np.round(maps, decimals)
    found = shares.background_auc(maps, masks)
    for i, (a, m) in enumerate(zip(maps, masks, strict=True)):
        valid = m != 255
        assert found[i] == pytest.approx(roc_auc_score(m[valid] == 0, a[valid]), abs=1e-12)
        u = stats.mannwhitneyu(a[m == 0], a[m == 1]).statistic
        assert found[i] == pytest.approx(u / ((m == 0).sum() * (m == 1).sum()), abs=1e-12)


def _quantus(metric, maps, masks):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        made = getattr(quantus, metric)(abs=False, normalise=False, disable_warnings=True)
        return np.asarray(made.evaluate_batch(a_batch=maps[:, None], s_batch=(masks == 1)[:, None]))


def test_mass_and_rank_accuracy_are_those_of_quantus_where_it_is_right():
    maps, masks = example(2, ignored=0.0)  # positive maps without ties, nothing ignored
    assert len(np.unique(maps)) == maps.size
    mass, rank = (
        _quantus("RelevanceMassAccuracy", maps, masks),
        _quantus("RelevanceRankAccuracy", maps, masks),
    )
    np.testing.assert_allclose(shares.relevance_mass_accuracy(maps, masks), mass, rtol=1e-12)
    np.testing.assert_allclose(shares.relevance_rank_accuracy(maps, masks), rank, rtol=1e-12)


def _torch_floor(mask, map_shape):
    figure = torch.from_numpy((mask == 1).astype(np.float64))[None, None]
    coarse = torch.nn.functional.adaptive_avg_pool2d(figure, map_shape)
    up = torch.nn.functional.interpolate(coarse, size=mask.shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    return up[mask == 0].sum() / up[mask != 255].sum()


@pytest.mark.parametrize("map_shape", [(1, 1), (2, 3), (3, 2), (4, 4), (5, 7), (12, 9), (20, 4)])
def test_bleed_floor_is_that_of_torch(map_shape):
    _, masks = example(3)
    expected = [_torch_floor(mask, map_shape) for mask in masks]
    np.testing.assert_allclose(shares.bleed_floor(masks, map_shape), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("size", "cells", "expected"),
    [
        (224, 7, [0.56, 0.32, 0.23, 0.16]),
        (224, 14, [0.29, 0.16, 0.11, 0.08]),
        (64, 8, [0.49, 0.28, 0.20, 0.14]),
        (64, 4, [0.74, 0.53, 0.38, 0.27]),
    ],
)
def test_bleed_floor_has_the_size_that_the_method_was_designed_for(size, cells, expected):
    """Discs on 3, 10, 20 and 40 % of the image, at random places, against an earlier simulation."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    found = []
    for area in (0.03, 0.10, 0.20, 0.40):
        radius = size * np.sqrt(area / np.pi)
        centres = rng.uniform(radius, size - radius, (20, 2))
        discs = [np.hypot(rows - y, columns - x) <= radius for y, x in centres]
        found.append(shares.bleed_floor(np.stack(discs), (cells, cells)).mean())
    np.testing.assert_allclose(found, expected, atol=0.035)


def test_bleed_floor_at_image_resolution_is_zero():
    _, masks = example(4)
    np.testing.assert_array_equal(shares.bleed_floor(masks, masks.shape[1:]), 0.0)


def _brute_rank_share(a, m, k):
    """Mean over every order of the tied pixels of the share of background among the first k."""
    values, ground = a[m != 255], (m == 0)[m != 255]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        order = np.lexsort((rng.random(values.size), -values))
        found.append(ground[order[:k]].mean())
    return np.mean(found), np.std(found) / np.sqrt(4000)


def test_rank_share_is_the_expectation_over_random_orders_of_ties():
    rng = np.random.default_rng(5)
    maps, masks = (
        rng.integers(0, 3, (2, 5, 6)).astype(float),
        rng.choice([0, 1, 255], (2, 5, 6)).astype(np.uint8),
    )
    for i in range(2):
        k = int(np.rint(0.3 * (masks[i] != 255).sum()))
        expected, error = _brute_rank_share(maps[i], masks[i], k)
        assert shares.background_rank_share(maps, masks, 0.3)[i] == pytest.approx(expected, abs=4 * error + 1e-9)


def test_rank_share_takes_at_least_one_pixel_and_all_of_them_at_most():
    maps, masks = example(6)
    strongest = [masks[i][masks[i] != 255][np.argmax(maps[i][masks[i] != 255])] == 0 for i in range(len(maps))]
    np.testing.assert_array_equal(shares.background_rank_share(maps, masks, 1e-6), np.array(strongest, float))
    np.testing.assert_allclose(shares.background_rank_share(maps, masks, 1.0), shares.background_area(masks))


@pytest.mark.parametrize("map_shape", [(12, 9), (3, 3), (2, 5), (1, 1)])
def test_ring_is_the_dilation_of_scikit_image(map_shape):
    maps, masks = example(7)
    radii = [int(np.ceil(size / cells / 2)) for size, cells in zip((12, 9), map_shape, strict=True)]
    footprint = footprint_rectangle((2 * radii[0] + 1, 2 * radii[1] + 1))
    for i, (a, m) in enumerate(zip(maps, masks, strict=True)):
        ring = (dilation((m == 1).astype(np.uint8), footprint) == 1) & (m == 0)
        total = a[m != 255].sum()
        assert shares.ring_share(maps, masks, map_shape)[i] == pytest.approx(a[ring].sum() / total)
        far = a[(m == 0) & ~ring].sum() / total
        assert shares.far_share(maps, masks, map_shape)[i] == pytest.approx(far, abs=1e-15)


def test_relative_background_is_zero_at_the_floor_and_one_for_a_uniform_map():
    masks = np.zeros((1, 16, 16), np.uint8)
    masks[:, 5:12, 4:9] = 1
    figure = torch.from_numpy(masks.astype(np.float64))[None]
    perfect = torch.nn.functional.interpolate(
        torch.nn.functional.adaptive_avg_pool2d(figure, (4, 4)),
        size=(16, 16),
        mode="bilinear",
        align_corners=False,
    )[0]
    assert shares.relative_background(perfect, masks, (4, 4))[0] == pytest.approx(0.0, abs=1e-12)
    assert shares.relative_background(np.ones((1, 16, 16)), masks, (4, 4))[0] == pytest.approx(1.0)
    assert shares.relative_background(1.0 - masks, masks, (4, 4))[0] > 1
    assert shares.relative_background(masks.astype(float), masks, (4, 4))[0] < 0
    assert np.isnan(shares.relative_background(np.ones((1, 16, 16)), masks, (1, 1))[0])


# -- properties


@given(maps_and_masks(), st.sampled_from([1e-6, 0.25, 8.0, 2.0**40]))
@settings(max_examples=60, deadline=None)
def test_scaling_a_map_changes_nothing(data, factor):
    maps, masks = data
    for name, measure in MEASURES.items():
        np.testing.assert_allclose(
            measure(maps * factor, masks), measure(maps, masks), rtol=1e-9, atol=1e-9, err_msg=name
        )


@given(maps_and_masks(), st.sampled_from([(1,), (2,), (1, 2)]))
@settings(max_examples=60, deadline=None)
def test_flipping_map_and_mask_together_changes_nothing(data, axes):
    maps, masks = data
    flipped = np.flip(maps, axes), np.flip(masks, axes)
    for name, measure in MEASURES.items():
        if name != "relative":  # a small denominator magnifies rounding; its parts are here
            np.testing.assert_allclose(measure(*flipped), measure(maps, masks), atol=1e-9, err_msg=name)
    floors = [shares.bleed_floor(given, MAP_SHAPE) for given in (masks, flipped[1])]
    np.testing.assert_allclose(*floors, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_the_mask_alone_is_noticed(name, axis):
    """A geometry that is applied to the image and not to its mask must change every measure."""
    maps, masks = np.ones((1, 12, 12)), np.zeros((1, 12, 12), np.uint8)
    masks[:, 1:5, 1:5] = 1
    maps[:, 1:6, 1:6] += np.arange(25).reshape(5, 5)
    found = MEASURES[name](maps, masks)
    assert abs(MEASURES[name](maps, np.flip(masks, axis)) - found)[0] > 0.05


@given(maps_and_masks())
@settings(max_examples=60, deadline=None)
def test_exchanging_object_and_background_mirrors_the_measures(data):
    maps, masks = data
    other = np.select([masks == 0, masks == 1], [1, 0], 255)
    share, ldr, auc = ([MEASURES[name](maps, m) for m in (masks, other)] for name in ("share", "ldr", "auc"))
    np.testing.assert_allclose(share[0] + share[1], 1.0)
    np.testing.assert_allclose(shares.background_area(masks) + shares.background_area(other), 1.0)
    np.testing.assert_allclose(ldr[0], -ldr[1], atol=1e-9)
    np.testing.assert_allclose(auc[0], 1.0 - auc[1], atol=1e-12)
    rank = [shares.background_rank_share(maps, given, 0.2) for given in (masks, other)]
    np.testing.assert_allclose(rank[0] + rank[1], 1.0)


@given(maps_and_masks(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_pixels_and_of_images_does_not_matter(data, random):
    maps, masks = data
    pixels = list(range(maps[0].size))
    random.shuffle(pixels)
    images = list(range(len(maps)))
    random.shuffle(images)
    shuffled = [x.reshape(len(x), -1)[:, pixels].reshape(x.shape) for x in (maps, masks)]
    for name, measure in MEASURES.items():
        if name in PIXELWISE:
            np.testing.assert_allclose(measure(*shuffled), measure(maps, masks), atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(measure(maps[images], masks[images]), measure(maps, masks)[images], err_msg=name)


@given(maps_and_masks())
@settings(max_examples=60, deadline=None)
def test_ranges(data):
    maps, masks = data
    for name in ("share", "auc", "rank", "mass", "rank_accuracy", "ring", "far"):
        found = MEASURES[name](maps, masks)
        assert np.all((found >= 0) & (found <= 1 + 1e-12)), name
    floor = shares.bleed_floor(masks, MAP_SHAPE)
    assert np.all((floor >= 0) & (floor <= 1))
    assert np.all(np.isfinite(shares.log_density_ratio(maps, masks)))
    total = MEASURES["ring"](maps, masks) + MEASURES["far"](maps, masks)
    np.testing.assert_allclose(total, shares.background_share(maps, masks), atol=1e-12)


@given(maps_and_masks(), st.sampled_from([1e-3, 1.0, 7.0]))
@settings(max_examples=60, deadline=None)
def test_a_uniform_map_is_indifferent(data, value):
    maps, masks = np.full(data[0].shape, value), data[1]
    area = shares.background_area(masks)
    np.testing.assert_allclose(shares.background_share(maps, masks), area)
    np.testing.assert_allclose(shares.log_density_ratio(maps, masks), 0.0, atol=1e-9)
    np.testing.assert_array_equal(shares.background_auc(maps, masks), 0.5)
    np.testing.assert_allclose(shares.background_rank_share(maps, masks, 0.1), area)


def test_ignored_pixels_count_nowhere():
    maps, masks = example(8)
    wild = np.where(masks == 255, 1e9, maps)
    wild[0, masks[0] == 255] = np.nan
    for name, measure in MEASURES.items():
        np.testing.assert_array_equal(measure(wild, masks), measure(maps, masks), err_msg=name)


# -- edges


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("value", [0.0, 1e-13, np.nan, np.inf], ids=["zero", "below 1e-12", "nan", "inf"])
def test_zero_and_non_finite_maps_are_nan_and_leave_the_others_alone(name, value):
    maps, masks = example(9)
    alone = MEASURES[name](maps, masks)
    if np.isfinite(value):
        maps[1] = value
    else:
        maps[1, 2, 3], masks[1, 2, 3] = value, 1
    found = MEASURES[name](maps, masks)
    assert np.isnan(found[1])
    np.testing.assert_array_equal(np.delete(found, 1), np.delete(alone, 1))


def test_values_near_the_largest_float_are_nan_and_not_a_warning():
    maps, masks = np.full((1, 4, 4), 1e308), np.eye(4, dtype=np.uint8)[None]
    assert np.isnan(shares.background_share(maps, masks)[0])


@pytest.mark.parametrize("fill", [0, 255])
def test_without_an_object_everything_is_nan(fill):
    maps, masks = np.ones((1, 4, 4)), np.full((1, 4, 4), fill, np.uint8)
    for name, measure in MEASURES.items():
        assert np.isnan(measure(maps, masks)[0]), name
    assert np.isnan(shares.background_area(masks)[0])
    assert np.isnan(shares.bleed_floor(masks, MAP_SHAPE)[0])


def test_a_mask_without_background_has_shares_but_no_contrast():
    maps, masks = np.ones((1, 4, 4)), np.ones((1, 4, 4), bool)
    assert shares.background_share(maps, masks)[0] == 0
    assert shares.background_area(masks)[0] == 0
    assert shares.background_rank_share(maps, masks, 0.1)[0] == 0
    assert np.isnan(shares.log_density_ratio(maps, masks)[0])
    assert np.isnan(shares.background_auc(maps, masks)[0])


def test_density_ratio_is_clipped_at_half_a_pixel():
    masks = np.zeros((1, 4, 5), np.uint8)
    masks[:, :, :2] = 1  # area 12/20, eps = 1/40
    on_object = masks.astype(float)
    expected = np.log((1 / 40) / (39 / 40)) - np.log(12 / 8)
    assert shares.log_density_ratio(on_object, masks)[0] == pytest.approx(expected)
    assert shares.log_density_ratio(1 - on_object, masks)[0] == pytest.approx(np.log(39) - np.log(12 / 8))


def test_constant_maps_do_not_score_by_where_the_mask_lies():
    masks = np.zeros((2, 10, 10), np.uint8)
    masks[0, 0, :6] = masks[1, 5, 2:8] = 1
    np.testing.assert_allclose(shares.relevance_rank_accuracy(np.ones((2, 10, 10)), masks), 0.06)


def test_region_share_needs_no_object_and_no_mask():
    maps = np.arange(12.0).reshape(1, 3, 4)
    region = np.zeros((3, 4), bool)
    region[2, 2:] = True
    assert shares.region_share(maps, region)[0] == pytest.approx(21 / 66)
    assert shares.region_share(maps, region[None])[0] == pytest.approx(21 / 66)
    ignored = np.zeros((1, 3, 4), np.uint8)
    ignored[0, 2, 3] = 255
    assert shares.region_share(maps, region, ignored)[0] == pytest.approx(10 / 55)
    assert np.isnan(shares.region_share(maps, np.zeros((3, 4), bool))[0])
    assert np.isnan(shares.region_share(np.zeros((1, 3, 4)), region)[0])


def test_shares_of_a_partition_sum_to_one():
    maps, masks = example(10)
    region = np.zeros(maps.shape[1:], bool)
    region[:5] = True
    total = shares.region_share(maps, region, masks) + shares.region_share(maps, ~region, masks)
    np.testing.assert_allclose(total, 1.0)


def test_an_empty_batch_gives_empty_answers():
    for name, measure in MEASURES.items():
        assert measure(np.empty((0, 4, 4)), np.empty((0, 4, 4), np.uint8)).shape == (0,), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_torch_tensors_are_taken_as_they_are(dtype):
    maps, masks = example(11)
    tensor = torch.from_numpy(maps).to(dtype)
    for name, measure in MEASURES.items():
        expected = measure(tensor.numpy().astype(np.float64), masks)
        found = measure(tensor, torch.from_numpy(masks))
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert found.dtype == np.float64


def test_bool_masks_are_masks():
    maps, masks = example(12, ignored=0.0)
    np.testing.assert_array_equal(shares.background_share(maps, masks == 1), shares.background_share(maps, masks))


@pytest.mark.parametrize(
    ("maps", "masks", "code"),
    [
        (np.ones((4, 4)), np.ones((4, 4), np.uint8), "ATTRIBUTION_SHAPE"),
        (np.ones((1, 4, 4)), np.ones((1, 4, 5), np.uint8), "ATTRIBUTION_SHAPE"),
        (np.ones((1, 1, 4, 4)), np.ones((1, 1, 4, 4), np.uint8), "ATTRIBUTION_SHAPE"),
        (-np.ones((1, 4, 4)), np.ones((1, 4, 4), np.uint8), "ATTRIBUTION_SIGN"),
        (np.ones((1, 4, 4)), np.full((1, 4, 4), 2, np.uint8), "MASK_VALUE"),
        (np.ones((1, 4, 4)), np.full((1, 4, 4), 0.5), "MASK_VALUE"),
    ],
    ids=["no batch axis", "shapes differ", "channels", "negative", "mask 2", "soft mask"],
)
def test_other_inputs_are_refused(maps, masks, code):
    with pytest.raises(UsageError) as caught:
        shares.background_share(maps, masks)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda a, m: shares.background_rank_share(a, m, 0.0), "RANK_FRACTION"),
        (lambda a, m: shares.background_rank_share(a, m, float("nan")), "RANK_FRACTION"),
        (lambda a, m: shares.relative_background(a, m, (0, 3)), "MAP_SHAPE"),
        (lambda a, m: shares.ring_share(a, m, (0, 3)), "MAP_SHAPE"),
        (lambda a, m: shares.region_share(a, np.ones((3, 3), bool), m), "REGION_SHAPE"),
    ],
    ids=["fraction 0", "fraction nan", "no cells", "no cells in a ring", "region of another size"],
)
def test_other_settings_are_refused(call, code):
    with pytest.raises(UsageError) as caught:
        call(*example())
    assert caught.value.code == code


def test_the_measures_do_not_load_torch():
    code = "import sys, figureground.audit.measure.attribution_rows; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_eccentricity_is_the_distance_of_skimages_centroid_from_the_centre():
    rng = np.random.default_rng(8)
    masks = np.zeros((6, 30, 40), np.uint8)
    for mask in masks[:5]:
        top, left = rng.integers(0, 20), rng.integers(0, 25)
        mask[top : top + 9, left : left + 13] = rng.integers(0, 2, (9, 13))
    masks[0, :, :] = 1
    found = shares.object_eccentricity(masks)
    for mask, value in zip(masks[:5], found, strict=False):
        (region,) = regionprops(mask)
        offset = np.array(region.centroid) + 0.5 - np.array([15, 20])
        assert value == pytest.approx(np.linalg.norm(offset) / 25)
    assert found[0] == pytest.approx(0)
    assert np.isnan(found[5])
    assert np.nanmax(found) < 1
