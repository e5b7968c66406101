"""How alike the maps of every pair of methods are, on the images that both were checked on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from figureground.audit.document import audit_json as document
from figureground.audit.measure.masked_maps import Shape
from figureground.audit.measure.trust.agreement import map_agreement, pooled
from figureground.audit.measure.trust.estimates import LEVEL, Estimated, mean_of
from figureground.audit.measure.trust.maps import FloatMaps

#: Maps are kept at no more cells than this along a side, so that many methods fit into memory.
MAX_SIDE = 256


@dataclass(frozen=True)
class Method:
    """Maps of one method, float32 ``[N, H, W]``, NaN where one says nothing, and the grid of their layer."""

    row_id: npt.NDArray[np.int64]
    maps: FloatMaps = field(repr=False)
    shape: Shape

    @classmethod
    def of(cls, row_id: npt.NDArray[np.int64], maps: FloatMaps, shape: Shape) -> Method:
        """The maps, made smaller where they are large."""
        height, width = (min(side, MAX_SIDE) for side in maps.shape[1:])
        kept = maps if maps.shape[1:] == (height, width) else pooled(maps, (height, width))
        return cls(row_id, kept, (min(shape[0], height), min(shape[1], width)))

    def on(self, rows: npt.NDArray[np.int64]) -> FloatMaps:
        """The maps of these rows, all of which it has; ``row_id`` is sorted."""
        return np.asarray(self.maps[np.searchsorted(self.row_id, rows)])


def pair_measures(methods: Mapping[str, Method]) -> list[document.CheckMeasure]:
    """Spearman's correlation over the cells of the coarser grid of the two, mean over images; one number per pair."""
    return [
        _measure(f"{left}/{right}", _compared(methods[left], methods[right]))
        for left, right in combinations(methods, 2)
    ]


def _compared(left: Method, right: Method) -> Estimated:
    rows = np.intersect1d(left.row_id, right.row_id)
    if not len(rows):
        return mean_of(np.empty(0))
    return mean_of(map_agreement(left.on(rows), right.on(rows), min(left.shape, right.shape, key=math.prod)))


def _measure(name: str, found: Estimated) -> document.CheckMeasure:
    value, low, high = (one if math.isfinite(one) else None for one in (found.value, found.low, found.high))
    return document.CheckMeasure(name=name, value=value, ci_low=low, ci_high=high, ci_level=LEVEL, n=found.n)
