"""A transform of the user's own: every library's, held against the geometry that is declared in words."""

from __future__ import annotations

import pickle
from typing import Any

import albumentations as A
import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.transforms import Compose, MapTransform, NormalizeIntensityd, Resized
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from figureground.audit.classify.own_transforms import moves_together, own_transform
from figureground.datasets.marker_probe import moved
from figureground.datasets.own_transform import OwnTransform
from figureground.datasets.row_faults import RowFault
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NEAREST = Image.Resampling.NEAREST
Array = npt.NDArray[np.uint8]


def own(image: Image.Image, mask: Image.Image, *, side: int = 32) -> Any:
    """As people write it: resized, to a tensor, normalised."""
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    normal = (pixels - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(normal).permute(2, 0, 1), mask.resize((side, side), NEAREST)


@pytest.fixture
def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (48, 80, 3), dtype=np.uint8))


@pytest.fixture
def mask() -> Array:
    found = np.zeros((48, 80), np.uint8)
    found[5:20, 50:70], found[30:, :10] = 1, 255
    return found


V2 = v2.Compose(
    [v2.ToImage(), v2.Resize((32, 32)), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(MEAN), list(STD))]
)
ALBUMENTATIONS = A.Compose([A.CenterCrop(32, 32), A.Normalize(MEAN, STD)])
MONAI = Compose(
    [
        Resized(["image", "label"], (32, 32), mode=["area", "nearest"]),
        NormalizeIntensityd(["image"], subtrahend=[0, 0, 0], divisor=[255, 255, 255], channel_wise=True),
    ]
)


def test_a_function_is_the_same_as_the_geometry_in_words(picture: Image.Image, mask: Array) -> None:
    declared = Preprocess(resize=(32, 32), mean=MEAN, std=STD)
    pixels, (moved_mask,) = OwnTransform(mean=MEAN, std=STD, function=own, spec="own").together(picture, [mask])
    torch.testing.assert_close(pixels, declared.image(picture), rtol=0, atol=2e-6)
    assert torch.equal(moved_mask, declared.mask(mask))


def test_torchvision_v2_is_called_with_its_own_kinds(picture: Image.Image, mask: Array) -> None:
    pixels, (moved_mask,) = OwnTransform(mean=MEAN, std=STD, function=V2).together(picture, [mask])
    image, expected = V2(picture, tv_tensors.Mask(torch.from_numpy(mask)))
    restored = image * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    torch.testing.assert_close(pixels, restored.float(), rtol=0, atol=2e-6)
    assert torch.equal(moved_mask, torch.as_tensor(expected))


def test_albumentations_gives_a_dictionary(picture: Image.Image, mask: Array) -> None:
    pixels, (moved_mask,) = OwnTransform(mean=MEAN, std=STD, function=ALBUMENTATIONS).together(picture, [mask])
    cropped = np.asarray(picture)[8:40, 24:56]
    np.testing.assert_allclose(pixels.permute(1, 2, 0).numpy(), cropped / 255, atol=2e-6)
    np.testing.assert_array_equal(moved_mask.numpy(), mask[8:40, 24:56])


def test_monai_knows_a_mask_by_the_key_that_its_transforms_name(picture: Image.Image, mask: Array) -> None:
    pixels, (moved_mask,) = OwnTransform(function=MONAI).together(picture, [mask])
    wide = torch.from_numpy(np.asarray(picture, np.float32)).permute(2, 0, 1)[None]
    area = torch.nn.functional.interpolate(wide, size=(32, 32), mode="area")[0] / 255
    torch.testing.assert_close(pixels, area, rtol=0, atol=2e-6)
    assert set(moved_mask.unique().tolist()) == {0, 1, 255}


def test_each_mask_of_a_row_goes_with_its_picture() -> None:
    """A crop to what is lit, as of foreground, depends on the picture: masks alone would go elsewhere."""

    def to_light(image: Image.Image, mask: Image.Image) -> Any:
        box = image.convert("L").point(lambda value: 255 * (value > 128)).getbbox()
        return v2.functional.to_dtype(v2.functional.pil_to_tensor(image.crop(box)), torch.float32, True), mask.crop(box)

    picture = Image.new("RGB", (40, 40))
    picture.paste((255, 255, 255), (20, 10, 36, 26))
    masks = [np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)]
    masks[0][10:18, 20:28], masks[1][18:26, 28:36] = 1, 1
    pixels, (first, second) = OwnTransform(function=to_light, spec="to_light").together(picture, masks)
    assert pixels.shape == (3, 16, 16)
    assert first[:8, :8].all()
    assert first.sum() == 64
    assert second[8:, 8:].all()
    assert second.sum() == 64


def test_shares_of_soft_masks_go_with_it(picture: Image.Image) -> None:
    shares = np.full((48, 80), 0.4, np.float32)
    found = OwnTransform(mean=MEAN, std=STD, function=own).soft(picture, shares)
    assert found.shape == (32, 32)
    np.testing.assert_allclose(found.numpy(), 0.4, atol=1 / 255)


def test_one_size_is_seen() -> None:
    assert OwnTransform(mean=MEAN, std=STD, function=own).one_size
    as_is = OwnTransform(function=lambda image, mask: (np.asarray(image).transpose(2, 0, 1), mask))
    assert not as_is.one_size


@pytest.mark.fault("D10")
@pytest.mark.parametrize("function", [own, V2, ALBUMENTATIONS], ids=["function", "torchvision", "albumentations"])
def test_a_lit_square_and_its_mask_stay_together(function: Any) -> None:
    known = own_transform(OwnTransform(mean=MEAN, std=STD, function=function))
    seen = moved(known)
    assert seen.n >= 1
    assert seen.distance <= 1
    assert seen.repeats
    assert [check.status for check in moves_together(known)] == ["passed"]
    assert moves_together(Preprocess()) == []


def flipped(image: Image.Image, mask: Image.Image) -> Any:
    return own(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), mask)


def shifted(image: Image.Image, mask: Image.Image) -> Any:
    pixels, moved_mask = own(image, mask)
    return pixels, np.roll(np.asarray(moved_mask), 2, axis=0)


def noisy(image: Image.Image, mask: Image.Image) -> Any:
    pixels, moved_mask = own(image, mask)
    return pixels + 0.01 * torch.rand(pixels.shape), moved_mask


def smooth(image: Image.Image, mask: Image.Image) -> Any:
    return own(image, mask)[0], mask.resize((32, 32), Image.Resampling.BILINEAR)


def lost(image: Image.Image, mask: Image.Image) -> Any:
    return own(image, mask)[0], Image.new("L", (32, 32))


def alone(image: Image.Image) -> Any:
    return own(image, image.convert("L"))[0]


@pytest.mark.fault("D10")
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (flipped, "pixels away"),
        (shifted, r"2\.\d pixels away"),
        (noisy, "other pixels|outside|pixels from"),
        (smooth, "which it did not have before"),
        (lost, "a mask that is lost"),
        (alone, "TypeError"),
        (lambda image, mask: own(image, mask)[0], "where .tensor, mask. is expected"),
    ],
)
def test_what_moves_them_apart_is_refused(function: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        own_transform(OwnTransform(mean=MEAN, std=STD, function=function))


def test_a_normalisation_that_is_not_declared_is_refused() -> None:
    with pytest.raises(UsageError, match="--mean and --std"):
        own_transform(own)


@pytest.mark.parametrize("shape", [(32, 32), (1, 32, 32), (32, 32, 3)])
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...], picture: Image.Image) -> None:
    function = OwnTransform(function=lambda _, mask: (torch.zeros(shape), mask), spec="odd")
    with pytest.raises(UsageError, match="channels first"):
        function.together(picture, [])


def test_a_row_on_which_it_fails_is_a_fault_of_the_row(picture: Image.Image) -> None:
    def picky(image: Image.Image, mask: Image.Image) -> Any:
        raise ValueError("no face found")

    with pytest.raises(RowFault, match="no face found"):
        OwnTransform(function=picky, spec="picky").image(picture)


def test_it_is_known_by_name_code_and_normalisation() -> None:
    said = own_transform(OwnTransform(mean=MEAN, std=STD, function=own)).to_dict()
    assert said["transform"].endswith("test_own_transform:own")
    assert said["mean"] == list(MEAN)
    assert len(said["source_sha256"]) == 64
    library = OwnTransform(mean=MEAN, std=STD, function=V2, spec="v2").to_dict()
    assert "Resize" in library["described"]


def test_presets_and_declared_geometry_are_left_alone() -> None:
    assert own_transform(None) is None
    known = Preprocess()
    assert own_transform(known) is known


def test_it_stays_in_its_process() -> None:
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(OwnTransform(function=own))


def test_map_transforms_alone_are_dictionaries_too(picture: Image.Image, mask: Array) -> None:
    single: MapTransform = Resized(["image", "mask"], (32, 32), mode=["area", "nearest"])
    with pytest.raises(UsageError, match="pixels from"):  # it lies in 0 to 255, which nobody declared
        OwnTransform(function=single).together(picture, [mask])
    wide = OwnTransform(function=single, mean=(0.0,) * 3, std=(1 / 255,) * 3)
    assert wide.together(picture, [mask])[0].max() <= 1
