"""Does the same image get the same map again, and in other company?"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from figureground.audit.measure.masked_maps import FloatArray
from figureground.audit.measure.trust.estimates import Estimated
from figureground.audit.measure.trust.lines import Line, at_most
from figureground.audit.measure.trust.maps import FloatMaps, Mapper, Maps
from figureground.audit.measure.trust.sample import Sample

NAME = "repeatability"


def repeated(mapper: Mapper, module: nn.Module, sample: Sample) -> dict[str, Maps]:
    """Maps of the same batches again (``same_batch``), and in reverse order and batches of about half the size."""
    again = mapper(module, sample.inputs)
    backwards = mapper(module, sample.inputs.flip(0), batch_size=max(1, mapper.batch_size // 2 - 1))
    return {"same_batch": again, "other_batch": _reversed(backwards)}


def relative_difference(left: FloatMaps, right: FloatMaps) -> FloatArray:
    """Largest absolute difference of each pair of maps over the largest value of the first; float64 ``[N]``.

    Infinite where only one of the two is finite, or the first is zero and the second is not.
    """
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (left, right))
    peak = np.abs(a).max(axis=1)
    gap = np.abs(a - b).max(axis=1)
    found = np.where(gap == 0, 0.0, np.inf)
    np.divide(gap, peak, out=found, where=np.isfinite(gap) & (gap > 0) & (peak > 0))
    return found


def repeatability(method: str, first: Maps, others: dict[str, Maps], limit: float) -> tuple[Line, ...]:
    """The largest relative difference over the images with a usable map, against the limit."""
    usable = first.usable(method)
    lines = []
    for name, other in others.items():
        worst = float(relative_difference(first.primary[method][usable], other.primary[method][usable]).max())
        found = Estimated(worst, math.nan, worst, int(usable.sum()))
        lines.append(at_most(method, f"{NAME}_{name}", found, limit, "the same image gets another map"))
    return tuple(lines)


def _reversed(maps: Maps) -> Maps:
    primary, native = (
        {name: np.ascontiguousarray(values[::-1]) for name, values in group.items()}
        for group in (maps.primary, maps.native)
    )
    return Maps(primary, native, torch.flip(maps.predicted, (0,)), np.ascontiguousarray(maps.finite[::-1]))
