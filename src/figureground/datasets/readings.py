"""What reading added to rows, column by column, and the names of the columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    pass

#: What is known of a row only when its files were read.
READ = (
    "status",
    "reason",
    "detail",
    "sha256",
    "mask_sha256",
    "object_area",
    "width",
    "height",
    "mask_status",
    "read_notes",
    "border",
)


@dataclass
class Readings:
    """What reading added to rows, column by column: a million small mappings would not fit."""

    positions: list[int] = field(default_factory=list)
    columns: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in READ})

    def add(self, position: int, found: Mapping[str, object]) -> None:
        """Enter what reading one row gave; what it does not say is None."""
        self.positions.append(position)
        for name, values in self.columns.items():
            values.append(found.get(name))

    def frame(self) -> pd.DataFrame:
        """One row for each position, which is its index."""
        return pd.DataFrame(self.columns, index=pd.Index(self.positions, dtype="int64"))


def completed(frame: pd.DataFrame, read: pd.DataFrame) -> pd.DataFrame:
    """The frame with what reading its rows added; null for those that were not read."""
    for name in READ:
        values = read[name] if name in read else pd.Series(None, index=read.index, dtype=object)
        if name in frame:
            frame.loc[read.index, name] = values
        else:
            frame[name] = values.reindex(frame.index)
    return frame
