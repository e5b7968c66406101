"""Which rows are shown: by rules that are declared before the run, worst first and as many at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.observations import SwapObservations


@dataclass(frozen=True)
class GalleryRules:
    """Chooses rows for pictures.

    Attributes
    ----------
    pairs : int
        Rule ``swap_changed``: recipients whose answer is the same unchanged and on another background of their own
        level, and differs on the other level; largest fall of the answer's probability first, one per cluster.
    tiles : int
        Rule ``worst``: lowest probability of the true class first. Rule ``random``: as many, drawn from all rows.
    seed : int
    """

    pairs: int = 3
    tiles: int = 12
    seed: int = 0

    def swaps(self, observed: SwapObservations, primary: Hypothesis) -> pd.DataFrame:
        """``row_id``, ``pass``, ``rule``, ``rank``, ``other_level`` of the swap pairs.

        One more row, rule ``swap_random_unchanged``, is drawn from the recipients whose answer never changed.
        """
        first = observed.take((observed.number == 0) & (observed.own >= 0) & (observed.original >= 0))
        if len(first) == 0:
            return pd.DataFrame()
        at = np.arange(len(first))
        own_answer = first.swapped[at, 0, first.own]
        other = np.where(first.own == primary.arm, primary.reference, primary.arm)
        other_answer = first.swapped[at, 0, other]
        stable = first.original == own_answer
        frame = pd.DataFrame(
            {
                "row_id": first.row_id,
                "pass": first.number,
                "cluster": first.recipient,
                "fall": _fall(first, own_answer, other),
                "other_level": np.array(first.levels, dtype=object)[other],
                "changed": stable & (other_answer != own_answer),
                "unchanged": stable & (other_answer == own_answer),
            }
        )
        changed = frame[frame["changed"]].sort_values(["fall", "row_id"], ascending=[False, True], kind="stable")
        changed = changed.drop_duplicates("cluster").head(self.pairs)
        calm = frame[frame["unchanged"]].sort_values("row_id")
        drawn = calm.iloc[self._rng(1).permutation(len(calm))[:1]]
        return pd.concat([_ranked(changed, "swap_changed"), _ranked(drawn, "swap_random_unchanged")], ignore_index=True)

    def tiles_of(self, rows: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
        """``row_id``, ``rule``, ``rank`` of the heatmap gallery, from scored rows."""
        known = rows[rows["correct"].notna()]
        truth = true_probability(known, predictions, classes)
        worst = known.assign(truth=truth).sort_values(["truth", "row_id"], kind="stable").head(self.tiles)
        calm = known.sort_values("row_id")
        drawn = calm.iloc[self._rng(2).permutation(len(calm))[: self.tiles]]
        return pd.concat([_ranked(worst, "worst"), _ranked(drawn, "random")], ignore_index=True)

    def _rng(self, word: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, 0x9A, word]))


def true_probability(rows: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Softmax probability of each row's label in the unchanged image, float64 ``[N]`` in [0, 1]."""
    base = predictions[predictions["intervention"] == "none"].set_index("row_id").loc[rows["row_id"]]
    found = np.empty(len(rows))
    for at, (label, logits, kept, total) in enumerate(
        zip(rows["label"], base["logits"], base["classes"], base["logsumexp"], strict=True)
    ):
        index = classes.index(label)
        found[at] = np.exp(logits[index if kept is None else list(kept).index(index)] - total)
    return found


def _fall(observed: SwapObservations, answer: np.ndarray, other: np.ndarray) -> np.ndarray:
    if observed.logits is None:
        return np.zeros(len(observed))
    at, probability = np.arange(len(observed)), softmax(observed.logits[:, 0], axis=2)
    return np.asarray(probability[at, observed.own, answer] - probability[at, other, answer])


def _ranked(frame: pd.DataFrame, rule: str) -> pd.DataFrame:
    columns = [name for name in ("row_id", "pass", "other_level") if name in frame]
    return frame[columns].assign(rule=rule, rank=np.arange(1, len(frame) + 1))
