"""Rows for which the model gave no usable answer are set aside, with the reason, before anything is concluded."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from figureground.datasets.intake import Examples
from figureground.errors import DataError

#: Status of an unchanged image's answer, and the reason for which its row is set aside.
REASONS = {"not_finite": "nonfinite_output", "out_of_memory": "out_of_memory"}
_DETAILS = {
    "nonfinite_output": "the model's output has a value that is not finite",
    "out_of_memory": "memory did not suffice for this image alone",
}


def settled(examples: Examples, predictions: pd.DataFrame) -> Examples:
    """The examples with rows quarantined whose unchanged image got no usable answer.

    Parameters
    ----------
    examples : Examples
    predictions : pandas.DataFrame
        The table, with the rows of the unchanged images.

    Raises
    ------
    DataError
        No row got one.
    """
    plain = predictions[(predictions["intervention"] == "none") & (predictions["status"] != "ok")]
    if plain.empty:
        return examples
    reason = plain.set_index("row_id")["status"].map(REASONS)
    frame = examples.frame.copy()
    bad = frame["row_id"].isin(reason.index) & (frame["status"] == "ok")
    frame.loc[bad, "reason"] = frame.loc[bad, "row_id"].map(reason)
    frame.loc[bad, "detail"] = frame.loc[bad, "reason"].map(_DETAILS)
    frame.loc[bad, "status"] = "quarantined"
    if not (frame["status"] == "ok").any():
        raise _nothing(reason)
    return replace(examples, frame=frame)


def _nothing(reason: pd.Series) -> DataError:
    counts = ", ".join(f"{name} ({n})" for name, n in reason.value_counts().items())
    return DataError(
        "NO_ANSWERS",
        "model output",
        found=f"no usable answer to any image: {counts}",
        expected="finite outputs",
        fix="check the weights, the normalisation and the size of the images",
    )
