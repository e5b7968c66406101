"""Values of the data that name somebody, so that none of them stands in what is handed over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from figureground.audit.bundle.families import Hidden
from figureground.audit.declared.task import LABEL_PREFIX, MASK_PREFIX
from figureground.audit.keeping.result import AuditResult
from figureground.audit.keeping.tables import EXAMPLES, MISSING

_BETWEEN = re.compile(r"[\s,;:=/×*()\[\]|+]+")
#: A word of fewer letters is found in any text; it is a name only where it is all of it.
_SHORT = 4


@dataclass(frozen=True)
class Secrets:
    """Values that name somebody, found again in texts.

    Attributes
    ----------
    values : frozenset of str
    """

    values: frozenset[str]

    @cached_property
    def _by_word(self) -> dict[str, list[str]]:
        """Values by their first word, so that a text is compared with few of many."""
        found: dict[str, list[str]] = {}
        for value in self.values:
            if len(value) >= _SHORT:
                found.setdefault(next(filter(None, _BETWEEN.split(value)), ""), []).append(value)
        return found

    def stand_in(self, text: str) -> bool:
        """Whether a text is one of the values, or holds one as a word or as words."""
        words = {word.strip(".\"'") for word in _BETWEEN.split(text)}
        near = (value for word in (*words, *_BETWEEN.split(text)) for value in self._by_word.get(word, ()))
        return text in self.values or any(_holds(text, value) for value in near)


def _holds(text: str, value: str) -> bool:
    """Whether a value stands in a text, and is not a part of a longer word there."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def secrets_of(run: AuditResult, hidden: Hidden, kept: Sequence[str] = ()) -> Secrets:
    """Paths, clusters, hashes and ids of rows; cells of columns that make no subgroups; names of hidden levels.

    Names that are shown for another reason, of classes and of shown levels, are none.
    """
    examples = run.examples
    found = {level for _, level in hidden.levels} | set(_paths(examples["path"]))
    for name in ("row_id", "cluster", *(one for one in examples.columns if one.endswith("sha256"))):
        found |= _told(examples[name])
    for name in examples.columns:
        own = name not in EXAMPLES.names and not name.startswith((LABEL_PREFIX, MASK_PREFIX)) and name not in kept
        found |= _told(examples[name]) if own else set()
    return Secrets(frozenset(found - _shown(run, hidden) - {""}))


def _told(cells: pd.Series) -> set[str]:
    return set(map(str, cells.dropna().unique().tolist()))


def _paths(paths: pd.Series) -> list[str]:
    given = paths.dropna().astype(str).tolist()
    names = [_name(path) for path in given]
    return [*given, *names, *map(_stem, names)]


def _name(path: str) -> str:
    """As the ``name`` of pathlib, which takes ten times as long for it, and a run may have millions of paths."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts[-1] if parts else ""


def _stem(name: str) -> str:
    at = name.rfind(".")
    return name[:at] if 0 < at < len(name) - 1 else name


def _shown(run: AuditResult, hidden: Hidden) -> set[str]:
    document = run.document
    levels = {
        level.level
        for group in document.data.groups
        for level in group.levels
        if not hidden.hides(group.attribute, level.level)
    }
    environments = {name for name in document.data.environments if not hidden.hides("environment", name)}
    return {*document.subject.classes, *document.data.labels, *levels, *environments, MISSING}
