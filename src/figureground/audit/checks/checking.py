"""``check``: what is wrong with the inputs, and what this n can and cannot show. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from figureground.audit.checks.checked import Checked
from figureground.audit.checks.skimming import as_if_decoded, chosen_rows
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import default_cues
from figureground.audit.declared.outputs import declared_task
from figureground.audit.declared.target import Target
from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import MAX_LEVELS, Grouping, group_rows
from figureground.audit.judge.reach import Reach
from figureground.audit.rows.recipients import has_environment
from figureground.audit.rows.strata import by_environment, by_label
from figureground.audit.rows.training_data import TrainingData
from figureground.datasets.columns import MASK_ABSENT
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.findings import label_columns
from figureground.datasets.intake import Examples, Intake
from figureground.datasets.joining import Attributes
from figureground.datasets.normalized import Normalized
from figureground.datasets.sources import Source, open_source
from figureground.errors import UsageError

if TYPE_CHECKING:
    from figureground.audit.checks.reconciling import Recorded
    from figureground.audit.classify.subject import Subject
    from figureground.audit.explain.own import OwnMethod

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
    decoding: Decoding = PLAIN,
    looking: AuditConfig | None = None,
    own: Sequence[OwnMethod] = (),
    full: bool = False,
    attributes: Attributes | None = None,
    normalized: Normalized | None = None,
    dedupe: bool = False,
    labels: bool = True,
    train: Any = None,
) -> Checked:
    """Decode some rows, or all of them, and look up the files of the others.

    With a subject its probes run on the first usable rows that were decoded; ``looking`` says which methods explain,
    and where Grad-CAM looks, and ``own`` are methods of the caller's. Without ``labels`` every row is shown to the
    subject once, whose answers stand for them; with ``train`` the pictures of every usable row are compared with those.
    """
    policy = policy or Policy()
    if subject is not None:
        declared_task(subject.task, policy)
    known = subject.classes if subject is not None else tuple(classes or ())
    names_labels = () if policy.target is not None else known
    source = open_source(
        data,
        classes=names_labels,
        columns=columns,
        root=root,
        decoding=decoding,
        attributes=attributes,
        normalized=normalized,
        labelled=labels,
    )
    source = source if labels else _under_answers(source, subject)
    training = TrainingData.read(train, data, names_labels, columns or {})
    table = source.table()
    several = bool(label_columns(table)) if subject is None else subject.task.several
    names = known or label_columns(table) or _classes(table, policy)
    intake = Intake(
        names,
        split,
        several=several,
        uncertain=policy.uncertain,
        numbered=policy.target,
        dedupe=dedupe,
        preprocess=None if subject is None else subject.preprocess,
    )
    if not full and recorded is None:
        intake = replace(intake, decode=chosen_rows(intake.candidates(table, source.where).index))
    examples = as_if_decoded(intake(source, table), table)
    probes: tuple[document.TrustCheck, ...] = ()
    layer = None
    if subject is not None:
        from figureground.audit.checks.trial import try_model  # data alone are checked without torch

        layer, probes = try_model(subject, source, examples, recorded, policy.target, looking or AuditConfig(), own)
    grouping = group_rows(examples.frame, examples.attributes, by or policy.subgroups, levels=examples.levels)
    grey = subject is not None and subject.preprocess.channels == 1
    reach = _reach(examples, policy, grey)(cues or default_cues(examples.regions), grouping.groups)
    overlap = None if training is None else training.compare(source, examples)
    found = replace(_checked(examples, grouping, probes, layer, reach), overlap=overlap, labelled=labels)
    return found if policy.target is None else _in_unit(found, policy, policy.target)


def _under_answers(source: Source, subject: Subject | None) -> Source:
    """The source under the labels that the model itself predicts, as an audit takes it."""
    if subject is None:
        raise UsageError(
            "NO_LABELS",
            source.where,
            found="no labels, and no model",
            expected="a model whose answers stand for the labels",
            fix="name it with --model",
        )
    from figureground.audit.stages.unlabelled import PredictedLabels  # data alone are checked without torch

    return PredictedLabels.of(source, subject)


def _classes(table: pd.DataFrame, policy: Policy) -> tuple[str, ...]:
    """What is told apart, as far as the data and the policy say."""
    return tuple(sorted(set(table["label"]) - {""})) if policy.target is None else policy.target.classes


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
        decoded=int(frame["sha256"].notna().sum()),
        filtered=int((frame["status"] == "filtered").sum()),
        faults=_told(bad, "reason"),
        troubles=_told(_troubled(frame), "mask_status"),
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


def _told(rows: pd.DataFrame, why: str) -> pd.DataFrame:
    columns = {"row": rows["position"] + 2, "reason": rows[why], "detail": rows["detail"].fillna("no object in it")}
    return pd.DataFrame(columns).sort_values("row")


def _troubled(frame: pd.DataFrame) -> pd.DataFrame:
    """Usable rows that name a mask which gives nothing to measure."""
    status = frame["mask_status"].fillna(MASK_ABSENT)
    return frame[(frame["status"] == "ok") & ~status.isin(["ok", MASK_ABSENT])]


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
