"""Masks, references, second layer, rows, repeatability: each against what can be counted by hand."""

import numpy as np
import pytest
import torch
from skimage import morphology
from torch import nn
from torchvision.models import resnet18

from figureground.audit.explain.layers import CamLayer
from figureground.audit.measure.masked_maps import ObjectMasks
from figureground.audit.measure.shares import log_density_ratio
from figureground.audit.measure.trust.agreement import map_agreement, occlusion_maps, pooled
from figureground.audit.measure.trust.layers import earlier_layer
from figureground.audit.measure.trust.masks import density_ratios, grown, mask_sensitivity, shrunk
from figureground.audit.measure.trust.references import reference_lines, reference_maps
from figureground.audit.measure.trust.repeatability import relative_difference
from figureground.audit.measure.trust.sample import choose_rows
from figureground.datasets.datamodule import Row


def random_masks(seed=0, count=10, side=32):
    rng = np.random.default_rng(seed)
    found = np.zeros((count, side, side), np.uint8)
    for mask in found:
        down, right = rng.integers(4, 14, 2)
        mask[down : down + 14, right : right + 13] = 1
    return found


def test_erosion_and_dilation_are_scikit_image_s():
    masks = (np.random.default_rng(0).random((3, 20, 24)) > 0.4).astype(np.uint8)
    given = ObjectMasks.of(masks)
    window = np.ones((3, 5), bool)
    for one, more, less in zip(masks, grown(given, (1, 2)).foreground, shrunk(given, (1, 2)).foreground, strict=True):
        assert np.array_equal(more, morphology.dilation(one.astype(bool), window))
        assert np.array_equal(less, morphology.erosion(one.astype(bool), window))


def test_ignored_pixels_stay_ignored():
    masks = random_masks()
    masks[:, :, 10] = 255
    given = ObjectMasks.of(masks)
    for changed in (grown(given, (3, 3)), shrunk(given, (3, 3))):
        assert np.array_equal(changed.valid, given.valid)
        assert not (changed.foreground & changed.background).any()


def test_density_ratios_are_the_table_s_and_leave_out_what_it_leaves_out():
    masks = random_masks()
    masks[0] = 0
    masks[0, :2, :2] = 1  # below two cells of an 8 x 8 map
    masks[1] = 1
    maps = np.random.default_rng(1).random(masks.shape).astype(np.float32)
    found = density_ratios(maps, ObjectMasks.of(masks), (8, 8))
    assert np.isnan(found[:2]).all()
    assert found[2:] == pytest.approx(log_density_ratio(maps, masks)[2:])


def test_sign_depends_on_the_mask_only_for_a_map_at_its_edge():
    masks = random_masks()
    given = ObjectMasks.of(masks)
    ring = (grown(given, (2, 2)).foreground & given.background).astype(np.float32)
    lines = mask_sensitivity("gradcam", ring + 1e-3, given, (8, 8), 8)
    assert (lines[0].check, lines[0].status) == ("mask_sensitivity_dilated", "failed")
    assert lines[0].value < 0
    inside = mask_sensitivity("gradcam", shrunk(given, (3, 3)).foreground + np.float32(1e-3), given, (8, 8), 8)
    assert [line.status for line in inside] == ["passed", "passed", "reference"]
    few = mask_sensitivity("gradcam", ring[:4], ObjectMasks.of(masks[:4]), (8, 8), 8)
    assert (few[0].status, few[0].n) == ("not_run", 4)


def test_objects_that_erosion_leaves_nothing_of_are_not_counted():
    masks = np.zeros((9, 32, 32), np.uint8)
    masks[:, 10:17, 10:17] = 1
    lines = mask_sensitivity("gradcam", np.ones_like(masks, np.float32), ObjectMasks.of(masks), (4, 4), 8)
    assert lines[0].status == "not_run"
    lines = {
        line.check: line for line in mask_sensitivity("x", masks + np.float32(1), ObjectMasks.of(masks), (8, 8), 8)
    }
    assert lines["mask_sensitivity_eroded"].status == "not_run"
    assert lines["mask_sensitivity_dilated"].status == "passed"


def test_reference_maps():
    images = torch.zeros(2, 3, 32, 48)
    images[..., 20:] = 1.0
    found = reference_maps(images)
    assert set(np.unique(np.nonzero(found["sobel"])[2])) == {19, 20}
    centred = found["centred"][0]
    assert np.allclose(centred, centred[::-1, ::-1])
    assert centred[16, 24 + 11] / centred[16, 24] == pytest.approx(np.exp(-0.5 * (11.5**2 - 0.5**2) / 12**2), rel=1e-4)
    blank = ObjectMasks.of(np.zeros((2, 32, 48), np.uint8))
    lines = reference_lines({"uniform": (found["uniform"], (32, 48))}, blank)
    assert {line.reason for line in lines} == {"no masks"}


def test_earlier_layer_has_another_resolution():
    model = resnet18(weights=None).eval()
    model.train(True)
    assert earlier_layer(model, CamLayer("layer4"), torch.rand(2, 3, 64, 64)) == CamLayer("layer3")
    assert model.training
    flat = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2))
    assert earlier_layer(flat, CamLayer("1"), torch.rand(1, 3, 8, 8)) is None
    assert earlier_layer(flat, CamLayer("no such layer"), torch.rand(1, 3, 8, 8)) is None


def test_rows_are_spread_over_labels_and_free_of_order():
    rows = [Row(i * 37 % 1009, i, "rare" if i % 20 == 0 else "often") for i in range(200)]
    chosen = choose_rows(rows, 16, 0)
    assert choose_rows(rows[::-1], 16, 0) == chosen != choose_rows(rows, 16, 1)
    assert [row.label for row in chosen].count("rare") == 8
    assert [row.row_id for row in chosen] == sorted(row.row_id for row in chosen)
    assert len(choose_rows(rows, 500, 0)) == 200


def test_relative_difference():
    first = np.ones((4, 2, 2), np.float32)
    second = first.copy()
    second[1, 0, 0], second[2, 0, 0] = 1.5, np.nan
    first[3], second[3] = 0, 0
    assert relative_difference(first, second).tolist() == [0.0, 0.5, np.inf, 0.0]


def test_pooled_maps_agree_with_themselves_and_not_with_their_negative():
    maps = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    assert pooled(maps, (4, 4))[0, 0, 0] == pytest.approx(maps[0, :4, :4].mean())
    assert map_agreement(maps, maps, (4, 4)) == pytest.approx(np.ones(3))
    assert map_agreement(maps, 1 - maps, (4, 4)) == pytest.approx(-np.ones(3))
    assert np.isnan(map_agreement(maps, np.ones_like(maps), (4, 4))).all()


class Corner(nn.Module):
    """Looks at the upper left eighth of the image only."""

    def forward(self, images):
        seen = images[:, 0, :4, :4].mean(dim=(1, 2))
        return torch.stack([seen, -seen], dim=1)


def test_occlusion_finds_the_one_window_that_matters():
    images = torch.rand(2, 3, 32, 32) * 0.1
    images[:, :, :4, :4] = 1.0
    found, spent = occlusion_maps(Corner(), images, torch.tensor([0, 0]))
    assert (found[:, :4, :4] > 0).all()
    assert found[:, 4:].sum() == found[:, :, 4:].sum() == 0
    assert spent == 2 * 65
