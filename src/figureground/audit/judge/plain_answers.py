"""What the model said to every plain intervention, beside what it said to the unchanged picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.plain import INTERVENTIONS

Reals = npt.NDArray[np.float64]
_KEY = ["intervention", "part", "dose"]


@dataclass(frozen=True)
class PlainAnswers:
    """One line per row of the sample and intervention.

    Attributes
    ----------
    lines : pandas.DataFrame
        ``row_id``, ``cluster``, ``label``, ``intervention``, ``part``, ``dose``, ``status``; ``correct`` and
        ``own_correct`` (1.0 or 0.0, changed and unchanged picture), ``changed`` (1.0: another answer), and ``drop``, by
        how much the probability of the class that is predicted for the unchanged picture falls, in [-1, 1]. NaN where
        the picture is no test, with its ``status``. Where the answer is a number, ``changed`` is 1.0 where it moves by
        the material effect, and ``drop`` is by how much it moves, in its own unit and without sign.
    """

    lines: pd.DataFrame = field(repr=False)

    def of(self, intervention: str, part: str, dose: float) -> pd.DataFrame:
        """Lines of one intervention by ``row_id``; empty where it was not run."""
        lines = self.lines
        chosen = (lines["intervention"] == intervention) & (lines["part"] == part)
        return lines[chosen & np.isclose(lines["dose"], dose)].set_index("row_id").sort_index()


def plain_answers(
    examples: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], least: float | None = None
) -> PlainAnswers:
    """Join the plain interventions with the unchanged pictures and the labels.

    Parameters
    ----------
    examples, predictions : pandas.DataFrame
        Tables of a run, or of a view of it.
    classes : sequence of str
        Names in the order of the model.
    least : float or None
        The answer is a number, and moving by this much changes it, in its own unit; None: it is a class.
    """
    given = predictions[predictions["intervention"].isin(INTERVENTIONS)]
    given = given[given["row_id"].isin(examples["row_id"])].sort_values(["row_id", *_KEY])
    own = predictions[predictions["intervention"] == "none"].set_index("row_id")
    known = examples.set_index("row_id")
    ids = given["row_id"].to_numpy()
    label = known["label"].reindex(ids).map({name: at for at, name in enumerate(classes)}).to_numpy(dtype=np.float64)
    first = _as_floats(own["predicted"].reindex(ids))
    now = _as_floats(given["predicted"])
    lines = given[["row_id", *_KEY, "status"]].reset_index(drop=True)
    drop = _probability(own.reindex(ids), first) - _probability(given, first)
    changed = now != first
    if least is not None:
        drop = np.abs(_distance(given) - _distance(own.reindex(ids)))
        changed = drop >= least
    missing = np.isnan(first) | np.isnan(now)
    lines["status"] = np.where(np.isnan(first) & (lines["status"] == "ok"), "not_finite", lines["status"])
    return PlainAnswers(
        lines.assign(
            cluster=known["cluster"].reindex(ids).to_numpy(dtype=object),
            label=known["label"].reindex(ids).to_numpy(dtype=object),
            correct=np.where(missing, np.nan, now == label),
            own_correct=np.where(missing, np.nan, first == label),
            changed=np.where(missing, np.nan, changed),
            drop=drop,
        )
    )


def _as_floats(column: pd.Series) -> Reals:
    """Class indices; NaN where there is no prediction."""
    return np.array([np.nan if pd.isna(value) else float(value) for value in column], dtype=np.float64)


def _probability(rows: pd.DataFrame, wanted: Reals) -> Reals:
    """Softmax probability of the class ``wanted`` in every row; NaN where its logit was not kept."""
    columns = (rows[name] for name in ("logits", "classes", "logsumexp"))
    return np.array([_one(*values) for values in zip(*columns, wanted, strict=True)], dtype=np.float64)


def _distance(rows: pd.DataFrame) -> Reals:
    """A number's distance from the cut: the second logit minus the first."""
    known = (isinstance(pair, list | tuple | np.ndarray) for pair in rows["logits"])
    pairs = zip(rows["logits"], known, strict=True)
    return np.array([float(pair[1]) - float(pair[0]) if ok else np.nan for pair, ok in pairs], dtype=np.float64)


def _one(logits: Any, classes: Any, logsumexp: float, wanted: float) -> float:
    if not isinstance(logits, list | tuple | np.ndarray) or np.isnan(wanted) or pd.isna(logsumexp):
        return np.nan
    kept = list(classes) if isinstance(classes, list | tuple | np.ndarray) else list(range(len(logits)))
    if int(wanted) not in kept:
        return np.nan
    return float(np.exp(float(logits[kept.index(int(wanted))]) - float(logsumexp)))
