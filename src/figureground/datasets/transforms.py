"""One geometry for image and mask: what a model expects of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from figureground.errors import UsageError

Interpolation = Literal["bilinear", "bicubic"]
#: By the number of channels.
PIL_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Preprocess:
    """Resize, centre crop, scale to [0, 1], normalise. Masks go through the same geometry with nearest neighbour.

    Attributes
    ----------
    resize : int, (int, int) or None
        Shorter side, or (height, width), in pixels; None leaves the size.
    crop : int, (int, int) or None
        Centre crop after resizing, (height, width).
    mean, std : tuple of float
        Per channel, in units of [0, 1] pixel values. Their length is the number of channels (1 or 3).
    interpolation : {"bilinear", "bicubic"}
        Of the pictures, antialiased.

    Examples
    --------
    >>> Preprocess(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).channels
    3
    """

    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in PIL_MODES:
            raise UsageError(
                "PREPROCESS",
                "mean/std",
                found=f"{len(self.mean)} means and {len(self.std)} deviations",
                expected="1 or 3 of each",
                fix="give one value per input channel",
            )
        if self.interpolation not in get_args(Interpolation):
            raise UsageError(
                "PREPROCESS",
                "interpolation",
                found=repr(self.interpolation),
                expected=f"one of {', '.join(get_args(Interpolation))}",
                fix="name one of these",
            )
        if min(self.std) <= 0:
            raise UsageError(
                "PREPROCESS",
                "std",
                found=str(self.std),
                expected="positive values",
                fix="check the order of mean and std",
            )

    @property
    def channels(self) -> int:
        """Number of input channels, 1 or 3."""
        return len(self.mean)

    @property
    def one_size(self) -> bool:
        """Whether pictures of different sizes are brought to one: a shorter side alone may not do it."""
        return self.resize is not None

    def together(self, image: Image.Image, masks: Sequence[npt.NDArray[np.uint8]]) -> tuple[Tensor, list[Tensor]]:
        """What ``image`` gives for the picture, and ``mask`` for each of its masks."""
        return self.image(image), [self.mask(mask) for mask in masks]

    def moved(self, image: Image.Image, mask: npt.NDArray[np.uint8]) -> Tensor:
        """What ``together`` gives for the mask."""
        del image  # where it lies is nothing to this geometry
        return self.mask(mask)

    def image(self, image: Image.Image) -> Tensor:
        """float32 ``[C, H, W]`` in [0, 1] from an upright picture."""
        picture = self._geometry(image.convert(PIL_MODES[self.channels]), tv.InterpolationMode(self.interpolation))
        pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
        return torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).copy())

    def mask(self, mask: npt.NDArray[np.uint8]) -> Tensor:
        """uint8 ``[H, W]`` with the values of the given mask, moved exactly as its image."""
        picture = self._geometry(Image.fromarray(mask, mode=None), tv.InterpolationMode.NEAREST)
        return torch.from_numpy(np.array(picture, dtype=np.uint8))

    def resized_pixels(self, size: tuple[int, int]) -> int:
        """Number of pixels of a picture of this (width, height) once it is resized, before any crop."""
        width, height = size
        if self.resize is None:
            return width * height
        if not isinstance(self.resize, int):
            return self.resize[0] * self.resize[1]
        return self.resize * max(self.resize, round(self.resize * max(size) / min(size)))

    def soft(self, image: Image.Image, shares: npt.NDArray[np.float32]) -> Tensor:
        """float32 ``[H, W]``: the shares of a soft mask, moved exactly as its image."""
        del image
        picture = self._geometry(Image.fromarray(shares), tv.InterpolationMode.NEAREST)
        return torch.from_numpy(np.array(picture, dtype=np.float32))

    def normalize(self, images: Tensor) -> Tensor:
        """``(images - mean) / std`` for float ``[B, C, H, W]`` in [0, 1]: what the model itself is given."""
        mean = torch.tensor(self.mean, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)
        return (images - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a checkpoint or a JSON document."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Preprocess:
        """Inverse of :meth:`to_dict`."""
        found: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in fields.items()}
        return cls(**found)

    @classmethod
    def from_torchvision(cls, preset: Any) -> Preprocess:
        """The same steps as a torchvision classification preset (``weights.transforms()``)."""
        return cls(
            resize=_only(preset.resize_size),
            crop=_only(preset.crop_size),
            mean=tuple(preset.mean),
            std=tuple(preset.std),
            interpolation=tv.InterpolationMode(preset.interpolation).value,
        )

    def _geometry(self, picture: Image.Image, mode: tv.InterpolationMode) -> Image.Image:
        if self.resize is not None:
            size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
            picture = tv.resize(picture, size, interpolation=mode)
        if self.crop is not None:
            picture = tv.center_crop(picture, [self.crop] if isinstance(self.crop, int) else list(self.crop))
        return picture


def _only(size: Any) -> int | tuple[int, int]:
    sizes = tuple(int(value) for value in size)
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])
