"""Settings of the attribution methods that have any: how many steps, samples and cells, and against which baseline."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Baseline = Literal["mean", "zero"]
Segments = Literal["grid", "superpixels"]


class MethodOptions(BaseModel):
    """Settings of the methods, the same for all that know a setting.

    Examples
    --------
    >>> MethodOptions(steps=64).windows(224, 224)
    64
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(32, ge=1, le=10_000, description="integrated gradients: points on the path [count]")
    samples: int = Field(
        25, ge=1, le=10_000, description="SmoothGrad, Gradient SHAP: noisy copies of a picture [count]"
    )
    noise: float = Field(
        0.15, gt=0, le=1, description="standard deviation of that noise [share of the picture's own range of values]"
    )
    baseline: Baseline = Field(
        "mean",
        description="integrated gradients, Gradient SHAP, DeepLift, occlusion, ablation: what stands for nothing, the "
        "picture's mean colour or the value 0 after normalisation [mean or zero]",
    )
    cells: int = Field(8, ge=2, le=64, description="occlusion, ablation on a grid: cells in each direction [count]")
    segments: Segments = Field(
        "grid",
        description="feature ablation: what is ablated together; superpixels need scikit-image [grid, superpixels]",
    )
    superpixels: int = Field(64, ge=4, le=4096, description="feature ablation: superpixels at most [count]")
    budget_mb: int = Field(
        1024,
        ge=1,
        description="memory for the copies of pictures that are evaluated together; changes no number but for rounding "
        "[mebibytes]",
    )

    def side(self, size: int) -> int:
        """Pixels that a cell measures, of so many."""
        return max(1, -(-size // self.cells))

    def windows(self, height: int, width: int) -> int:
        """Cells that a picture of this size has."""
        return math.prod(-(-size // self.side(size)) for size in (height, width))

    def count(self, parameter: str, height: int, width: int) -> int:
        """What a parameter of a cost is, for a picture of this size."""
        if parameter == "segments":
            return self.windows(height, width) if self.segments == "grid" else self.superpixels
        if parameter == "windows":
            return self.windows(height, width)
        return int(getattr(self, parameter))
