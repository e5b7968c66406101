"""Masks for some rows only: who has one, and whether the model does as well on the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.performance import accuracy
from figureground.audit.judge.rows import as_estimate
from figureground.audit.judge.weighing import weights_of
from figureground.audit.keeping.tables import ALL

#: Attribute of the lines by label.
LABEL = "label"
UNMASKED = "no_mask_in_group"


def mask_coverage(rows: pd.DataFrame, groups: Sequence[Group], policy: Policy) -> list[document.MaskCoverage]:
    """Rows with and without an object mask: overall, by label and by level, each with its accuracy.

    Empty where all rows have a mask, or none. ``rows`` are usable rows with ``correct``.
    """
    masked = rows["object_area"].notna()
    if masked.all() or not masked.any():
        return []
    parts: list[tuple[str, str, pd.Series]] = [(ALL, ALL, pd.Series(True, index=rows.index))]
    parts += [(LABEL, str(name), rows["label"] == name) for name in sorted(rows["label"].unique())]
    for group in groups:
        values = group.values.loc[rows.index]
        parts += [(group.attribute, level, values == level) for level in group.levels]
    return [
        _covered(attribute, level, rows[member], masked[member], policy)
        for attribute, level, member in parts
        if member.any()
    ]


def without_masks(rows: pd.DataFrame, groups: Sequence[Group]) -> list[document.NotTested]:
    """Levels whose rows have no mask at all while others have: what needs masks was not tested there."""
    masked = rows["object_area"].notna()
    if not masked.any():
        return []  # said once, of every cue that needs masks
    found = []
    for group in groups:
        values = group.values.loc[rows.index]
        present = set(values)
        bare = present - set(values[masked])
        found += [
            document.NotTested(subject=f"{group.attribute} = {level}", reason=UNMASKED)
            for level in group.levels
            if level in bare
        ]
    return found


def _covered(
    attribute: str, level: str, rows: pd.DataFrame, masked: pd.Series, policy: Policy
) -> document.MaskCoverage:
    with_mask, without = (_accuracy(rows[part], policy) for part in (masked, ~masked))
    return document.MaskCoverage(
        attribute=attribute,
        level=level,
        n=len(rows),
        with_mask=int(masked.sum()),
        accuracy_with=with_mask,
        accuracy_without=without,
    )


def _accuracy(rows: pd.DataFrame, policy: Policy) -> document.Estimate:
    correct, clusters = rows["correct"].to_numpy(dtype=np.float64), rows["cluster"].to_numpy(dtype=object)
    found = accuracy(correct, clusters, 1 - policy.alpha, weights_of(rows))
    return as_estimate(found, min_clusters=policy.min_clusters, alpha=policy.alpha)
