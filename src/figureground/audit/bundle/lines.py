"""Tables with a line for each image, under pseudonyms; without what names somebody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from figureground.audit.bundle.keys import Key
from figureground.audit.declared.task import LABEL_PREFIX, MASK_PREFIX
from figureground.audit.keeping.tables import EXAMPLES

#: Columns of ids, in any table.
IDS = ("row_id", "donor_row_id")
_HASH = "sha256"
#: Columns of examples that say something about a row only where it was usable: others hold whatever the table held.
_READ = ("label", "environment", "split")


@dataclass(frozen=True)
class Pseudonyms:
    """Puts pseudonyms in place of ids.

    Attributes
    ----------
    key : Key
    attributes : tuple of str
        Columns of the user's that are kept; all others go.
    """

    key: Key = field(repr=False)
    attributes: tuple[str, ...] = ()

    def examples(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows without paths and attributes, clusters and hashes under the key, in the order of the new ids."""
        kept = [name for name in frame.columns if name in EXAMPLES.names or self._is_kept(name)]
        found = frame[kept].assign(path=None)
        found["cluster"] = _mapped(found["cluster"], lambda value: self.key.name("cluster", value))
        for name in (column for column in kept if column.endswith(_HASH)):
            found[name] = _mapped(found[name], self.key.digest)
        read = found["status"] == "ok"
        for name in (column for column in kept if column in _READ or self._is_kept(column)):
            found[name] = found[name].astype(object).where(read, None)
        return self.ids(found).sort_values("row_id", ignore_index=True)

    def _is_kept(self, name: str) -> bool:
        return name in self.attributes or name.startswith((LABEL_PREFIX, MASK_PREFIX))

    def ids(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Any table with its ids in place of those of the run; ids stay integers."""
        new = {name: _mapped(frame[name], self.key.row_id) for name in IDS if name in frame}
        return frame.assign(**{name: pd.array(values.tolist(), dtype="Int64") for name, values in new.items()})

    def arrow(self, table: pa.Table) -> pa.Table:
        """The same for a table as it was read, with all its columns as they were."""
        for name in (one for one in IDS if one in table.column_names):
            # Each id once, and the lines as places among them: as Python's integers they would take ten times as much.
            told = table[name].combine_chunks().dictionary_encode()
            new = pa.array(map(self.key.row_id, told.dictionary.to_pylist()), type=pa.int64())
            at = table.column_names.index(name)
            table = table.set_column(at, table.schema.field(at), new.take(told.indices))
        return table


def _mapped(values: pd.Series, of: Callable[[Any], Any]) -> pd.Series:
    """Each value that is there, changed; none stays none."""
    codes, known = pd.factorize(values)  # ids are repeated often, and a digest takes time
    new = np.array([*map(of, known.tolist()), None], dtype=object)  # the last one, at -1, is what is missing
    return pd.Series(new[codes], index=values.index, dtype=object)
