"""Ranks of background pixels among object pixels, of one image: two sorts serve every rank measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Ranked:
    """One image's background and object values, ascending."""

    ground: _Values
    figure: _Values

    def superiority(self) -> float:
        """Mann-Whitney U of the background over the product of the sizes; NaN if either is empty."""
        if not self.ground.size or not self.figure.size:
            return np.nan
        swap = self.figure.size > self.ground.size  # searching the fewer among the more is faster
        few, many = (self.ground, self.figure) if swap else (self.figure, self.ground)
        below = np.searchsorted(many, few, "left")
        # "Up to" differs from "below" only where a value occurs on both sides.
        tied = many[np.minimum(below, many.size - 1)] == few
        ties = int(np.searchsorted(many, few[tied], "right").sum()) - int(below[tied].sum()) if tied.any() else 0
        lower = (2 * int(below.sum()) + ties) / (2.0 * few.size * many.size)
        return lower if swap else 1.0 - lower

    def expected_share(self, k: int) -> float:
        """Share of background among the k largest; of tied values each is as likely to be among them."""
        if not self.ground.size and not self.figure.size:
            return np.nan
        # The k largest of all are among the k largest of each side.
        highest = np.concatenate([self.ground[-k:], self.figure[-k:]])
        threshold = np.partition(highest, highest.size - k)[highest.size - k]
        (above, tied), (other_above, other_tied) = (_counts(side, threshold) for side in (self.ground, self.figure))
        drawn = k - above - other_above
        return (above + drawn * tied / (tied + other_tied)) / k


def _counts(ascending: _Values, threshold: Any) -> tuple[int, int]:
    """How many values lie above the threshold, and how many on it."""
    low, high = int(ascending.searchsorted(threshold, "left")), int(ascending.searchsorted(threshold, "right"))
    return ascending.size - high, high - low
