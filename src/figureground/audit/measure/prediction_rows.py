"""Logits as rows of the ``predictions`` table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

#: Up to this many classes all logits are kept.
ALL_CLASSES = 32
#: Beyond, the label's, the prediction's and this many of the highest of the unchanged image, the same in every arm.
TOP_CLASSES = 8

Array = npt.NDArray[np.float32]


def kept_classes(logits: Array, labels: npt.NDArray[np.int64]) -> list[list[int]] | None:
    """Classes whose logits are stored for each row, from its unchanged image; None where all are.

    Parameters
    ----------
    logits : ndarray
        float32 ``[B, K]``.
    labels : ndarray
        int64 ``[B]``.
    """
    if logits.shape[1] <= ALL_CLASSES:
        return None
    top = np.argsort(-logits, axis=1, kind="stable")[:, :TOP_CLASSES]
    return [sorted({int(label), *map(int, row)}) for label, row in zip(labels, top, strict=True)]


def prediction_rows(
    logits: Array,
    *,
    kept: Sequence[Sequence[int]] | None,
    unusable: npt.NDArray[np.object_] | None = None,
    several: bool = False,
    **keys: object,
) -> pd.DataFrame:
    """Rows of the ``predictions`` table.

    Parameters
    ----------
    logits : ndarray
        float32 ``[B, K]``.
    kept : sequence of sequences of int, or None
        From :func:`kept_classes`.
    unusable : ndarray of object, [B], optional
        ``"ok"``, or why the picture is no test; such rows have no prediction but this status.
    several : bool
        Whether the logits are of findings that may each be present: then there is no one prediction, and no sum.
    **keys
        The other columns: scalars or ``[B]`` sequences.
    """
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    given = np.full(len(logits), "ok", dtype=object) if unusable is None else unusable
    ok = finite & (given == "ok")
    status = np.where(ok, "ok", np.where(given == "ok", "not_finite", given))
    # argmax of a row of NaN would be class 0: no prediction is written where a logit is not finite.
    safe = np.where(finite[:, None], logits, 0)
    stored = list(safe) if kept is None else [row[list(which)] for row, which in zip(safe, kept, strict=True)]
    return pd.DataFrame(
        {
            **keys,
            "logits": [row.tolist() if good else None for row, good in zip(stored, ok, strict=True)],
            "classes": [None] * len(logits) if kept is None else [list(which) for which in kept],
            "logsumexp": np.where(ok & (not several), logsumexp(safe.astype(np.float64), axis=1), np.nan),
            "predicted": [
                int(row.argmax()) if good and not several else None for row, good in zip(safe, ok, strict=True)
            ],
            "status": status,
            "reason": [None if good else str(word) for good, word in zip(ok, status, strict=True)],
        }
    )
