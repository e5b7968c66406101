"""How often the intervals of a comparison hold the true difference: answers, worst groups, contrasts.

``python benchmarks/comparing.py --replications 1000`` prints the table of ``docs/compare.md``. Latent strengths are
normal: what two models share of a picture, what each has for itself, what a cluster or a donor adds to all it touches.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from figureground.audit.compare.answer_rows import CommonAnswers, worst_group
from figureground.audit.compare.cue_rows import CommonContrast, compare_cue
from figureground.audit.compare.differing import Ruler
from figureground.audit.compare.document import Difference
from figureground.audit.judge.observations import SwapObservations

RULER = Ruler(0.95, 0.8, 0.1)
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """Whether an interval held the truth, lay below it, or above it, and how wide it was."""

    held: bool
    below: bool
    above: bool
    width: float

    @classmethod
    def of(cls, found: Difference, truth: float) -> Held:
        """Of one interval."""
        low, high = found.ci_low, found.ci_high
        if low is None or high is None:
            return cls(True, False, False, float("nan"))
        return cls(low <= truth <= high, high < truth, low > truth, high - low)


@dataclass(frozen=True)
class Answers:
    """Two models on n images in clusters, with accuracies by group and a correlation of their latent strengths."""

    n: int
    per_cluster: int
    first: tuple[float, ...]
    second: tuple[float, ...]
    correlation: float

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[str, Held]]:
        """One data set."""
        group, cluster = rng.integers(0, len(self.first), self.n), np.arange(self.n) // self.per_cluster
        shared = np.sqrt(0.3) * rng.standard_normal(cluster.max() + 1)[cluster]
        own = rng.standard_normal(self.n)
        other = self.correlation * own + np.sqrt(1 - self.correlation**2) * rng.standard_normal(self.n)
        correct = [
            (shared + np.sqrt(0.7) * part < stats.norm.ppf(np.array(level))[group]).astype(float)
            for part, level in ((own, self.first), (other, self.second))
        ]
        found = CommonAnswers(pd.DataFrame(index=range(self.n)), correct[0], correct[1], cluster)
        members = {("group", str(at), "(all)"): group == at for at in range(len(self.first))}
        yield "accuracy", Held.of(found.difference(RULER), float(np.mean(self.second) - np.mean(self.first)))
        worst = worst_group(found, members, RULER, 0)
        if worst is not None:
            yield "worst group", Held.of(worst.difference, min(self.second) - min(self.first))


@dataclass(frozen=True)
class Swaps:
    """Two models on n recipients; how often each names the class under either level; the same donors or others."""

    n: int
    passes: int
    first: tuple[float, float]
    second: tuple[float, float]
    same_donors: bool

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[str, Held]]:
        """One data set."""
        ids = np.repeat(np.arange(self.n), self.passes)
        donors = rng.standard_normal((2, self.n // 2))
        lent = [rng.integers(0, self.n // 2, (len(ids), 2)) for _ in range(2)]
        lent = [lent[0], lent[0 if self.same_donors else 1]]
        shared = rng.standard_normal(self.n)
        sides = [
            self._answered(rng, ids, at, donors, shared, p)
            for at, p in zip(lent, (self.first, self.second), strict=True)
        ]
        rows = {"first": np.arange(self.n), "second": np.arange(self.n), "cluster": np.arange(self.n)}
        frame = pd.DataFrame(rows).assign(weight=np.nan, same_mask=True)
        units = pd.Series(np.arange(self.n), index=np.arange(self.n))
        found = compare_cue(CommonContrast.of((sides[0], sides[1]), frame, (units, units)), "decision", RULER, 0)
        one = found.turned(("dog", "gravel", "grass", ""))
        if one is not None:
            truth = (self.second[1] - self.second[0]) - (self.first[1] - self.first[0])
            yield "contrast", Held.of(one, truth)

    def _answered(
        self,
        rng: np.random.Generator,
        ids: npt.NDArray[np.int64],
        lent: npt.NDArray[np.int64],
        donors: Reals,
        shared: Reals,
        share: tuple[float, float],
    ) -> SwapObservations:
        own = np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.standard_normal(self.n)
        named = [
            np.sqrt(0.5) * own[ids] + 0.4 * donors[at][lent[:, at]] + np.sqrt(0.34) * rng.standard_normal(len(ids))
            < stats.norm.ppf(share[at])
            for at in (0, 1)
        ]
        return _observed(ids, self.passes, lent, np.stack(named, axis=1).astype(np.int64))


def _observed(
    ids: npt.NDArray[np.int64], passes: int, lent: npt.NDArray[np.int64], answers: npt.NDArray[np.int64]
) -> SwapObservations:
    nothing = np.zeros(len(ids), dtype=np.int64)
    return SwapObservations(
        cue="background",
        levels=("grass", "gravel"),
        classes=("cat", "dog"),
        parts=("",),
        row_id=ids,
        number=np.tile(np.arange(passes), len(ids) // passes),
        recipient=ids.astype(object),
        half=np.full(len(ids), "a", dtype=object),
        own=nothing,
        label=nothing,
        original=nothing,
        reference=nothing,
        same=nothing,
        swapped=answers[:, None, :],
        control=answers[:, None, :],
        donor=lent.astype(object),
        donor_row=lent,
        logits=None,
        control_logits=None,
        original_logits=None,
        score=None,
        control_score=None,
        incomplete={},
    )


DESIGNS: dict[str, Answers | Swaps] = {
    "400 images, four groups at 0.8 in both": Answers(400, 1, (0.8,) * 4, (0.8,) * 4, 0.8),
    "the same, four images a cluster": Answers(400, 4, (0.8,) * 4, (0.8,) * 4, 0.8),
    "400 images, one worst group that is repaired": Answers(400, 1, (0.5, 0.8, 0.9, 0.9), (0.8, 0.8, 0.9, 0.9), 0.6),
    "400 images, another group becomes the worst": Answers(400, 1, (0.9, 0.9, 0.9, 0.6), (0.6, 0.9, 0.9, 0.9), 0.6),
    "120 images, one of four good groups breaks": Answers(120, 1, (0.95,) * 4, (0.95, 0.95, 0.95, 0.7), 0.5),
    "400 images, twelve groups at 0.8 in both": Answers(400, 1, (0.8,) * 12, (0.8,) * 12, 0.6),
    "150 recipients, the same donors, no difference": Swaps(150, 3, (0.5, 0.5), (0.5, 0.5), True),
    "150 recipients, other donors, no difference": Swaps(150, 3, (0.5, 0.5), (0.5, 0.5), False),
    "150 recipients, the same donors, 0.10 becomes 0.60": Swaps(150, 3, (0.45, 0.55), (0.2, 0.8), True),
    "60 recipients, other donors, no difference": Swaps(60, 3, (0.4, 0.6), (0.4, 0.6), False),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=1000)
    given = parser.parse_args()
    print("| design | difference of | held | below the truth | above it | mean width |\n|---|---|---|---|---|---|")
    for number, (name, design) in enumerate(DESIGNS.items()):
        rng = np.random.default_rng(number)
        found: dict[str, list[Held]] = {}
        for _ in range(given.replications):
            for what, held in design(rng):
                found.setdefault(what, []).append(held)
        for what, all_held in found.items():
            rates = [100 * np.mean([getattr(one, key) for one in all_held]) for key in ("held", "below", "above")]
            width = np.nanmean([one.width for one in all_held])
            print(f"| {name} | {what} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[2]:.1f} | {width:.3f} |", flush=True)


if __name__ == "__main__":
    main()
