"""A table of attributes beside the data, joined by key: many rows to one entry, and never a row more."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from figureground.datasets import manifest
from figureground.errors import ManifestError, UsageError

_TOLD = 3


@dataclass(frozen=True)
class Attributes:
    """Entries that rows of the data refer to by a key, such as what is known of each patient.

    Attributes
    ----------
    where : str
        What errors call the table.
    on : str
        Column of the key, here and in the data.
    frame : pandas.DataFrame
        Strings, one line an entry.
    sha256 : str or None
        Of the file; None for a frame in memory.
    """

    where: str
    on: str
    frame: pd.DataFrame = field(repr=False)
    sha256: str | None = None

    @classmethod
    def read(cls, given: str | Path | pd.DataFrame | None, on: str | None) -> Attributes | None:
        """The table, or None where none was given.

        Raises
        ------
        UsageError
            ``ATTRIBUTES``: one of the two was given without the other.
        ManifestError
            No such column, an empty key, or a key of two entries.
        """
        if given is None and on is None:
            return None
        if given is None or on is None:
            raise UsageError(
                "ATTRIBUTES",
                "attributes",
                found="a key without a table" if given is None else "a table without a key",
                expected="a table of attributes and the column that joins it to the data",
                fix="give both: --attributes FILE --on COLUMN",
            )
        if isinstance(given, pd.DataFrame):
            return cls("attributes", on, manifest.as_strings(given))._checked()
        path = manifest.find_manifest(Path(given))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(str(path), on, manifest.read_manifest(path), digest)._checked()

    def _checked(self) -> Attributes:
        _check_column(self.frame, self.on, self.where)
        keys = self.frame[self.on]
        for wrong, found, fix in (
            (keys == "", "an empty key", "give every entry a key"),
            (
                keys.duplicated(),
                "a key of two entries",
                "keep one entry for each key: which one is right is not guessed",
            ),
        ):
            if wrong.any():
                at = int(keys.index[wrong][0])
                told = f"{found}, {keys[at]!r}" if keys[at] else found
                raise ManifestError(
                    "ATTRIBUTES_KEY",
                    f"{self.where}:{at + 2}:{self.on}",
                    found=f"{told} ({int(wrong.sum())} rows)",
                    expected="one entry for each key",
                    fix=fix,
                )
        return self

    def __call__(self, table: pd.DataFrame, where: str) -> pd.DataFrame:
        """The data with the columns of the entries; cells of rows whose key has no entry are empty.

        Parameters
        ----------
        table : pandas.DataFrame
            Strings, with the column of the key.
        where : str
            What errors call it.

        Raises
        ------
        ManifestError
            There is no such column, a column is in both tables, or no row finds an entry.
        """
        _check_column(table, self.on, where)
        self._check_apart(table, where)
        entries = self.frame.set_index(self.on)
        joined = table.join(entries, on=self.on, validate="many_to_one").fillna(dict.fromkeys(entries.columns, ""))
        if not self.matched(table).any():
            raise self._no_match(table, where)
        joined.attrs.update(table.attrs)
        return manifest.declare_levels(joined, manifest.levels_of(self.frame) | manifest.levels_of(table))

    def matched(self, table: pd.DataFrame) -> pd.Series:
        """bool, index of the table: rows whose key has an entry."""
        return table[self.on].isin(self.frame[self.on])

    def record(self, table: pd.DataFrame) -> dict[str, Any]:
        """What was joined to the data, for the report."""
        found = self.matched(table)
        return {
            "on": self.on,
            "columns": [name for name in self.frame.columns if name != self.on],
            "sha256": self.sha256,
            "entries": len(self.frame),
            "unused": int((~self.frame[self.on].isin(table[self.on])).sum()),
            "matched": int(found.sum()),
            "unmatched": int((~found).sum()),
        }

    def _check_apart(self, table: pd.DataFrame, where: str) -> None:
        both = [name for name in self.frame.columns if name in table.columns and name != self.on]
        if both:
            raise ManifestError(
                "ATTRIBUTES_COLUMN",
                f"{self.where}:{both[0]}",
                found=f"a column that {where} has as well",
                expected="columns that the data does not have",
                fix="rename or drop it in one of the two tables",
            )

    def _no_match(self, table: pd.DataFrame, where: str) -> ManifestError:
        here, there = (", ".join(map(repr, keys.unique()[:_TOLD])) for keys in (table[self.on], self.frame[self.on]))
        return ManifestError(
            "ATTRIBUTES_MATCH",
            f"{self.where}:{self.on}",
            found=f"no key that {where} has: {there} here, {here} there",
            expected="the same keys, as they are written: 7, 07 and 7.0 are three",
            fix="write the keys of both tables alike",
        )


def _check_column(frame: pd.DataFrame, on: str, where: str) -> None:
    if on in frame.columns:
        return
    near = get_close_matches(on, list(frame.columns), n=1)
    raise ManifestError(
        "ATTRIBUTES_COLUMN",
        where,
        found=f"columns {', '.join(map(repr, frame.columns))}",
        expected=f"a column named {on}, which joins the two tables",
        fix=f"did you mean --on {near[0]}?" if near else "name the column of the key: --on COLUMN",
    )
