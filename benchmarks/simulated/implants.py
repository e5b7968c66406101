"""The claim of the assay: power predicted on one data set, and how often the implant is found in fresh ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.judge.assay import SpikeIn
from figureground.audit.judge.contrast import DonorContrast
from figureground.audit.judge.effects import Clusterings, hypotheses
from figureground.audit.judge.implant import Implant
from figureground.audit.judge.observations import SwapObservations

SIZES = (0.05, 0.1, 0.15, 0.2, 0.25)


def data_set(n: int, rng: np.random.Generator) -> tuple[SwapObservations, pd.Series]:
    """A model without the cue whose answers flip by chance, composites that carry most of the cue, and the readings."""
    rows = np.arange(2 * n).reshape(n, 2)
    reading = np.array([-1.0, 1.0]) + rng.normal(0, 0.4, (n, 2))
    label, empty = rng.integers(0, 2, n), np.zeros(n, dtype=np.int64)
    own = np.where(label == 1, 1, -1) * rng.exponential(2.0, n)

    def logits() -> np.ndarray:
        answer = own[:, None] * np.where(rng.random((n, 2)) < 0.05, -1, 1) * rng.lognormal(0, 0.3, (n, 2))
        return np.stack([np.zeros_like(answer), answer], axis=2)[:, None]

    swapped, control = logits(), logits()
    names = np.array([f"r{at}" for at in range(n)], dtype=object)
    donors = np.array([[f"d{at}", f"e{at}"] for at in rng.permutation(n)], dtype=object)
    found = SwapObservations(
        cue="background", levels=("a", "b"), classes=("cat", "dog"), parts=("",), row_id=np.arange(n), number=empty,
        recipient=names, half=np.where(np.arange(n) % 2, "a", "b").astype(object), own=empty, label=label,
        original=(own > 0).astype(np.int64), reference=label, same=label, swapped=swapped.argmax(axis=3),
        control=control.argmax(axis=3), donor=donors, donor_row=rows, logits=swapped, control_logits=control,
        original_logits=np.stack([np.zeros(n), own], axis=1), score=0.9 * reading[:, None],
        control_score=rng.normal(0, 0.2, (n, 1, 2)), incomplete={},
    )  # fmt: skip
    return found, pd.Series(reading.ravel(), index=rows.ravel())


def judged(implant: Implant, weight: float, policy: Policy) -> bool:
    """Whether the audit's own judge shows the implanted reliance, specific to the cue."""
    answers = [part.astype(np.int64) for part in implant.answers(weight, "decision")]
    if implant.class_index == 0:
        answers = [1 - part for part in answers]
    seen = replace(implant.observed, swapped=answers[0], control=answers[1], logits=None, control_logits=None)
    judge, codes, family = DonorContrast(policy, 0), Clusterings.of(seen), list(hypotheses(seen, "decision"))
    specific = judge.family(seen, codes, family, "decision", "specific")
    at = int(np.argmax([abs(found.estimate) for found in specific]))
    return specific[at].low > 0 or specific[at].high < 0


def assay_cell(n: int, copies: int) -> Iterator[tuple[str, str, float, int]]:
    """Mean predicted power, and the share of fresh data sets in which the same implant is found."""
    policy, rng = Policy(), np.random.default_rng([n, 31])
    large = Implant.of(*data_set(20_000, rng))
    assert large is not None
    for size in SIZES:
        weight = large.weight_for(size, "decision")
        assert weight is not None
        predicted, found = 0.0, 0
        for at in range(copies):
            implant = Implant.of(*data_set(n, rng))
            assert implant is not None
            predicted += SpikeIn(policy, at).detection(implant, weight, "decision")
            found += judged(implant, weight, policy)
        yield "assay: power predicted", f"{size:g}", predicted, copies
        yield "assay: found in fresh data", f"{size:g}", float(found), copies
