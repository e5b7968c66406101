"""A run as the judge sees it: as it is, or, for several findings, once for each as a question of yes or no."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log

import numpy as np
import pandas as pd

from figureground.audit.judge.effects import Scale
from figureground.audit.task import ABSENT, LABEL_PREFIX, PRESENT, Task


@dataclass(frozen=True)
class View:
    """Tables that the judge reads.

    Attributes
    ----------
    finding : str or None
        None for the run as it is.
    examples, predictions : pandas.DataFrame
        Of a finding: rows whose label for it is known, with the labels ``no <finding>`` and ``<finding>``, and two
        logits ``[0, z - logit(threshold)]``, so that the larger one is the decision at the threshold and their
        difference is the log-odds but for a constant.
    classes : tuple of str
    scale : {"decision", "log_odds"}
        Log-odds where the finding, or the model's call of it, is so rare that decisions hardly move.
    left_out : int
        Usable rows whose label for this finding is uncertain or missing.
    """

    finding: str | None
    examples: pd.DataFrame = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    scale: Scale
    left_out: int = 0


def views(examples: pd.DataFrame, predictions: pd.DataFrame, task: Task, rare_share: float = 0.10) -> Iterator[View]:
    """One view for classes, one for each finding of multi-label data.

    Parameters
    ----------
    examples, predictions : pandas.DataFrame
        Tables of a run.
    task : Task
    rare_share : float
        Findings present or called present in a smaller share of the rows are judged on the log-odds scale: an odds
        ratio of 5 at a prevalence of 1 % moves a probability by 0.04 only. So is a binary model whose rarer class is.
    """
    if task.kind == "multilabel":
        for index, finding in enumerate(task.classes):
            yield _of_finding(examples, predictions, task, index, finding, rare_share)
        return
    scale: Scale = "decision"
    if len(task.classes) == 2 and _rare(examples, predictions, task.classes, rare_share):
        scale = "log_odds"
    yield View(None, examples, predictions, task.classes, scale)


def _of_finding(
    examples: pd.DataFrame, predictions: pd.DataFrame, task: Task, index: int, finding: str, rare_share: float
) -> View:
    given = examples[f"{LABEL_PREFIX}{finding}"]
    known = given.isin([PRESENT, ABSENT])
    classes = (f"no {finding}", finding)
    rows = examples[known].assign(label=np.where(given[known] == PRESENT, classes[1], classes[0]))
    cut = task.threshold(finding)
    kept = predictions[predictions["row_id"].isin(rows["row_id"])]
    asked = _as_binary(kept, index, log(cut / (1 - cut)))
    scale: Scale = "log_odds" if _rare(rows, asked, classes, rare_share) else "decision"
    left_out = int(((examples["status"] == "ok") & ~known).sum())
    return View(finding, rows, asked, classes, scale, left_out)


def _as_binary(predictions: pd.DataFrame, index: int, cut: float) -> pd.DataFrame:
    z = np.array([np.nan if logits is None else float(logits[index]) - cut for logits in predictions["logits"]])
    known = np.isfinite(z)
    pairs = [[0.0, value] if ok else None for value, ok in zip(z, known, strict=True)]
    called = pd.array(np.where(known, z >= 0, 0).astype(np.int64), dtype="Int32")
    called[~known] = pd.NA
    return predictions.assign(
        logits=pd.Series(pairs, index=predictions.index, dtype=object),
        logsumexp=np.where(known, np.logaddexp(0.0, np.where(known, z, 0.0)), np.nan),
        predicted=called,
        classes=pd.Series(None, dtype=object),
    )


def _rare(examples: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...], rare_share: float) -> bool:
    usable = examples[examples["status"] == "ok"]
    present = (usable["label"] == classes[1]).mean()
    answers = predictions.loc[predictions["intervention"] == "none", "predicted"].dropna()
    if usable.empty or answers.empty:
        return False
    called = float((answers == 1).mean())
    return bool(min(present, 1 - present, called, 1 - called) < rare_share)
