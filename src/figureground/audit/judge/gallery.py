"""Which rows are shown: by rules that are declared before the run, worst first and as many at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from figureground.audit.declared.target import Target
from figureground.audit.judge.effects import Hypothesis
from figureground.audit.judge.observations import SwapObservations
from figureground.datasets.columns import NUMBER


@dataclass(frozen=True)
class GalleryRules:
    """Chooses rows for pictures.

    Attributes
    ----------
    pairs : int
        Rule ``swap_changed``: recipients whose answer is the same unchanged and with the cue of another picture of
        their own level, and differs with that of the other level; largest fall of the answer's probability first, one
        per cluster.
    tiles : int
        Rule ``worst``: lowest probability of the true class first. Rule ``random``: as many, drawn from all rows.
    seed : int
    target : Target or None
        The answer is a number: it changes where it moves by what is material, the one that moves most comes first, and
        the worst are those that are furthest off.
    """

    pairs: int = 3
    tiles: int = 12
    seed: int = 0
    target: Target | None = None

    def swaps(self, observed: SwapObservations, primary: Hypothesis) -> pd.DataFrame:
        """``row_id``, ``pass``, ``rule``, ``rank``, ``other_level`` of the swap pairs.

        One more row, rule ``swap_random_unchanged``, is drawn from the recipients whose answer never changed.
        """
        first = observed.take((observed.number == 0) & (observed.own >= 0) & (observed.original >= 0))
        if len(first) == 0:
            return pd.DataFrame()
        at = np.arange(len(first))
        other = np.where(first.own == primary.arm, primary.reference, primary.arm)
        stable, differs, fall = self._compared(first, at, other, primary.part)
        frame = pd.DataFrame(
            {
                "row_id": first.row_id,
                "pass": first.number,
                "cluster": first.recipient,
                "fall": fall,
                "other_level": np.array(first.levels, dtype=object)[other],
                "changed": stable & differs,
                "unchanged": stable & ~differs,
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
        truth = true_probability(known, predictions, classes) if self.target is None else self._near(known, predictions)
        worst = known.assign(truth=truth).sort_values(["truth", "row_id"], kind="stable").head(self.tiles)
        calm = known.sort_values("row_id")
        drawn = calm.iloc[self._rng(2).permutation(len(calm))[: self.tiles]]
        return pd.concat([_ranked(worst, "worst"), _ranked(drawn, "random")], ignore_index=True)

    def _compared(
        self, first: SwapObservations, at: np.ndarray, other: np.ndarray, part: int
    ) -> tuple[np.ndarray, ...]:
        """Whether the answer stays on the own level, whether it differs on the other one, and how far it falls."""
        if self.target is None or first.logits is None or first.original_logits is None:
            own_answer, other_answer = (first.swapped[at, part, arm] for arm in (first.own, other))
            return first.original == own_answer, other_answer != own_answer, _fall(first, own_answer, other, part)
        own, there = (first.logits[at, part, arm] for arm in (first.own, other))
        unchanged = first.original_logits
        moved = np.abs(_distance(there) - _distance(own))
        stable = np.abs(_distance(unchanged) - _distance(own)) < self.target.material
        return stable, moved >= self.target.material, moved

    def _near(self, rows: pd.DataFrame, predictions: pd.DataFrame) -> np.ndarray:
        """Minus the distance of the number from the label's, float64 ``[N]``."""
        assert self.target is not None  # noqa: S101  (the caller asks only then)
        base = predictions[predictions["intervention"] == "none"].set_index("row_id").loc[rows["row_id"]]
        said = _distance(np.array(base["logits"].tolist(), dtype=np.float64)) + self.target.cut
        return np.asarray(-np.abs(said - rows[NUMBER].to_numpy(dtype=np.float64)))

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


def _distance(logits: np.ndarray) -> np.ndarray:
    """Of a number from its cut, ``[N]`` from ``[N, 2]``."""
    return np.asarray(logits[:, 1] - logits[:, 0])


def _fall(observed: SwapObservations, answer: np.ndarray, other: np.ndarray, part: int) -> np.ndarray:
    if observed.logits is None:
        return np.zeros(len(observed))
    at, probability = np.arange(len(observed)), softmax(observed.logits[:, part], axis=2)
    return np.asarray(probability[at, observed.own, answer] - probability[at, other, answer])


def _ranked(frame: pd.DataFrame, rule: str) -> pd.DataFrame:
    columns = [name for name in ("row_id", "pass", "other_level") if name in frame]
    return frame[columns].assign(rule=rule, rank=np.arange(1, len(frame) + 1))
