"""Does a transform move picture and mask together? A lit square is followed through both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from figureground.datasets.columns import GROUND, IGNORE, OBJECT
from figureground.datasets.transforms import PIL_MODES, Preprocess

#: Where squares are lit, as shares of height and width: no two are mirror images of each other.
PLACES = ((0.5, 0.5), (0.3, 0.4), (0.35, 0.7), (0.6, 0.25), (0.75, 0.65))
#: Sides of a square as shares of the picture's shorter side: small ones fit into a narrow crop, large ones are found
#: more exactly, and come first.
SIDES = (0.125, 0.04)
#: Farthest that square and mask may be apart, in pixels of the model's input.
LIMIT = 1.0


@dataclass(frozen=True)
class Moved:
    """What was seen of a transform.

    Attributes
    ----------
    distance : float
        Largest distance between a lit square and its mask, in pixels of the model's input; infinite where one of the
        two was to be seen and the other was not; NaN where none was.
    n : int
        Squares that were to be seen.
    repeats : bool
        Whether a second call gave the same pixels.
    """

    distance: float
    n: int
    repeats: bool

    @property
    def together(self) -> bool:
        """Whether picture and mask moved together."""
        return self.n > 0 and self.distance <= LIMIT


def moved(preprocess: Preprocess, size: tuple[int, int] = (320, 256)) -> Moved:
    """Follow squares through a transform of pictures of ``size``, (width, height).

    Raises
    ------
    RowFault
        The transform fails.
    """
    for share in SIDES:
        seen = _followed(preprocess, size, share)
        if seen.n:
            break
    return seen


def _followed(preprocess: Preprocess, size: tuple[int, int], share: float) -> Moved:
    distances, repeats = [], True
    for picture, mask in _lit(PIL_MODES[preprocess.channels], size, share):
        pixels, (place,) = preprocess.together(picture, [mask])
        again, _ = preprocess.together(picture, [mask])
        repeats = repeats and pixels.shape == again.shape and bool((pixels == again).all())
        distances.append(_distance(pixels, place))
    seen = [one for one in distances if not np.isnan(one)]
    return Moved(max(seen, default=float("nan")), len(seen), repeats)


def _lit(mode: str, size: tuple[int, int], share: float) -> Iterator[tuple[Image.Image, npt.NDArray[np.uint8]]]:
    width, height = size
    side = max(1, round(share * min(size)))
    for down, right in PLACES:
        lit = np.zeros((height, width), dtype=np.uint8)
        top, left = round(down * height) - side // 2, round(right * width) - side // 2
        lit[top : top + side, left : left + side] = 255
        mask = np.where(lit, OBJECT, GROUND).astype(np.uint8)
        # Between 0 and this, whatever interpolates a mask finds numbers that it cannot hold.
        mask[:side] = IGNORE
        yield Image.fromarray(lit).convert(mode), mask


def _distance(pixels: Tensor, mask: Tensor) -> float:
    """Pixels between the middle of what is lit and the middle of its mask."""
    light = pixels.mean(dim=0).numpy()
    lit = light > (light.min() + light.max()) / 2 if np.ptp(light) > 0.1 else np.zeros(light.shape, bool)
    marked = mask.numpy() == OBJECT
    if not lit.any() and (marked.all() or not marked.any()):
        return float("nan")
    if not lit.any() or not marked.any():
        return float("inf")
    return float(np.hypot(*(np.argwhere(lit).mean(axis=0) - np.argwhere(marked).mean(axis=0))))
