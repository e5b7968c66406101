"""A run as the judge sees it: as it is, or, for several findings, once for each as a question of yes or no."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from figureground.audit.declared.cues import cue_spec, is_known
from figureground.audit.declared.task import LABEL_PREFIX, MASK_PREFIX, Task, named
from figureground.audit.judge.effects import Scale
from figureground.audit.judge.weighing import weights_of
from figureground.datasets.findings import Uncertain, check_uncertain, read_cell


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
        difference is the log-odds but for a constant. Of two classes with a threshold: their logits, the second one
        lowered by the log-odds of the threshold. Of a number: ``[0, distance from the cut]``.
    classes : tuple of str
    scale : {"decision", "log_odds", "native"}
        Native where the answer is a number. Log-odds where the finding, or the model's call of it, is so rare that
        decisions hardly move.
    left_out : int
        Usable rows whose label for this finding is uncertain or missing.
    masks_apply : bool
        Whether what lies outside the masks is background to this finding.
    clusters : pandas.Series or None
        Of a finding: cluster of every row by ``row_id``, because rows that are not asked may lend; None: of the
        examples.
    """

    finding: str | None
    examples: pd.DataFrame = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    scale: Scale
    left_out: int = 0
    masks_apply: bool = True
    clusters: pd.Series | None = field(default=None, repr=False)

    def testable(self, cues: Sequence[str]) -> tuple[str, ...]:
        """The cues that can be tested for this finding: those that need a mask only where the masks are of it."""
        return tuple(cue for cue in cues if self.masks_apply or not cue_spec(cue).needs_mask)

    def attributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of ``attributions`` that explain this finding; all of them where there are no findings."""
        return table if self.finding is None else table[table["target"] == self.finding]


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
    if task.several:
        for index, finding in enumerate(task.classes):
            yield _of_finding(examples, predictions, task, index, finding, rare_share)
        return
    if task.scalar:
        yield View(None, examples, _at_threshold(predictions, _difference(predictions)), task.classes, "native")
        return
    scale: Scale = "decision"
    if task.findings:
        offset = task.offset(task.classes[1])
        predictions = predictions if offset == 0 else _at_threshold(predictions, _difference(predictions) - offset)
        scale = "log_odds" if _rare(examples, predictions, task.classes, rare_share) else "decision"
    yield View(None, examples, predictions, task.classes, scale)


def known_labels(examples: pd.DataFrame, task: Task, finding: str) -> pd.Series:
    """1.0 present, 0.0 absent, NaN where the label of a finding is missing or is left out as uncertain.

    Raises :class:`UsageError` where a label is uncertain and nobody has decided what that counts as.
    """
    check_uncertain(examples, [finding], task.uncertain, "examples")
    return examples[f"{LABEL_PREFIX}{finding}"].map(lambda cell: _read(cell, task.uncertain)).astype(float)


def _read(cell: object, uncertain: Uncertain | None) -> float:
    try:
        return read_cell(cell, uncertain)
    except ValueError:  # of a row that was set aside at the door for it, or was not wanted
        return np.nan


def own_masks(examples: pd.DataFrame, finding: str) -> pd.Series | None:
    """Whether each row has a mask of its own for a finding; None where the data has no such masks."""
    name = f"{MASK_PREFIX}{finding}"
    return examples[name].fillna("").ne("") if name in examples else None


def _of_finding(
    examples: pd.DataFrame, predictions: pd.DataFrame, task: Task, index: int, finding: str, rare_share: float
) -> View:
    present = known_labels(examples, task, finding)
    known = present.notna()
    classes = (named(finding, False), named(finding, True))
    rows = examples[known].assign(label=np.where(present[known] == 1, classes[1], classes[0]))
    kept = predictions[predictions["row_id"].isin(rows["row_id"])]
    asked = _at_threshold(kept, _logit(kept, index) - task.offset(finding))
    own, shared = own_masks(examples, finding), finding in task.background_findings
    if own is None and not shared:
        asked = asked[~asked["cue"].map(_needs_mask).astype(bool)]
    elif own is not None and not shared:
        # A finding outside its picture's masks would be exchanged with the background, or lent with it.
        loose = examples.loc[~own & (present != 0), "row_id"]
        touched = asked["row_id"].isin(loose) | asked["donor_row_id"].isin(loose)
        asked = asked[~(asked["cue"].map(_needs_mask).astype(bool) & touched)]
    scale: Scale = "log_odds" if _rare(rows, asked, classes, rare_share) else "decision"
    left_out = int(((examples["status"] == "ok") & ~known).sum())
    clusters = examples.set_index("row_id")["cluster"]
    return View(finding, rows, asked, classes, scale, left_out, own is not None or shared, clusters)


def _needs_mask(cue: str) -> bool:
    return is_known(cue) and cue_spec(cue).needs_mask


def _logit(predictions: pd.DataFrame, index: int) -> np.ndarray:
    """The logit of one finding, float64 ``[N]``; NaN where the model gave none."""
    return np.array([np.nan if logits is None else float(logits[index]) for logits in predictions["logits"]])


def _difference(predictions: pd.DataFrame) -> np.ndarray:
    """Second logit minus first, float64 ``[N]``: the log-odds of the second of two classes."""
    return np.asarray(_logit(predictions, 1) - _logit(predictions, 0))


def _at_threshold(predictions: pd.DataFrame, z: np.ndarray) -> pd.DataFrame:
    """The rows with the two logits ``[0, z]``: the larger one is the decision."""
    known = np.isfinite(z)
    pairs = [[0.0, value] if ok else None for value, ok in zip(z, known, strict=True)]
    called = pd.array(np.where(known, z >= 0, 0).astype(np.int64), dtype="Int32")
    called[~known] = pd.NA
    return predictions.assign(
        logits=pd.Series(pairs, index=predictions.index, dtype=object),
        logsumexp=np.where(known, np.logaddexp(0.0, np.where(known, z, 0.0)), np.nan),
        predicted=called,
        classes=pd.Series([None] * len(predictions), index=predictions.index, dtype=object),
    )


def _rare(examples: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...], rare_share: float) -> bool:
    usable = examples[examples["status"] == "ok"]
    base = predictions[predictions["intervention"] == "none"].set_index("row_id")["predicted"]
    answers = base.reindex(usable["row_id"]).to_numpy(dtype=np.float64, na_value=np.nan)
    known, weights = np.isfinite(answers), weights_of(usable)
    if not known.any():
        return False
    # By design weight: a draw takes more than their share of the rare ones.
    present = float(np.average(usable["label"] == classes[1], weights=weights))
    called = float(np.average(answers[known] == 1, weights=None if weights is None else weights[known]))
    return bool(min(present, 1 - present, called, 1 - called) < rare_share)
