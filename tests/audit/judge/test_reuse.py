"""Donors are counted as they were used."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from figureground.audit.declared.config import Policy
from figureground.audit.judge.reuse import donor_reuse


def seen(n=60, donors=20, seed=0, cue="background"):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        cue=cue,
        levels=("grass", "gravel"),
        half=np.where(rng.random(n) < 0.5, "a", "b").astype(object),
        number=rng.integers(0, 2, n),
        donor_row=rng.integers(0, donors, (n, 2)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_use_is_that_of_a_hand_count(seed):
    observed = seen(seed=seed)
    counts = Counter(
        (half, number, arm, donor)
        for half, number, row in zip(observed.half, observed.number, observed.donor_row, strict=True)
        for arm, donor in enumerate(row)
    )
    found = donor_reuse(observed, Policy())
    assert found.value == max(counts.values())
    assert found.n == len(set(observed.donor_row.ravel()))


def test_a_donor_that_serves_too_often_fails_by_name():
    observed = seen(donors=1, cue="tint")
    found = donor_reuse(observed, Policy(max_donor_reuse=2))
    assert (found.check, found.status) == ("donor_reuse_tint", "failed")
    assert found.reason
    assert donor_reuse(seen(donors=2000), Policy()).status == "passed"
