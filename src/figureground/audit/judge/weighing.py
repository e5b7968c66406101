"""Design weights of the rows of a run: how many rows of the data each stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from figureground.audit.judge.intervals import FloatArray
from figureground.errors import IntegrityError


def weights_of(rows: pd.DataFrame) -> FloatArray | None:
    """Weights of usable rows, float64 ``[N]``; None where the rows bear none, or all the same.

    Raises
    ------
    IntegrityError
        Some usable rows have a weight and some have none: the table is not one that an audit wrote.
    """
    if "weight" not in rows:
        return None
    found = rows["weight"].to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(found)
    if missing.any() and not missing.all():
        raise IntegrityError(
            "EXAMPLES_WEIGHT",
            "examples",
            found=f"{int(missing.sum())} usable rows without a weight",
            expected="a weight for every usable row, or for none",
            fix="run the audit again",
        )
    return None if missing.all() or np.ptp(found) == 0 else found
