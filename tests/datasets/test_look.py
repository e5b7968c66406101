"""Properties of whole pictures: what is planted is read, what is read can be given, and nothing is invented."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from figureground.datasets import look

SIDE = 64


@pytest.fixture(scope="module")
def pictures():
    """Smooth noise over several scales: float [6, 3, 64, 64]."""
    rng = np.random.default_rng(0)
    layers = [ndimage.gaussian_filter(rng.normal(size=(6, 3, SIDE, SIDE)), (0, 0, s, s)) for s in (0.5, 1.5, 4)]
    mixed = sum(layer / layer.std() for layer in layers)
    return torch.from_numpy(0.5 + 0.12 * mixed / mixed.std()).clamp(0.05, 0.95).float()


def whole(images):
    return torch.ones(len(images), SIDE, SIDE, dtype=torch.bool)


def test_a_planted_cast_is_given_and_taken_back(pictures):
    cast = (pictures * torch.tensor([1.2, 1.0, 0.8]).view(1, 3, 1, 1)).clamp(0, 1)
    own, other = look.tint_of(pictures, whole(pictures)), look.tint_of(cast, whole(cast))
    given = look.retint(pictures, own, other)
    torch.testing.assert_close(look.tint_of(given, whole(given)), other, atol=0.01, rtol=0)
    torch.testing.assert_close(given.mean(dim=(1, 2, 3)), pictures.mean(dim=(1, 2, 3)), atol=0.01, rtol=0)
    torch.testing.assert_close(look.retint(pictures, own, own), pictures)


def test_brightness_is_the_mean_and_can_be_given(pictures):
    region = whole(pictures)
    region[:, :, :20] = False
    found = look.brightness_of(pictures, region)
    expected = [picture[:, :, 20:].mean().item() for picture in pictures]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    given = look.relight(pictures, found, 0.8 * found)
    torch.testing.assert_close(look.brightness_of(given, region), 0.8 * found, atol=1e-4, rtol=0)


def test_an_empty_region_is_read_as_the_whole_picture(pictures):
    nothing = torch.zeros_like(whole(pictures))
    for read in (look.tint_of, look.brightness_of, look.sharpness_of, look.blockiness_of):
        torch.testing.assert_close(read(pictures, nothing), read(pictures, whole(pictures)))


@pytest.mark.parametrize("sigma", [0.7, 1.3, 2.0])
def test_blur_is_read_and_given_whatever_the_contrast(pictures, sigma):
    blurred = torch.from_numpy(ndimage.gaussian_filter(pictures.numpy(), (0, 0, sigma, sigma), mode="mirror"))
    sharp, soft = (look.sharpness_of(images, whole(images)) for images in (pictures, blurred))
    assert (soft < sharp - 0.2).all()
    torch.testing.assert_close(look.sharpness_of(0.5 * pictures, whole(pictures)), sharp, atol=0.02, rtol=0)
    given = look.blurred_to(pictures, whole(pictures), soft)
    reached = look.sharpness_of(given, whole(given))
    assert (reached <= soft + 1e-5).all()
    assert (reached > soft - 0.5).all()  # and hardly further
    # what is blurrier already stays as it is: detail is not invented
    assert torch.equal(look.blurred_to(blurred, whole(blurred), sharp), blurred)


def test_our_blur_is_a_gaussian(pictures):
    expected = ndimage.gaussian_filter(pictures.numpy().astype(float), (0, 0, 1.5, 1.5), mode="mirror", truncate=3)
    np.testing.assert_allclose(look.blur(pictures, 1.5), expected, atol=0.01)


@pytest.mark.parametrize("quality", [10, 20])
def test_compression_is_read_and_given(pictures, quality):
    packed = look.jpeg(pictures, quality)
    plain, blocky = (look.blockiness_of(images, whole(images)) for images in (pictures, packed))
    assert (blocky > plain + 0.2).all()
    given = look.compressed_to(pictures, whole(pictures), blocky)
    assert (look.blockiness_of(given, whole(given)) > plain + 0.2).all()
    assert torch.equal(look.compressed_to(packed, whole(packed), plain), packed)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_pillow(pictures, channels):
    image = pictures[:1, :channels]
    pixels = (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(stream, "JPEG", quality=30, subsampling=0)
    expected = np.array(Image.open(stream)).reshape(SIDE, SIDE, channels)
    np.testing.assert_array_equal((look.jpeg(image, 30)[0] * 255).round().byte().permute(1, 2, 0), expected)


def test_noise_has_the_size_asked_for(pictures):
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    noisy = look.with_noise(pictures, torch.full((6,), 0.05), noise)
    np.testing.assert_allclose((noisy - pictures).square().mean(dim=(1, 2, 3)).sqrt(), 0.05, rtol=0.05)


def test_tiny_pictures_can_be_blurred():
    assert torch.isfinite(look.blur(torch.rand(1, 3, 5, 4), 3.0)).all()
