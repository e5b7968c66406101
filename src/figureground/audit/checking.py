"""``check``: what is wrong with the inputs, and what this n can and cannot show. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch.utils.data import default_collate

from figureground.audit import document
from figureground.audit.checked import Checked
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import Subject, evaluating
from figureground.audit.config import Policy
from figureground.audit.cues import default_cues
from figureground.audit.declaring import declared_task
from figureground.audit.explain.layers import choose_layer
from figureground.audit.judge.grouping import MAX_LEVELS, Grouping, group_rows
from figureground.audit.judge.reach import Reach
from figureground.audit.recipients import has_environment
from figureground.audit.reconciling import Reconcile, Recorded, not_reconciled
from figureground.audit.strata import by_environment, by_label
from figureground.audit.target import Target
from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.findings import label_columns
from figureground.datasets.intake import Examples, Intake
from figureground.datasets.joining import Attributes
from figureground.datasets.normalized import Normalized
from figureground.datasets.sources import open_source

#: t(0.975) + t(0.8) for many units: the smallest effect found with power 0.8 is this many standard errors.
POWER_FACTOR = 2.80
#: A swap changes at most about a quarter of a usable model's answers: standard deviation of a difference in {-1, 0, 1}.
TYPICAL_SPREAD = 0.5


def check(
    data: Any,
    subject: Subject | None = None,
    *,
    classes: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    by: Sequence[str] | None = None,
    root: Path | None = None,
    split: str | None = None,
    cues: Sequence[str] | None = None,
    policy: Policy | None = None,
    recorded: Recorded | None = None,
    attributes: Attributes | None = None,
    normalized: Normalized | None = None,
    dedupe: bool = False,
) -> Checked:
    """Read all rows; with a subject also run its probes on the first usable rows."""
    policy = policy or Policy()
    if subject is not None:
        declared_task(subject.task, policy)
    known = subject.classes if subject is not None else tuple(classes or ())
    names_labels = () if policy.target is not None else known
    source = open_source(
        data, classes=names_labels, columns=columns, root=root, attributes=attributes, normalized=normalized
    )
    table = source.table()
    several = bool(label_columns(table)) if subject is None else subject.task.several
    names = known or label_columns(table) or _classes(table, policy)
    intake = Intake(names, split, several=several, uncertain=policy.uncertain, numbered=policy.target, dedupe=dedupe)
    examples = intake(source, table)
    probes: tuple[document.TrustCheck, ...] = ()
    layer = None
    if subject is not None:
        reader = RowReader(source, subject.preprocess, subject.classes)
        layer, probes = _probe(subject, examples, reader)
        told = not_reconciled() if recorded is None else Reconcile(subject, source, recorded, policy.target)(examples)
        probes = (*probes, told)
    grouping = group_rows(examples.frame, examples.attributes, by or policy.subgroups, levels=examples.levels)
    grey = subject is not None and subject.preprocess.channels == 1
    reach = _reach(examples, policy, grey)(cues or default_cues(examples.regions), grouping.groups)
    found = _checked(examples, grouping, probes, layer, reach)
    return found if policy.target is None else _in_unit(found, policy, policy.target)


def _classes(table: pd.DataFrame, policy: Policy) -> tuple[str, ...]:
    """What is told apart, as far as the data and the policy say."""
    return tuple(sorted(set(table["label"]) - {""})) if policy.target is None else policy.target.classes


def _probe(subject: Subject, examples: Examples, reader: RowReader) -> tuple[str, tuple[document.TrustCheck, ...]]:
    rows = rows_of(examples.usable.head(4))
    sample = subject.preprocess.normalize(default_collate([reader(row) for row in rows])["image"])
    with evaluating(subject.module):
        layer = choose_layer(subject.module, sample[:1])
        return layer, tuple(check_auditable(subject, sample, layer))


def _reach(examples: Examples, policy: Policy, grey: bool) -> Reach:
    strata = _compared(examples).assign(source="environment" if has_environment(examples.stored) else "label")
    return Reach(policy, examples.frame, strata, examples.regions, grey)


def _compared(examples: Examples) -> pd.DataFrame:
    """Usable rows with the level that they would stand for, as far as the data alone says."""
    named = by_environment(examples.stored)
    return by_label(examples.stored) if named is None else named


def _checked(
    examples: Examples,
    grouping: Grouping,
    probes: tuple[document.TrustCheck, ...],
    layer: str | None,
    reach: pd.DataFrame,
) -> Checked:
    frame = examples.frame
    rows = _compared(examples)
    rows = rows[rows["masked"]]
    levels = {str(level): int(n) for level, n in rows["stratum"].value_counts().sort_index().items()}
    bad = frame[frame["status"] == "quarantined"]
    n = rows["cluster"].nunique()
    return Checked(
        given=len(frame),
        ok=int((frame["status"] == "ok").sum()),
        quarantined=len(bad),
        filtered=int((frame["status"] == "filtered").sum()),
        faults=pd.DataFrame({"row": bad["position"] + 2, "reason": bad["reason"], "detail": bad["detail"]}).sort_values(
            "row"
        ),
        grouping=grouping,
        masked=int(examples.usable["object_area"].notna().sum()),
        clusters=int(examples.usable["cluster"].nunique()),
        stratum=None if len(levels) < 2 else "environment" if has_environment(examples.stored) else "label",
        levels=levels,
        smallest_effect=POWER_FACTOR * TYPICAL_SPREAD / n**0.5 if len(levels) > 1 else None,
        probes=probes,
        layer=layer,
        repeating={} if examples.clusters_given else _repeating(examples),
        reach=reach,
    )


def _in_unit(found: Checked, policy: Policy, target: Target) -> Checked:
    """The smallest effect as the same multiple of the material one."""
    share = found.smallest_effect
    effect = None if share is None else share / policy.delta_material * target.material
    return replace(found, target=target, smallest_effect=effect)


def _repeating(examples: Examples) -> dict[str, int]:
    """Columns that could name the independent unit: more values than a subgroup has, fewer than rows, no decimals."""
    rows = examples.usable
    counts = {name: int(rows[name].nunique()) for name in examples.attributes}
    return {
        name: count
        for name, count in counts.items()
        if MAX_LEVELS < count < len(rows) and not rows[name].str.contains(r"^-?\d*\.\d+$").any()
    }
