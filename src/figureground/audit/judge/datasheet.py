"""The part ``data`` of ``audit.json``: what was given, what was left out, and who is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from figureground.audit.declared.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.document import audit_json as document
from figureground.audit.judge.association import associations
from figureground.audit.judge.file_facts import duplicates, mask_troubles, read_notes
from figureground.audit.judge.grouping import Grouping
from figureground.audit.judge.mask_coverage import mask_coverage
from figureground.audit.keeping.tables import MISSING
from figureground.audit.rows.recipients import has_environment


def data_sheet(
    examples: pd.DataFrame,
    rows: pd.DataFrame,
    grouping: Grouping,
    config: AuditConfig,
    clusters_given: bool,
    source: dict[str, Any],
    policy: Policy,
    stratum_source: Any = None,
    classes: Sequence[str] = (),
) -> document.Data:
    """The whole part; ``rows`` are the usable rows with ``correct``, ``classes`` what each of them can be labelled."""
    by_status = examples["status"].value_counts()
    identity = examples.drop(columns=["path"]).astype(object).where(examples.drop(columns=["path"]).notna(), None)
    return document.Data(
        **source,
        sha256=canonical_sha256(identity.to_dict("records")),
        given=len(examples),
        ok=int(by_status.get("ok", 0)),
        quarantined=int(by_status.get("quarantined", 0)),
        filtered=int(by_status.get("filtered", 0)),
        quarantined_by_reason=_reasons(examples, "quarantined"),
        filtered_by_reason=_reasons(examples, "filtered"),
        with_mask=int(rows["object_area"].notna().sum()),
        mask_coverage=mask_coverage(rows, grouping.groups, policy),
        mask_sources=_mask_sources(rows),
        mask_troubles=mask_troubles(rows, grouping.groups),
        read_notes=read_notes(rows),
        duplicate_content=duplicates(rows),
        stratum_source=stratum_source,
        n_clusters=int(rows["cluster"].nunique()),
        clusters_given=clusters_given,
        split=config.split or ("test" if examples["split"].notna().any() else None),
        environment=(config.environment or config.columns.get("environment") or "environment")
        if has_environment(examples)
        else None,
        labelled=config.labels,
        labels={**dict.fromkeys(sorted(classes), 0), **_counts(rows["label"])},
        environments=_counts(rows["environment"].dropna()),
        groups=_groups(rows, grouping),
        not_used=list(grouping.not_used),
        composition=_composition(rows, grouping),
        associations=associations(rows, grouping.groups, policy, config.seed) if config.labels else [],
    )


def _groups(rows: pd.DataFrame, grouping: Grouping) -> list[document.Group]:
    return [
        document.Group(
            attribute=group.attribute,
            origin=group.origin,
            levels=[
                document.Level(level=level, n=int((group.values.loc[rows.index] == level).sum()))
                for level in group.levels
            ],
            bin_edges=None if group.bin_edges is None else list(group.bin_edges),
        )
        for group in grouping.groups
    ]


def _composition(rows: pd.DataFrame, grouping: Grouping) -> list[document.Cell]:
    cells = []
    for group in grouping.groups:
        values = group.values.loc[rows.index]
        for label in sorted(rows["label"].unique()):
            for level in group.levels:
                n = int(((rows["label"] == label) & (values == level)).sum())
                cells.append(document.Cell(label=label, attribute=group.attribute, level=level, n=n))
    return cells


def _reasons(examples: pd.DataFrame, status: str) -> dict[str, int]:
    return _counts(examples.loc[examples["status"] == status, "reason"])


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(name): int(n) for name, n in sorted(values.value_counts().items())}


def _mask_sources(rows: pd.DataFrame) -> dict[str, int]:
    if "mask_source" not in rows:
        return {}
    return _counts(rows.loc[rows["object_area"].notna(), "mask_source"].fillna(MISSING))
