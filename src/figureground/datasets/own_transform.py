"""A transform of the user's own: one call moves a picture and a mask together, and what it returns is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pickle import PicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from figureground.datasets.normalized import ROUNDING, Normalized
from figureground.datasets.row_faults import RowFault
from figureground.datasets.transform_styles import Pair, described, source_sha256, style_of
from figureground.datasets.transforms import PIL_MODES, Preprocess
from figureground.errors import UsageError


@dataclass(frozen=True)
class OwnTransform(Preprocess):
    """``function(image, mask) -> (tensor, mask)``: what a model expects of its input, in the words of its owner.

    Attributes
    ----------
    mean, std : tuple of float
        Per channel: how the tensor that the function returns is normalised, which is undone before the pictures are
        changed and done again before the model sees them. By default it is not: the tensor lies in [0, 1].
    function : callable or None
        Is given an upright picture and a mask, both of PIL, the mask with the values 0, 1 and 255 (ignored), and gives
        a tensor ``[C, H, W]``, float or uint8, and the mask as a picture, an array or a tensor ``[H, W]``. It may
        also be a transform of ``torchvision.transforms.v2``, of albumentations, or of MONAI's dictionaries, each of
        which is called in its own way. None where it has only been named so far.
    spec : str
        Its name, ``package.module:function``.
    applied : Normalized or None
        What the function itself did to the pixels; by default ``mean`` and ``std``.

    Examples
    --------
    >>> import numpy as np
    >>> def half(image, mask):
    ...     size = (image.width // 2, image.height // 2)
    ...     pixels = np.asarray(image.resize(size), dtype=np.float32) / 255
    ...     return torch.from_numpy(pixels).permute(2, 0, 1), mask.resize(size, Image.Resampling.NEAREST)
    >>> pixels, (mask,) = OwnTransform(function=half).together(
    ...     Image.new("RGB", (8, 6), "white"), [np.ones((6, 8), np.uint8)]
    ... )
    >>> pixels.shape, mask.shape
    (torch.Size([3, 3, 4]), torch.Size([3, 4]))
    """

    function: Callable[..., Any] | None = field(default=None, repr=False)
    spec: str = ""
    applied: Normalized | None = None

    def __reduce__(self) -> Any:
        # By its name a function of a file or of a notebook cell is not found again in another process.
        raise PicklingError("a transform of one's own stays in its process")

    @property
    def one_size(self) -> bool:
        """Whether pictures of different sizes come out with one size, as it was seen on two."""
        shapes = [
            self.together(Image.new(PIL_MODES[self.channels], size), [])[0].shape for size in ((96, 64), (80, 112))
        ]
        return shapes[0] == shapes[1]

    def together(self, image: Image.Image, masks: Sequence[npt.NDArray[np.uint8]]) -> tuple[Tensor, list[Tensor]]:
        """The picture in [0, 1], and masks that were moved with it: one call for each mask.

        Raises
        ------
        RowFault
            ``transform_failed``: the function raised, or gave masks of another size or with other values.
        UsageError
            What it returns is no picture in the declared scale, whatever the row.
        """
        picture = image.convert(PIL_MODES[self.channels])
        given = masks or [np.zeros((image.height, image.width), dtype=np.uint8)]
        found = [self._called(picture, mask) for mask in given]
        pixels = self._pixels(found[0][0])
        return pixels, [_mask(moved, mask, pixels) for (_, moved), mask in zip(found, given, strict=True)][: len(masks)]

    def moved(self, image: Image.Image, mask: npt.NDArray[np.uint8]) -> Tensor:
        """What ``together`` gives for the mask."""
        return self.together(image, [mask])[1][0]

    def soft(self, image: Image.Image, shares: npt.NDArray[np.float32]) -> Tensor:
        """float32 ``[H, W]``: shares in steps of 1/255, moved with the picture."""
        return self.moved(image, np.rint(shares * 255).astype(np.uint8)).float() / 255

    def image(self, image: Image.Image) -> Tensor:
        """float32 ``[C, H, W]`` in [0, 1] from an upright picture, whose mask is empty."""
        return self.together(image, [])[0]

    def mask(self, mask: npt.NDArray[np.uint8]) -> Tensor:
        """uint8 ``[H, W]``: the mask, moved with a black picture."""
        blank = Image.new(PIL_MODES[self.channels], (mask.shape[1], mask.shape[0]))
        return self.together(blank, [mask])[1][0]

    def to_dict(self) -> dict[str, Any]:
        """Plain types only: its name, its code's hash, what can be said of it, and how it normalises."""
        known: dict[str, Any] = {"transform": self.spec, "mean": list(self.mean), "std": list(self.std)}
        if self.function is None:
            return known
        return known | {"described": described(self.function), "source_sha256": source_sha256(self.function)}

    def _called(self, picture: Image.Image, mask: npt.NDArray[np.uint8]) -> Pair:
        if self.function is None:
            raise self._refused("a name that was not looked up", "a function", "give the function itself")
        try:
            return style_of(self.function)(self.function, picture.copy(), mask.copy())
        except MemoryError:
            raise
        except Exception as error:
            raise RowFault("transform_failed", f"{self.spec}: {type(error).__name__}: {error}"[:300]) from error

    def _pixels(self, given: Any) -> Tensor:
        values = given if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
        if values.ndim != 3 or values.shape[0] != self.channels or not values.numel():
            raise self._refused(
                f"an image of shape {list(values.shape)}",
                f"a tensor [{self.channels}, H, W]",
                "return channels first, or say --channels gray",
            )
        if not values.is_floating_point():
            return values.detach().to("cpu", torch.float32) / 255
        undone = (self.applied or Normalized(self.mean, self.std)).undone(values.detach().double().cpu())
        low, high = float(undone.min()), float(undone.max())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise self._refused(
                f"pixels from {low:.3g} to {high:.3g}, with mean {self.mean} and deviation {self.std} undone",
                "pixels in [0, 1]",
                "say with --mean and --std how it normalises; resize before the conversion to float, which overshoots",
            )
        return torch.from_numpy(undone.astype(np.float32))

    def _refused(self, found: str, expected: str, fix: str) -> UsageError:
        return UsageError("TRANSFORM", f"transform {self.spec}", found=found, expected=expected, fix=fix)


def _mask(given: Any, before: npt.NDArray[np.uint8], pixels: Tensor) -> Tensor:
    """uint8 ``[H, W]`` of the picture's size, with no values that the mask did not have, but for 0 of an edge."""
    values = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.shape != tuple(pixels.shape[-2:]):
        raise RowFault("transform_failed", f"a mask of shape {list(values.shape)} beside {list(pixels.shape)}")
    strange = sorted(set(np.unique(values).tolist()) - {0, *np.unique(before).tolist()})
    if strange:
        raise RowFault("transform_failed", f"the mask has the value {strange[0]:g}, which it did not have before")
    return torch.from_numpy(np.array(values, dtype=np.uint8))
