"""What the model answers when parts of a picture are covered. Forward passes only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from figureground.audit.document.sheets import Covering, Fill, Flip, PartShown
from figureground.audit.explain.decisions import Decisions
from figureground.audit.explain.layers import model_dtype
from figureground.audit.explain.single_pass import checked_logits
from figureground.datasets.columns import GROUND, OBJECT
from figureground.datasets.transforms import Preprocess

#: Cells in each direction.
CELLS = 8
FILLS: tuple[Fill, ...] = get_args(Fill)
#: Standard deviation of the blur, as a share of the shorter side: coarse structure goes too.
BLUR = 1 / 12


@dataclass(frozen=True)
class Coverer:
    """Covers parts of pictures and asks the model.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode.
    preprocess : Preprocess
        Whose normalisation follows the covering.
    decisions : Decisions
    cells : int
        Of the grid, in each direction; fewer where the picture has fewer pixels.
    batch : int
        Pictures in one forward pass.
    """

    module: nn.Module = field(repr=False)
    preprocess: Preprocess
    decisions: Decisions
    cells: int = CELLS
    batch: int = 32

    def ask(self, images: Tensor) -> Tensor:
        """Logits float32 ``[B, K]`` for pictures ``[B, C, H, W]`` in [0, 1]."""
        kind = model_dtype(self.module)
        with torch.no_grad():
            parts = [self.preprocess.normalize(part).to(kind) for part in torch.split(images, self.batch)]
            return torch.cat([checked_logits(self.module(part), len(part)).float() for part in parts])

    def cover(self, image: Tensor, fill: Fill) -> Covering:
        """Every cell covered alone, then more and more of them until the answer changes.

        The cells are added in the order in which the answer's lead fell when each alone was covered. From the first
        covering that changes the answer, cells are taken back one by one as long as it stays changed. The result is
        the smallest covering *found*: others, smaller or elsewhere, may exist.

        Parameters
        ----------
        image : Tensor
            float ``[C, H, W]`` in [0, 1].
        fill : {"mean", "blurred"}
            The picture's mean colour, or the picture blurred.
        """
        search = _Search(self, image, filled(image, fill), grid_of(image, self.cells))
        found, falls = search.smallest()
        shape = (int(search.grid[-1, 0]) // search.columns + 1, search.columns)
        return Covering(
            fill,
            falls.reshape(shape).float().numpy(),
            changing=search.changing,
            tried=search.tried,
            flip=None if found is None else search.flip(found),
        )

    def parts(self, image: Tensor, mask: Tensor) -> tuple[PartShown, ...]:
        """Only the object, and only the background, with what is hidden filled in both ways.

        ``mask`` is uint8 ``[H, W]``: 0 ground, 1 object; ignored pixels are shown in neither.
        """
        before = int(self.decisions.answers(self.ask(image[None]))[0])
        found = []
        for name, kept in (("object", mask == OBJECT), ("background", mask == GROUND)):
            for fill in FILLS:
                shown = torch.where(kept, image, filled(image, fill, kept))
                logits = self.ask(shown[None])
                changed = int(self.decisions.answers(logits)[0]) != before
                answer = self.decisions.said(logits[0])
                found.append(PartShown(name, fill, answer, changed, pixels(shown)))  # type: ignore[arg-type]
        return tuple(found)


class _Search:
    """One picture, one fill: what was tried, and what it gave."""

    def __init__(self, coverer: Coverer, image: Tensor, fill: Tensor, grid: Tensor) -> None:
        self.coverer, self.image, self.fill, self.grid = coverer, image, fill, grid
        self.count, self.columns = int(grid.max()) + 1, int(grid[0].max()) + 1
        self.areas = torch.bincount(grid.ravel(), minlength=self.count).double() / grid.numel()
        self.before = coverer.ask(image[None])
        self.answer = int(coverer.decisions.answers(self.before)[0])
        self.tried = self.changing = 0

    def smallest(self) -> tuple[Tensor | None, Tensor]:
        """Cells of the smallest covering found, bool ``[n]``, or None; and the fall of each cell alone."""
        alone = torch.eye(self.count, dtype=torch.bool)
        logits = self._asked(alone)
        start = self.coverer.decisions.lead(self.before, self.answer)
        falls = start - self.coverer.decisions.lead(logits, self.answer)
        changed = self._changed(logits)
        self.changing = int(changed.sum())
        if self.changing:
            sizes = torch.where(changed, self.areas - falls.clamp(-1e6, 1e6) * 1e-12, torch.inf)
            return alone[int(sizes.argmin())], falls
        return self._grown(falls.argsort(descending=True, stable=True)), falls

    def _grown(self, order: Tensor) -> Tensor | None:
        sets = torch.zeros(self.count, self.count, dtype=torch.bool)
        for size, cell in enumerate(order.tolist()):
            sets[size:, cell] = True
        found = self._changed(self._asked(sets[1:])).nonzero().ravel()
        return None if not len(found) else self._pruned(sets[1 + int(found[0])].clone(), order)

    def _pruned(self, chosen: Tensor, order: Tensor) -> Tensor:
        for cell in [cell for cell in order.flip(0).tolist() if chosen[cell]]:
            fewer = chosen.clone()
            fewer[cell] = False
            if fewer.any() and bool(self._changed(self._asked(fewer[None]))[0]):
                chosen = fewer
        return chosen

    def flip(self, chosen: Tensor) -> Flip:
        logits = self.coverer.ask(self._covered(chosen[None]))[0]
        area = float(self.areas[chosen].sum())
        return Flip(area, np.asarray(chosen[self.grid]), self.coverer.decisions.said(logits))

    def _asked(self, sets: Tensor) -> Tensor:
        self.tried += len(sets)
        parts = [self.coverer.ask(self._covered(part)) for part in torch.split(sets, self.coverer.batch)]
        return torch.cat(parts) if parts else self.before[:0]

    def _changed(self, logits: Tensor) -> Tensor:
        # An answer that is no number is no other answer.
        return (self.coverer.decisions.answers(logits) != self.answer) & logits.isfinite().all(1)

    def _covered(self, sets: Tensor) -> Tensor:
        return torch.where(sets[:, self.grid][:, None], self.fill, self.image)


def grid_of(image: Tensor, cells: int) -> Tensor:
    """Number of the cell of every pixel, int64 ``[H, W]``, row by row."""
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(size) * min(cells, size) // size for size in (height, width))
    return rows[:, None] * (int(columns.max()) + 1) + columns


def filled(image: Tensor, fill: Fill, kept: Tensor | None = None) -> Tensor:
    """What stands in place of covered pixels, ``[C, H, W]``.

    The mean colour is that of the pixels that stay (of all where none is named), so that it tells nothing of those
    that are covered; the blur keeps their coarse colours, and nothing finer.
    """
    if fill == "blurred":
        sigma = max(0.5, min(image.shape[-2:]) * BLUR)
        size = 2 * min(round(3 * sigma), min(image.shape[-2:]) - 1) + 1
        return torch.as_tensor(gaussian_blur(image, [size, size], [sigma, sigma]))
    shown = image.flatten(1) if kept is None or not kept.any() else image[:, kept]
    return shown.mean(1)[:, None, None].expand_as(image)


def pixels(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 ``[H, W, 3]`` from float ``[C, H, W]`` in [0, 1]."""
    eight = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return np.ascontiguousarray(eight.expand(-1, -1, 3).numpy() if eight.shape[2] == 1 else eight.numpy())
