"""What a transfer is given and gives: a batch of recipients with their donors, and composed pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor

OK = "ok"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Tuples:
    """B recipients, each with one donor of every level and a second one of its own level, last.

    Attributes
    ----------
    row_id, number : Tensor
        int64 ``[B]``: recipient and pass.
    seed : int
        Of the run.
    image : Tensor
        float32 ``[B, C, H, W]`` in [0, 1], at the model's input geometry, before normalisation.
    mask : Tensor
        uint8 ``[B, H, W]``: 0 ground, 1 object, 255 ignored.
    has_mask : Tensor
        bool ``[B]``.
    donor_images, donor_masks, donor_has_mask : Tensor
        ``[B, E + 1, C, H, W]``, ``[B, E + 1, H, W]``, ``[B, E + 1]``.
    regions, donor_regions : mapping of str to Tensor
        Named region masks, bool ``[B, H, W]`` and ``[B, E + 1, H, W]``.
    memo : dict
        What arms, cues and controls share is computed once; see :meth:`once`.
    """

    row_id: Tensor = field(repr=False)
    number: Tensor = field(repr=False)
    seed: int
    image: Tensor = field(repr=False)
    mask: Tensor = field(repr=False)
    has_mask: Tensor = field(repr=False)
    donor_images: Tensor = field(repr=False)
    donor_masks: Tensor = field(repr=False)
    donor_has_mask: Tensor = field(repr=False)
    regions: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    donor_regions: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    memo: dict[Hashable, tuple[Hashable, Any]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.row_id)

    @property
    def masked(self) -> Tensor:
        """bool ``[B]``: recipient and all donors have a mask."""
        return self.has_mask & self.donor_has_mask.all(dim=1)

    def once(self, name: Hashable, compute: Callable[[], _T], arm: Hashable = None) -> _T:
        """``compute()``, called anew only for another arm: of each name the latest result is kept, no more.

        A swap and its control follow each other, arm by arm, and share the costly part of their pictures.
        """
        kept = self.memo.get(name)
        if kept is None or kept[0] != arm:
            kept = self.memo[name] = (arm, compute())
        found: _T = kept[1]
        return found

    def rngs(self, tag: int) -> Iterable[np.random.Generator]:
        """One generator a row, so that order, batch size and ranks do not matter."""
        for row, number in zip(self.row_id.tolist(), self.number.tolist(), strict=True):
            yield np.random.default_rng(np.random.SeedSequence([self.seed, row, number, tag]))


@dataclass(frozen=True)
class Composite:
    """Composed pictures.

    Attributes
    ----------
    images : Tensor
        float32 ``[B, C, H, W]`` in [0, 1].
    status : tuple of str
        ``"ok"``, or why the picture is no test of the cue.
    """

    images: Tensor = field(repr=False)
    status: tuple[str, ...]


def statuses(*faults: tuple[Tensor, str], n: int) -> tuple[str, ...]:
    """One status a row: the first fault that holds, else ``"ok"``.

    Examples
    --------
    >>> import torch
    >>> statuses((torch.tensor([True, False]), "mask_absent"), n=2)
    ('mask_absent', 'ok')
    """
    found = [OK] * n
    for holds, name in reversed(faults):
        found = [name if bad else status for bad, status in zip(holds.tolist(), found, strict=True)]
    return tuple(found)


class Transfer(Protocol):
    """Changes one cue of the recipients to the value that a donor has.

    All arms are treated alike: same holes, same seams, same amount of change in the control.
    """

    @property
    def parts(self) -> tuple[str | None, ...]:
        """``(None,)`` for a whole cue, else the cells of its grid."""

    def swap(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite:
        """The value of donor ``arm``, an index into the E + 1 donors."""

    def control(self, tuples: Tuples, arm: int, part: str | None = None) -> Composite | None:
        """A change of something else, as large; None where the judge compares cells with each other."""

    def reference(self, tuples: Tuples) -> Composite | None:
        """The recipient's own value, through the same machinery: whatever changes now is fragility."""
