"""Pictures of the pairs of every cue: each is composed as it was when the model was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pandas as pd

from figureground.audit.measure.pictures import Painter
from figureground.audit.measure.suite import levels_of, widen


@dataclass(frozen=True)
class CuePlan:
    """The donors with which a cue was changed.

    Attributes
    ----------
    donors : pandas.DataFrame
        As :class:`~figureground.audit.measure.donors.DonorDraw` gives it.
    masks : bool
        Whether object masks were used.
    """

    donors: pd.DataFrame = field(repr=False)
    masks: bool = True


def cue_pictures(painter: Painter, chosen: pd.DataFrame, plans: Mapping[str, CuePlan]) -> Iterator[dict[str, Any]]:
    """Rows of ``gallery`` for the rows that :func:`~figureground.audit.judge.cue_pairs.cue_pairs` chose."""
    for key, rows in chosen.groupby(["cue", "finding"], sort=False, dropna=False):
        cue, finding = cast("tuple[str, object]", key)
        if cue in plans:
            plan = plans[cue]
            about = replace(painter, finding=finding if isinstance(finding, str) else None)
            yield from about.swaps(rows, widen(plan.donors), levels_of(plan.donors), masks=plan.masks)
