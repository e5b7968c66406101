"""What is asked of each finding: how frequent it is, from which probability it counts, and what its masks are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.task import LABEL_PREFIX, Task
from figureground.audit.document import audit_json as document
from figureground.audit.judge.performance import accuracy
from figureground.audit.judge.rows import as_estimate
from figureground.audit.judge.views import View, known_labels, own_masks
from figureground.audit.judge.weighing import weights_of
from figureground.datasets.findings import is_uncertain


def asked_findings(
    examples: pd.DataFrame, seen: Sequence[View], task: Task, policy: Policy
) -> Iterator[document.AskedFinding]:
    """One for each finding of multi-label data, one for the second of two classes, none for more classes."""
    usable = examples[examples["status"] == "ok"]
    # More than two classes make one view and no finding: then nothing is asked.
    for view, finding in zip(seen, task.findings, strict=False):
        known = known_labels(usable, task, finding) if task.several else (usable["label"] == finding).astype(float)
        given = known.notna().to_numpy(dtype=bool)
        unsure = _unsure(usable, finding) if task.several else np.zeros(len(usable), dtype=bool)
        rows = usable[given]
        share = accuracy(
            np.asarray(known[given], dtype=np.float64),
            rows["cluster"].to_numpy(dtype=object),
            1 - policy.alpha,
            weights_of(rows),
        )
        yield document.AskedFinding(
            finding=finding,
            present=int((known == 1).sum()),
            absent=int((known == 0).sum()),
            uncertain=int(unsure.sum()),
            unknown=int((~given & ~unsure).sum()),
            prevalence=as_estimate(share, min_clusters=policy.min_clusters, alpha=policy.alpha),
            threshold=task.threshold(finding),
            scale="log_odds" if view.scale == "log_odds" else "decision",
            with_mask=int((usable["object_area"].notna() & given).sum()),
            masks=_masks(examples, view, finding, task),
        )


def _unsure(usable: pd.DataFrame, finding: str) -> np.ndarray:
    return usable[f"{LABEL_PREFIX}{finding}"].map(is_uncertain).to_numpy(dtype=bool)


def _masks(examples: pd.DataFrame, view: View, finding: str, task: Task) -> document.MaskUse:
    """Whose masks say what is background to this finding."""
    if not task.several:
        return "shared"
    if not view.masks_apply:
        return "none"
    return "own" if own_masks(examples, finding) is not None else "shared"
