"""Which rows a check decodes, and what it takes the others for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from figureground.datasets.columns import MASK_PREFIX
from figureground.datasets.intake import Examples

#: Rows that a check decodes unless it is asked for all.
DECODED = 2_000
#: Share of the picture that masks are taken to cover where none was decoded.
_TYPICAL_AREA = 0.3


def chosen_rows(positions: pd.Index) -> Callable[[int], bool] | None:
    """Whether the row at a position is decoded: :data:`DECODED` of those given, the same every time; None: all."""
    if len(positions) <= DECODED:
        return None
    rng = np.random.default_rng(0)
    chosen = frozenset(rng.choice(positions.to_numpy(), DECODED, replace=False).tolist())
    return chosen.__contains__


def as_if_decoded(examples: Examples, table: pd.DataFrame) -> Examples:
    """The rows that were only looked up, with masks of the usual area where the table names one.

    What n can show depends on whether a row has an object, and on nothing else that a mask says.
    """
    frame = examples.frame
    named = [name for name in table.columns if name == "mask" or name.startswith(MASK_PREFIX)]
    masked = (table[named] != "").any(axis=1).to_numpy()[frame["position"].to_numpy()]
    assumed = masked & (frame["status"] == "ok") & frame["sha256"].isna()
    area = frame["object_area"].astype(float)
    usual = _TYPICAL_AREA if area.isna().all() else float(area.median())
    return replace(examples, frame=frame.assign(object_area=area.mask(assumed, usual)))
