"""Image and mask go through one geometry, which is torchvision's own."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import EfficientNet_B0_Weights, ResNet18_Weights

from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("weights", [ResNet18_Weights, EfficientNet_B0_Weights])
@pytest.mark.parametrize("size", [(300, 400), (401, 223), (224, 224), (64, 97)])
def test_a_torchvision_preset_gives_the_same_tensor(size, weights):
    preset = weights.DEFAULT.transforms()
    ours = Preprocess.from_torchvision(preset)
    assert (ours.resize, ours.crop, ours.channels) == (256, 224, 3)
    picture = Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8))
    found = ours.normalize(ours.image(picture)[None])[0]
    assert found.shape == (3, 224, 224)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, preset(picture), rtol=0, atol=1e-6)


@pytest.mark.fault("D10")
@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(20, 90), height=st.integers(20, 90), resize=st.sampled_from([None, 30, (28, 40)]),
    crop=st.sampled_from([None, 20, (18, 24)]), place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip
def test_a_marker_stays_at_the_same_place_in_image_and_mask(width, height, resize, crop, place):
    if resize is None and crop is not None:
        crop = 18
    top, left = int(place[0] * (height - 8)), int(place[1] * (width - 8))
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 8, left : left + 8] = 1
    both = Preprocess(resize=resize, crop=crop, mean=(0.0,), std=(1.0,))
    image, moved = both.image(Image.fromarray(mask * 255)), both.mask(mask)
    assert image.shape[1:] == moved.shape
    assert set(moved.unique().tolist()) <= {0, 1}
    if moved.sum() < 4:
        return  # cropped away
    rows, columns = torch.meshgrid(*map(torch.arange, moved.shape), indexing="ij")
    for axis in (rows, columns):
        lit = (axis * image[0]).sum() / image.sum()
        drawn = (axis * moved).sum() / moved.sum()
        assert abs(lit - drawn) <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), size=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_masks_keep_to_their_values(seed, size):
    mask = np.random.default_rng(seed).choice(np.array([0, 1, 255], np.uint8), size)
    found = Preprocess(resize=(31, 17)).mask(mask)
    assert found.dtype == torch.uint8
    assert found.shape == (31, 17)
    assert set(found.unique().tolist()) <= set(np.unique(mask).tolist())


def test_without_steps_pixels_and_mask_are_as_they_were():
    pixels, mask = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8), RNG.integers(0, 2, (7, 9), dtype=np.uint8)
    found = Preprocess().image(Image.fromarray(pixels))
    np.testing.assert_allclose(found.numpy(), pixels.transpose(2, 0, 1) / 255, rtol=1e-6)
    np.testing.assert_array_equal(Preprocess().mask(mask).numpy(), mask)


def test_channels_follow_the_means():
    grey, colour = Image.new("L", (4, 3), 51), Image.new("RGB", (4, 3), (255, 0, 0))
    one, three = Preprocess(mean=(0.5,), std=(0.5,)), Preprocess()
    assert one.image(colour).shape == (1, 3, 4)
    assert one.image(colour).unique().tolist() == pytest.approx([76 / 255])  # ITU-R 601-2: 0.299 of red
    assert torch.equal(three.image(grey), torch.full((3, 3, 4), np.float32(0.2)))


def test_normalize_is_affine_per_channel():
    steps = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    images = torch.rand(2, 3, 4, 5)
    expected = (images.numpy() - np.reshape([0.1, 0.2, 0.3], (3, 1, 1))) / np.reshape([0.5, 0.25, 2.0], (3, 1, 1))
    np.testing.assert_allclose(steps.normalize(images).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("steps", [Preprocess(), Preprocess(resize=(3, 4), crop=2, mean=(0.5,), std=(0.1,))])
def test_steps_survive_json(steps):
    assert Preprocess.from_dict(json.loads(json.dumps(steps.to_dict()))) == steps


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5, 0.5), (1.0, 1.0)), ((0.5,), (1.0, 1.0, 1.0)), ((0.5,), (0.0,)), ((), ())]
)
def test_impossible_steps_are_refused(mean, std):
    with pytest.raises(UsageError, match="PREPROCESS"):
        Preprocess(mean=mean, std=std)
