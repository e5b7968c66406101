"""Names of classes in another order than the outputs: found with the order that fits, and never guessed from chance."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.class_order import suspected_order
from figureground.audit.keeping.tables import ALL

NAMES = ("ant", "bee", "cat")


def performance(counts, units=None):
    n = int(np.sum(counts)) if units is None else units
    estimate = document.Estimate(n=n, n_clusters=n, estimate=0.5, ci_low=0.4, ci_high=0.6, ci_level=0.95, status="ok")
    confusion = [document.Confusion(attribute=ALL, level=ALL, counts=np.asarray(counts).tolist())]
    return document.Performance(
        overall=estimate, worst_group=None, worst_exploratory=None, by_group=[], left_out=[], confusion=confusion
    )


GOOD = np.array([[90, 6, 4], [5, 88, 7], [3, 2, 95]])


@pytest.mark.fault("E10")
@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_every_exchange_of_names_is_found_and_undone(order):
    """``order[k]`` is the label that output k really means."""
    shuffled = np.empty_like(GOOD)
    for at, label in enumerate(order):
        shuffled[:, at] = GOOD[:, label]
    moved = {NAMES[at]: NAMES[label] for at, label in enumerate(order) if at != label}
    found = suspected_order(performance(shuffled), NAMES, Policy())
    wrong = np.trace(shuffled) / shuffled.sum()
    assert found == (moved if wrong < 0.3 else None)  # with one name in place it may still beat a guess


def test_two_exchanged_names_of_two_classes():
    assert suspected_order(performance([[5, 95], [90, 10]]), ("a", "b"), Policy()) == {"a": "b", "b": "a"}


@pytest.mark.parametrize(
    "counts",
    [GOOD, [[0] * 3] * 3, [[34, 33, 33], [33, 34, 33], [33, 33, 34]], [[1, 4, 0], [5, 0, 0], [0, 0, 0]], []],
)
def test_good_models_guesses_and_a_handful_of_images_raise_no_alarm(counts):
    assert suspected_order(performance(counts), NAMES, Policy()) is None


def test_many_images_of_few_units_raise_no_alarm():
    turned = GOOD[:, [1, 2, 0]]
    assert suspected_order(performance(turned, units=19), NAMES, Policy()) is None
    assert suspected_order(performance(turned, units=20), NAMES, Policy()) is not None


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(0, 400))
def test_guessing_is_hardly_ever_taken_for_another_order(seed, classes, n):
    rng = np.random.default_rng(seed)
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (rng.integers(0, classes, n), rng.integers(0, classes, n)), 1)
    found = suspected_order(performance(counts), [str(at) for at in range(classes)], Policy(alpha=0.001))
    assert found is None
