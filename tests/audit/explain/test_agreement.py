"""Agreement of maps against scipy and against counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import from_numpy
from torch.nn.functional import adaptive_avg_pool2d

from figureground.audit.document.sheets import MapShown
from figureground.audit.explain.agreement import agreement, agreements, cell_means, top_overlap


def shown(method, values, cells=None):
    values = np.asarray(values, dtype=np.float32)
    return MapShown(method, values, values if cells is None else np.asarray(cells, dtype=np.float32), "input")


def test_maps_of_one_grid_are_compared_cell_by_cell():
    draw = np.random.default_rng(0)
    one, other = draw.random((5, 7)), draw.random((5, 7))
    found = agreement(shown("a", one), shown("b", other))
    assert found.n == 35
    expected = spearmanr(one.astype(np.float32).ravel(), other.astype(np.float32).ravel()).statistic
    assert found.rank_correlation == pytest.approx(expected, abs=1e-12)
    tops = [set(np.argsort(-each.ravel())[:4].tolist()) for each in (one, other)]
    assert found.overlap == pytest.approx(len(tops[0] & tops[1]) / 4)


def test_a_finer_map_is_brought_to_the_coarser_grid():
    draw = np.random.default_rng(1)
    fine, cells = draw.random((12, 20)).astype(np.float32), draw.random((3, 5)).astype(np.float32)
    found = agreement(shown("fine", fine), shown("coarse", np.kron(cells, np.ones((4, 4))), cells))
    assert found.n == 15
    pooled = adaptive_avg_pool2d(from_numpy(fine)[None], (3, 5))[0].numpy()
    np.testing.assert_allclose(cell_means(fine, (3, 5)), pooled, rtol=1e-6)
    assert found.rank_correlation == pytest.approx(spearmanr(pooled.ravel(), cells.ravel()).statistic)


def test_a_constant_map_agrees_with_nothing():
    found = agreement(shown("a", np.zeros((4, 4))), shown("b", np.arange(16).reshape(4, 4)))
    assert (found.rank_correlation, found.overlap, found.n) == (None, None, 16)


def test_every_pair_is_there():
    maps = tuple(shown(name, np.random.default_rng(at).random((4, 4))) for at, name in enumerate("abc"))
    assert [(each.first, each.second) for each in agreements(maps)] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_what_is_illustration_agrees_with_nothing():
    maps = [shown(name, np.random.default_rng(at).random((4, 4))) for at, name in enumerate("abc")]
    found = agreements((replace(maps[0], illustration=True), *maps[1:]))
    assert [(each.first, each.second) for each in found] == [("b", "c")]


def test_ties_count_by_the_share_that_fits():
    values = np.array([5, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=np.float32)  # two of eleven are the top
    assert top_overlap(values, values) == pytest.approx((1 + 4 * (1 / 4) ** 2) / 2)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_overlap_is_symmetric_and_a_share(numbers, shuffle):
    first = np.array(numbers, dtype=np.float32)
    second = first.copy()
    shuffle.shuffle(second)
    found = top_overlap(first, second)
    assert 0 <= found <= 1
    assert found == pytest.approx(top_overlap(second, first))


@pytest.mark.parametrize(("height", "width"), [(7, 11), (8, 9)])
def test_cells_that_do_not_divide_the_picture_still_cover_it(height, width):
    values = np.random.default_rng(2).random((height, width)).astype(np.float32)
    found = cell_means(values, (3, 4))
    assert found.shape == (3, 4)
    assert values.min() <= found.min() <= found.max() <= values.max()
    np.testing.assert_allclose(cell_means(np.full((height, width), 2.5, np.float32), (3, 4)), 2.5)
