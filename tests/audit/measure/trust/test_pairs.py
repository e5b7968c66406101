"""Agreement of every pair of methods against scipy, on the rows that both have."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.measure.trust import pairs
from figureground.audit.measure.trust.checks import MapReport
from figureground.audit.measure.trust.lines import as_table
from figureground.audit.measure.trust.pairs import Method, pair_measures

SIDE = 16


def drawn(seed, rows, cells):
    """Maps that are constant within cells of a grid, enlarged, on sorted rows."""
    maps = np.random.default_rng(seed).random((len(rows), cells, cells))
    return Method.of(
        np.array(rows), np.kron(maps, np.ones((SIDE // cells,) * 2)).astype(np.float32), (cells, cells)
    ), maps


def pooled(maps, cells):
    step = maps.shape[1] // cells
    return maps.reshape(len(maps), cells, step, cells, step).mean((2, 4))


def test_every_pair_is_what_scipy_gives_on_common_rows():
    given = {
        "fine": drawn(0, range(40), 16),
        "coarse": drawn(1, range(40), 4),
        "few": drawn(2, range(10, 50, 3), 8),
    }
    found = {one.name: one for one in pair_measures({name: method for name, (method, _) in given.items()})}
    assert list(found) == [f"{a}/{b}" for a, b in combinations(given, 2)]
    for a, b in combinations(given, 2):
        (left, own), (right, other) = given[a], given[b]
        rows = sorted(set(left.row_id.tolist()) & set(right.row_id.tolist()))
        cells = min(own.shape[1], other.shape[1])
        sides = [
            pooled(maps, cells)[[method.row_id.tolist().index(row) for row in rows]]
            for method, maps in ((left, own), (right, other))
        ]
        rho = np.array([stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(*sides, strict=True)])
        one = found[f"{a}/{b}"]
        assert one.n == len(rows)
        assert one.value == pytest.approx(rho.mean(), abs=1e-6)
        interval = stats.t.interval(0.95, len(rho) - 1, rho.mean(), stats.sem(rho))
        assert (one.ci_low, one.ci_high) == pytest.approx(interval, abs=1e-6)


def test_maps_that_say_nothing_enter_no_number_and_no_common_row_gives_none():
    left, right = drawn(0, range(12), 8)[0], drawn(1, range(12), 8)[0]
    right.maps[:5] = np.nan
    assert pair_measures({"a": left, "b": right})[0].n == 7
    alone = pair_measures({"a": left, "b": drawn(1, range(20, 30), 8)[0]})[0]
    assert (alone.n, alone.value, alone.ci_low) == (0, None, None)


def test_large_maps_are_kept_small_and_say_the_same(monkeypatch):
    left, right = drawn(0, range(9), 8)[0], drawn(1, range(9), 4)[0]
    whole = pair_measures({"a": left, "b": right})[0]
    monkeypatch.setattr(pairs, "MAX_SIDE", 8)
    small = {"a": drawn(0, range(9), 8)[0], "b": drawn(1, range(9), 4)[0]}
    assert small["a"].maps.shape == (9, 8, 8)
    assert pair_measures(small)[0].value == pytest.approx(whole.value, abs=1e-6)


def test_pairs_are_numbers_of_the_check_of_agreement_and_change_no_state():
    checks = [
        TrustCheck(check=name, status="failed", value=0.1, threshold=0.2, n=9, reason=None)
        for name in ("agreement", "second_layer")
    ]
    parts = [
        MapReport(checks if name == "a" else [], (), {}, as_table([]), 1.0, {name: drawn(at, range(9), 8)[0]})
        for at, name in enumerate("abc")
    ]
    found = parts[0].joined(parts[1]).joined(parts[2]).with_pairs()
    assert [one.name for one in found.checks[0].measures] == ["a/b", "a/c", "b/c"]
    assert found.checks[0].model_copy(update={"measures": []}) == checks[0]
    assert found.checks[1] == checks[1]
    assert found.maps == {}
