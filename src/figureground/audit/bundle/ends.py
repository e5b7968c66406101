"""Bins that were cut by quantiles begin with the least and end with the greatest value: each is somebody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

_CROSSED, _BETWEEN = "*", " × "
#: Columns in which names of levels stand.
_COLUMNS = ("level", "arm", "reference")


@dataclass(frozen=True)
class Ends:
    """Names of the outermost bins, without the value that ends them.

    Attributes
    ----------
    names : mapping of str to mapping of str to str
        By attribute: what a level is called instead.
    """

    names: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, groups: Sequence[Any]) -> Ends:
        """Of the groups of a document; edges that were declared name nobody, and stay."""
        plain = {group.attribute: group for group in groups if _CROSSED not in group.attribute}
        cut = {name: group for name, group in plain.items() if group.bin_edges and ":" not in name}
        return cls({name: dict(_renamed([item.level for item in group.levels])) for name, group in cut.items()})

    def level(self, attribute: str, level: str) -> str:
        """What a level is called in what is handed over."""
        parts, levels = attribute.split(_CROSSED), level.split(_BETWEEN)
        if len(parts) != len(levels):
            return level
        return _BETWEEN.join(self.names.get(a.strip(), {}).get(b, b) for a, b in zip(parts, levels, strict=True))

    def frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A table with an attribute and levels of it."""
        if not self.names or "attribute" not in rows:
            return rows
        new = {
            name: [self._cell(a, b) for a, b in zip(rows["attribute"], rows[name], strict=True)]
            for name in _COLUMNS
            if name in rows
        }
        return rows.assign(**new)

    def _cell(self, attribute: Any, level: Any) -> Any:
        return self.level(attribute, level) if isinstance(attribute, str) and isinstance(level, str) else level

    def document(self, value: Any, attribute: str | None = None) -> Any:
        """A document, or a part of it: levels are those of the attribute that is named beside or around them."""
        if isinstance(value, list):
            return [self.document(one, attribute) for one in value]
        if not isinstance(value, dict):
            return value
        own = value.get("attribute") if isinstance(value.get("attribute"), str) else attribute
        return {name: self._field(name, one, own) for name, one in value.items()}

    def _field(self, name: str, value: Any, attribute: str | None) -> Any:
        if attribute in self.names and name == "bin_edges" and value:
            return value[1:-1] or None
        if attribute is not None and isinstance(value, str) and name in (*_COLUMNS, "group"):
            return self.level(attribute, value)
        return self.document(value, attribute)


def _renamed(levels: Sequence[str]) -> list[tuple[str, str]]:
    """The first and last bin under other names; they are written ``[low, high)``, the last ``[low, high]``."""
    bins = [level for level in levels if level.startswith("[") and ", " in level]
    if not bins:
        return []
    first, last = bins[0], bins[-1]
    if first == last:
        return [(first, "all values")]
    return [(first, f"< {first.split(', ')[1].rstrip(')]')}"), (last, f"≥ {last.split(', ')[0].lstrip('[')}")]
