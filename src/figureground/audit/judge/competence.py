"""Is the model better than a guess, overall or where a cue helps it? A model that guesses relies on nothing.

On the decision scale that is accuracy against always naming the commonest label. A finding that is so rare that it is
judged on log-odds is hardly ever called at all, so that accuracy says nothing: there it is the area under the ROC
curve against 0.5. So it is for a number, which must tell images of the one side of the cut from those of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from figureground.audit.judge.effects import UNBOUNDED
from figureground.audit.judge.intervals import FloatArray
from figureground.audit.judge.views import View
from figureground.audit.judge.weighing import weights_of


@dataclass(frozen=True)
class Competence:
    """How good a model is, and what a guess would reach.

    Attributes
    ----------
    measure : {"accuracy", "auroc"}
    overall, guess : float
        In [0, 1].
    aligned : float
        Within the best alignment of labels with environments: a fully reliant model is competent there only.
    """

    measure: Literal["accuracy", "auroc"]
    overall: float
    guess: float
    aligned: float

    @property
    def best(self) -> float:
        """Overall or aligned, whichever is larger."""
        return max(self.overall, self.aligned)


def competence(rows: pd.DataFrame, view: View) -> Competence:
    """Of scored ``rows``, as :func:`~.performance.scored` gives them for this view."""
    if not rows["correct"].notna().any():  # no label, or no finite answer: whether it guesses cannot be known
        return Competence("accuracy", np.nan, np.nan, np.nan)
    if view.scale in UNBOUNDED:
        ranked = rows.assign(score=_scores(rows, view), present=rows["label"] == view.classes[1])
        ranked = ranked[ranked["score"].notna()]
        return Competence("auroc", _auroc(ranked), 0.5, _aligned_auroc(ranked))
    weights = weights_of(rows)
    shares = [_share((rows["label"] == label).astype(float), weights) for label in rows["label"].unique()]
    return Competence(
        "accuracy", _share(rows["correct"], weights), max(shares, default=np.nan), _aligned_accuracy(rows)
    )


def _share(values: pd.Series, weights: FloatArray | None) -> float:
    """Mean of the values that are known, by design weight."""
    known = values.notna().to_numpy()
    if not known.any():
        return np.nan
    kept = values[known].to_numpy(dtype=np.float64)
    return float(np.average(kept, weights=None if weights is None else weights[known]))


def _scores(rows: pd.DataFrame, view: View) -> np.ndarray:
    """Log-odds of the second class for the unchanged images, float64 ``[N]``."""
    base = view.predictions[view.predictions["intervention"] == "none"].set_index("row_id")["logits"]
    pairs = base.reindex(rows["row_id"])
    return np.array(
        [float(pair[1]) - float(pair[0]) if isinstance(pair, list | np.ndarray) else np.nan for pair in pairs]
    )


def _auroc(ranked: pd.DataFrame) -> float:
    present = ranked["present"].to_numpy(dtype=bool)
    if present.all() or not present.any():
        return np.nan
    return float(roc_auc_score(present, ranked["score"], sample_weight=weights_of(ranked)))


def _aligned_auroc(ranked: pd.DataFrame) -> float:
    """Images with the finding from the level that raises the score most, the others from the one that lowers it.

    The levels are chosen on every other cluster and scored on those between, both ways: the largest of several areas
    of a guessing model lies well above 0.5.
    """
    known = _in_turns(ranked[ranked["environment"].notna()])
    found = [_across(known[known["turn"] == a], known[known["turn"] == 1 - a]) for a in (0, 1)] if len(known) else []
    areas = [area for area in found if np.isfinite(area)]
    return float(np.mean(areas)) if areas else _auroc(ranked)


def _across(chosen_on: pd.DataFrame, scored_on: pd.DataFrame) -> float:
    means = chosen_on.groupby(["present", "environment"])["score"].mean()
    if set(means.index.unique("present")) != {True, False}:
        return np.nan
    wanted = scored_on["present"].map({True: means.xs(True).idxmax(), False: means.xs(False).idxmin()})
    return _auroc(scored_on[scored_on["environment"] == wanted])


def _aligned_accuracy(rows: pd.DataFrame) -> float:
    """Mean over labels of the accuracy in the level that is best for each, chosen and scored on different clusters."""
    known = rows[rows["correct"].notna() & rows["environment"].notna()]
    if known.empty:
        return float(rows["correct"].mean())
    cells = _in_turns(known).groupby(["turn", "label", "environment"])["correct"].mean()
    found = [
        _best_levels(cells.xs(a), cells.xs(b)) for a, b in ((0, 1), (1, 0)) if {a, b} <= set(cells.index.unique("turn"))
    ]
    return float(pd.concat(found).mean()) if found else float(known["correct"].mean())


def _best_levels(chosen_on: pd.Series, scored_on: pd.Series) -> pd.Series:
    """Accuracy of each label in the level that was best for it on other clusters."""
    return scored_on.reindex(chosen_on.groupby("label").idxmax()).dropna()


def _in_turns(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with ``turn``, 0 or 1: every other cluster of each label and environment."""
    if rows.empty:
        return rows.assign(turn=0)
    turn = rows.groupby(["label", "environment"])["cluster"].transform(lambda names: pd.factorize(names, sort=True)[0])
    return rows.assign(turn=turn % 2)
