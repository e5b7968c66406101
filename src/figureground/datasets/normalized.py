"""Tensors that a Dataset yields normalised: brought back to [0, 1] where it says how, refused where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from figureground.errors import UsageError

#: What is left of 0 and 1 after normalising and undoing it in single precision.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Normalized:
    """``(pixels - mean) / std`` by channel, with pixels in [0, 1].

    Attributes
    ----------
    mean, std : tuple of float
        One for each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, given: tuple[Sequence[float], Sequence[float]] | None) -> Normalized | None:
        """From ``(mean, std)``; None where nothing is declared. Raises :class:`UsageError`."""
        if given is None:
            return None
        try:
            mean, std = (tuple(float(value) for value in np.atleast_1d(np.asarray(part))) for part in given)
        except (TypeError, ValueError):
            mean, std = (), ()
        if not mean or len(mean) != len(std) or not all(value > 0 for value in std):
            raise UsageError(
                "NORMALIZED",
                "normalized",
                found=repr(given),
                expected="(mean, std) with one entry a channel, std above 0",
                fix="normalized=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))",
            )
        return cls(mean, std)

    @property
    def told(self) -> str:
        """In words."""
        return f"tensors normalised with mean {self.mean} and standard deviation {self.std}, which was undone"

    def undone(self, image: Any) -> npt.NDArray[np.float64]:
        """Float64 ``[C, H, W]`` in [0, 1], as far as the declaration is right; other values stay outside."""
        values = np.asarray(image.numpy(force=True) if hasattr(image, "numpy") else image)
        if values.ndim != 3 or not np.issubdtype(values.dtype, np.floating) or values.shape[0] != len(self.mean):
            raise UsageError(
                "NORMALIZED",
                "normalized",
                found=f"an image of {values.dtype} and shape {values.shape}",
                expected=f"float [{len(self.mean)}, H, W], as (mean, std) says",
                fix="give (mean, std) only for a dataset that yields normalised tensors, one entry a channel",
            )
        pixels = values * np.reshape(self.std, (-1, 1, 1)) + np.reshape(self.mean, (-1, 1, 1))
        near = (pixels > -ROUNDING) & (pixels < 1 + ROUNDING)
        return np.asarray(np.where(near, np.clip(pixels, 0, 1), pixels), dtype=np.float64)


def check_scale(image: Any, where: str) -> None:
    """Refuse float pixels outside [0, 1]: then all items are on another scale, also those that happen to lie within.

    Raises
    ------
    UsageError
        ``DATASET_SCALE``, with the values found.
    """
    values = np.asarray(image.numpy(force=True)) if hasattr(image, "numpy") else image
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating) or not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise UsageError(
            "DATASET_SCALE",
            where,
            found=f"float pixels from {low:.3g} to {high:.3g}",
            expected="pictures in [0, 1], or normalised tensors that are declared",
            fix="normalized=(mean, std) with what the dataset applies, or yield pictures before it"
            if low < 0
            else "divide by 255, or yield uint8",
        )
