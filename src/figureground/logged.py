"""What an audit says, as numbers and files for the logger of a training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figureground.audit.document.audit_json import AuditDocument, CueVerdict, State

PREFIX = "figureground"
#: A state as a number, the worse the higher. A chart can show no words.
STATUS: dict[State, int] = {
    "not_detected": 0,
    "not_tested": 1,
    "inconclusive": 2,
    "suspected": 3,
    "error": 4,
    "demonstrated": 5,
}
WORST = "worst_group_accuracy"
_REPORT = "report.en.html"


@dataclass(frozen=True)
class Outcome:
    """What the audit of one epoch came to, as it is told to every process.

    Attributes
    ----------
    metrics : dict of str to float
        By fixed keys; NaN where there is no number.
    exit_code : int
        As on the command line: 0, 1 where a finding fails the policy, 3 where a required cue could not be assessed.
    run : str
        The run folder.
    shown : tuple of str
        Cues that are demonstrated.
    error : Exception or None
        Why there is no audit.
    """

    metrics: dict[str, float]
    exit_code: int
    run: str
    shown: tuple[str, ...] = ()
    error: Exception | None = None


def metrics_of(document: AuditDocument) -> dict[str, float]:
    """``figureground/<cue>/{estimate,ci_low,ci_high,status}`` and the accuracy of the worst group.

    Estimates are on the scale of each cue, as in ``audit.json``. With several findings the name of the finding stands
    before that of the cue.
    """
    found: dict[str, float] = {}
    for cue in document.verdict.cues:
        found |= _of_cue(cue)
    for part in (document.performance, *document.performance.others):
        worst = part.worst_group
        found[_key(part.finding, WORST)] = math.nan if worst is None else _number(worst.accuracy.estimate)
    return found


def unknown_metrics(cues: Sequence[str]) -> dict[str, float]:
    """The same keys where no audit was had: the state ``error``, and no numbers."""
    numbers = {_key(cue, name): math.nan for cue in cues for name in ("estimate", "ci_low", "ci_high")}
    return {**numbers, **{_key(cue, "status"): float(STATUS["error"]) for cue in cues}, _key(WORST): math.nan}


def send_report(logger: Any, run: Path, name: str) -> bool:
    """Hand the report to a logger that keeps files: Weights & Biases as an artifact, MLflow as a file of the run.

    Both are known by the names of Lightning's own loggers, so that neither package is needed here. Returns whether the
    logger was one of them.

    Parameters
    ----------
    logger : Logger
        Of either Lightning namespace.
    run : Path
        A finished run without pictures.
    name : str
        Of the artifact, or of the folder that it goes to.
    """
    names = {base.__name__ for base in type(logger).__mro__}
    report = run / _REPORT
    if not report.is_file():
        return False
    if "WandbLogger" in names:
        logger.experiment.log_artifact(str(report), name=name, type="report")
    elif "MLFlowLogger" in names:
        logger.experiment.log_artifact(logger.run_id, str(report), artifact_path=name)
    else:
        return False
    return True


def _of_cue(cue: CueVerdict) -> dict[str, float]:
    numbers = {name: _number(getattr(cue, name)) for name in ("estimate", "ci_low", "ci_high")}
    numbers["status"] = float(STATUS[cue.status])
    return {_key(cue.finding, cue.cue, name): value for name, value in numbers.items()}


def _key(*parts: str | None) -> str:
    return "/".join((PREFIX, *(part for part in parts if part is not None)))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
