"""Which backgrounds an audit contrasts: named by the data, else by the labels, else by the model itself.

An ``environment`` column wins. Without one, labels serve only where the background alone tells the labels apart: on
balanced data they are blind, since both labels have the same backgrounds. Then the model's own answers to the
backgrounds alone serve, if they populate every level. If not, no contrast of backgrounds would mean anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import torch
from torch.utils.data import default_collate

from figureground.audit.classify.subject import Subject
from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.contrast_check import check_contrast
from figureground.audit.keeping.tables import ALL
from figureground.audit.measure.scores import fit_scores
from figureground.audit.measure.transfers.background import dilation_radius
from figureground.audit.rows.strata import Source, StrataDraw, by_environment, by_label, by_prediction, usable_rows
from figureground.datasets import compose
from figureground.datasets.columns import GROUND
from figureground.datasets.datamodule import Row, RowReader, rows_of
from figureground.datasets.intake import Examples

_NO_LABELS = "no labels, no environment column, and the answers to backgrounds alone make no levels"
_UNLABELLED = "(no labels)"
_NEEDS_COLUMN = "several findings a row make no levels, and no environment column names any"


@dataclass(frozen=True)
class Levels:
    """The rows with their stratum, where it comes from, and what was checked on the way."""

    rows: pd.DataFrame = field(repr=False)
    source: Source
    checks: Sequence[TrustCheck] = ()
    costs: Sequence[document.StageCost] = ()


def choose_levels(
    subject: Subject, examples: Examples, reader: RowReader, policy: Policy, config: AuditConfig
) -> Levels:
    """The first source of levels that can carry a contrast; the last resort says that it cannot."""
    stored = examples.stored
    named = by_environment(stored)
    if named is not None:
        return Levels(named, "environment", [_check("passed", None, None)])
    labelled = by_label(stored)
    if not config.labels:
        return _without_labels(subject, examples, reader, labelled, policy, config)
    if subject.task.several:
        # Several labels a row make no levels: what goes with one finding would be taken for what goes with another.
        return Levels(labelled.assign(stratum=ALL), "label", [_check("not_run", None, _NEEDS_COLUMN)])
    if not labelled["masked"].any() or labelled["stratum"].nunique() < 2:
        return Levels(labelled, "label", [_check("not_run", None, "no environment column, and no masks to compare by")])
    auroc = _told_apart(subject, examples, reader, labelled, policy, config)
    if auroc is not None and auroc >= policy.min_contrast:
        return Levels(labelled, "label", [_check("passed", auroc, None)])
    answers, spent = background_answers(subject, examples, reader, config.batch_size)
    costs = [document.StageCost(stage="backgrounds alone", images=len(answers), forward_equivalents=float(spent))]
    answered = by_prediction(stored, answers, policy.min_clusters)
    if answered is not None:
        return Levels(answered, "prediction", [_check("passed", auroc, None)], costs)
    reason = "labels have the same backgrounds, and the model's answers to backgrounds alone leave a level empty"
    return Levels(labelled, "label", [_check("failed", auroc, reason)], costs)


def _without_labels(
    subject: Subject, examples: Examples, reader: RowReader, rows: pd.DataFrame, policy: Policy, config: AuditConfig
) -> Levels:
    """Levels from the model's answers to backgrounds alone; its answers to whole pictures would be no levels."""
    one = Levels(rows.assign(stratum=_UNLABELLED), "label", [_check("not_run", None, _NO_LABELS)])
    if not rows["masked"].any():
        return one
    answers, spent = background_answers(subject, examples, reader, config.batch_size)
    costs = [document.StageCost(stage="backgrounds alone", images=len(answers), forward_equivalents=float(spent))]
    answered = by_prediction(examples.stored, answers, policy.min_clusters)
    if answered is None:
        return replace(one, costs=costs)
    return Levels(answered, "prediction", [_check("passed", None, None)], costs)


def background_answers(
    subject: Subject, examples: Examples, reader: RowReader, batch_size: int
) -> tuple[pd.Series, int]:
    """Name of the class predicted for each masked image with its object removed, by ``row_id``; and forward passes."""
    masked = set(usable_rows(examples.stored).query("masked")["row_id"])
    rows = [row for row in rows_of(examples.usable) if row.row_id in masked]
    answers: dict[int, str] = {}
    for start in range(0, len(rows), batch_size):
        answers |= _answers(subject, rows[start : start + batch_size], reader)
    return pd.Series(answers, dtype=object), len(rows)


def _answers(subject: Subject, rows: Sequence[Row], reader: RowReader) -> dict[int, str]:
    items = default_collate([reader(row) for row in rows])
    hole = compose.dilate(items["mask"] != GROUND, dilation_radius(items["image"]))
    alone = compose.fill(items["image"], hole)
    device = next((p.device for p in subject.module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        logits = subject.module(subject.preprocess.normalize(alone).to(device)).float().cpu()
    known = torch.isfinite(logits).all(dim=1).tolist()
    best = logits.argmax(dim=1).tolist()
    return {row.row_id: subject.classes[index] for row, index, good in zip(rows, best, known, strict=True) if good}


def _told_apart(
    subject: Subject,
    examples: Examples,
    reader: RowReader,
    labelled: pd.DataFrame,
    policy: Policy,
    config: AuditConfig,
) -> float | None:
    strata = StrataDraw(policy.secondary_rows, config.seed)(labelled[labelled["masked"]], "label")
    _, scores, _ = fit_scores(subject, rows_of(examples.usable), reader, strata, [BACKGROUND], config.seed)
    found = check_contrast(scores, strata, examples.stored, BACKGROUND, policy)
    return None if found is None else found.auroc


def _check(status: str, value: float | None, reason: str | None) -> TrustCheck:
    return TrustCheck(check="strata", status=status, value=value, threshold=None, n=None, reason=reason)
