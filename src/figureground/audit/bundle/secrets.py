"""Values of the data that name somebody, so that none of them stands in what is handed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pandas as pd

from figureground.audit.bundle.families import Hidden
from figureground.audit.result import AuditResult
from figureground.audit.tables import EXAMPLES, MISSING
from figureground.audit.task import LABEL_PREFIX, MASK_PREFIX


def secrets_of(run: AuditResult, hidden: Hidden, kept: Sequence[str] = ()) -> frozenset[str]:
    """Paths, clusters, hashes and ids of rows; cells of columns that make no subgroups; names of hidden levels.

    Names that are shown for another reason, of classes and of shown levels, are none.
    """
    examples = run.examples
    found = {level for _, level in hidden.levels} | set(_paths(examples["path"]))
    for name in ("row_id", "cluster", *(one for one in examples.columns if one.endswith("sha256"))):
        found |= set(examples[name].dropna().astype(str))
    for name in examples.columns:
        own = name not in EXAMPLES.names and not name.startswith((LABEL_PREFIX, MASK_PREFIX)) and name not in kept
        found |= set(examples[name].dropna().astype(str)) if own else set()
    return frozenset(found - _shown(run, hidden) - {""})


def _paths(paths: pd.Series) -> list[str]:
    given = list(paths.dropna().astype(str))
    return [*given, *(PurePosixPath(path).name for path in given), *(PurePosixPath(path).stem for path in given)]


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
