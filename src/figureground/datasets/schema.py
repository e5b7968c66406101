"""The words for data that all rooms share: a batch, a row's identity, mask values, column names."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from figureground.datasets.columns import GROUND, IGNORE, OBJECT, SHARD_ROWS
from figureground.datasets.identity import row_id

__all__ = ["GROUND", "IGNORE", "OBJECT", "SHARD_ROWS", "Batch", "row_id"]


@dataclass(frozen=True)
class Batch:
    """What a model is shown at once, before normalisation.

    Attributes
    ----------
    row_id : Tensor
        int64, ``[B]``.
    image : Tensor
        float32, ``[B, C, H, W]``, values in [0, 1], at the model's input geometry.
    label : Tensor
        int64, ``[B]``, index into the model's classes. Multi-label data: float32, ``[B, K]``, 1 where a finding is
        present, 0 where it is absent, NaN where that is unknown.
    mask : Tensor
        uint8, ``[B, H, W]``: 0 ground, 1 object, 255 ignored.
    has_mask : Tensor
        bool, ``[B]``. Where False, ``mask`` is all ground and stands for nothing.
    regions : dict of str to Tensor
        Named region masks, bool ``[B, H, W]``.
    mask_status : Tensor or None
        int64, ``[B]``: place in ``columns.MASK_STATUSES``; None: ``has_mask`` says all there is to say.
    soft : Tensor or None
        Of soft masks: float32, ``[B, H, W]``, the share of each pixel that is object.
    """

    row_id: Tensor
    image: Tensor
    label: Tensor
    mask: Tensor
    has_mask: Tensor
    regions: dict[str, Tensor] = field(default_factory=dict)
    mask_status: Tensor | None = None
    soft: Tensor | None = None
