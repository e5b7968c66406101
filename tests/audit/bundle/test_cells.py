"""Small cells: hidden, and not to be recomputed by anybody who knows the rest."""

from __future__ import annotations

from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.audit.bundle.cells import TOTAL, Count, Key, Shown, hide
from figureground.audit.bundle.families import hidden_cells
from figureground.audit.keeping.tables import ALL


def counts_of(table: list[list[int]], attribute: str = "site") -> dict[Key, Count]:
    """A table of levels by labels with its margins; units are rows."""
    found: dict[Key, int] = {TOTAL: sum(map(sum, table))}
    for at, row in enumerate(table):
        found[attribute, f"level{at}", ALL] = sum(row)
        for label, n in enumerate(row):
            found[attribute, f"level{at}", f"label{label}"] = n
            found[ALL, ALL, f"label{label}"] = found.get((ALL, ALL, f"label{label}"), 0) + n
    return {key: Count(n, n) for key, n in found.items()}


def splits(total: int, parts: int):
    """Every way to write a total as so many counts."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in splits(total - first, parts - 1))


def ranges(counts: dict[Key, Count], hidden: frozenset[Key], levels: int, labels: int) -> dict[Key, tuple[int, int]]:
    """By brute force: least and most of each hidden cell over all tables of counts that agree with what is shown."""
    shown = {key: count.rows for key, count in counts.items() if key not in hidden}
    found: dict[Key, set[int]] = {key: set() for key in hidden}
    for flat in splits(counts[TOTAL].rows, levels * labels):
        other = {
            key: count.rows
            for key, count in counts_of([list(flat[at * labels : (at + 1) * labels]) for at in range(levels)]).items()
        }
        if all(other[key] == n for key, n in shown.items()):
            for key in hidden:
                found[key].add(other[key])
    return {key: (min(values), max(values)) for key, values in found.items()}


@settings(max_examples=12)
@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=2, max_size=2))
def test_what_a_reader_can_work_out_is_what_brute_force_finds(table: list[list[int]]) -> None:
    threshold, counts = 3, counts_of(table)
    hidden = hide(counts, threshold)
    truth = ranges(counts, hidden, 2, 2)
    for key in hidden:
        assert Shown(counts, hidden).span(key) == pytest.approx(truth[key], abs=1e-6)


@pytest.mark.parametrize(
    "table",
    [[[6, 5, 2], [4, 6, 5]], [[1, 5, 5], [5, 5, 5]], [[5, 1, 6], [1, 6, 5]]],
)
def test_no_small_cell_can_be_worked_out_by_brute_force(table: list[list[int]]) -> None:
    threshold, counts = 3, counts_of(table)
    hidden = hide(counts, threshold)
    whole = ranges_by_rows(counts, hidden, len(table), len(table[0]))
    small = [key for key, count in counts.items() if count.small(threshold)]
    assert small
    for key in small:
        low, high = whole[key]
        assert high - low >= threshold


def ranges_by_rows(
    counts: dict[Key, Count], hidden: frozenset[Key], levels: int, labels: int
) -> dict[Key, tuple[int, int]]:
    """As :func:`ranges`, for larger tables whose margins are all shown."""
    assert all(ALL not in key for key in hidden)
    rows = [list(splits(counts["site", f"level{at}", ALL].rows, labels)) for at in range(levels)]
    found: dict[Key, set[int]] = {key: set() for key in hidden}
    for table in product(*rows):
        other = {key: count.rows for key, count in counts_of([list(row) for row in table]).items()}
        if all(other[key] == count.rows for key, count in counts.items() if key not in hidden):
            for key in hidden:
                found[key].add(other[key])
    return {key: (min(values), max(values)) for key, values in found.items()}


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=4))
def test_small_cells_are_hidden_and_so_are_others_beside_them(table: list[list[int]]) -> None:
    counts = counts_of(table)
    hidden = hide(counts, 10)
    assert TOTAL not in hidden
    assert {key for key, count in counts.items() if key != TOTAL and count.small(10)} <= hidden
    for key in hidden:
        others = [other for other in hidden if other != key]
        assert others or not counts[key].rows  # one alone would be the rest of a sum


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    assert hide(counts_of([[10, 200], [0, 30]]), 10) == frozenset()


def test_a_person_with_many_images_is_a_small_cell() -> None:
    counts = counts_of([[40, 50], [60, 70]]) | {("site", "level0", "label0"): Count(40, 1)}
    assert ("site", "level0", "label0") in hide(counts, 10)


def lines(cells: dict[tuple[str, str, str], int]) -> pd.DataFrame:
    rows = [
        {"finding": None, "attribute": a, "level": b, "label": c, "n_rows": n, "n_clusters": n}
        for (a, b, c), n in cells.items()
    ]
    return pd.DataFrame(rows)


def test_a_crossing_with_a_small_cell_is_dropped_whole_since_it_adds_up_to_other_tables() -> None:
    cells = {TOTAL: 90, ("site*sex", "a × f", ALL): 4, ("site*sex", "a × m", ALL): 86, ("site", "a", ALL): 90}
    found = hidden_cells(lines(cells))
    assert found.attributes == {"site*sex"}
    assert not found.hides("site", "a")
    assert found.hides("site*sex", "a × m")


def test_of_two_cuts_of_one_column_the_second_is_dropped() -> None:
    cells = {
        TOTAL: 100,
        ("age:18", "< 18", ALL): 50,
        ("age:18", ">= 18", ALL): 50,
        ("age:19", "< 19", ALL): 52,
        ("age:19", ">= 19", ALL): 48,
    }
    assert hidden_cells(lines(cells)).attributes == {"age:19"}  # 52 - 50 are the two who are 18


def test_counts_that_do_not_add_up_hide_their_table_whole() -> None:
    counts = counts_of([[3, 40], [50, 60]]) | {("site", "level1", ALL): Count(7000, 7000)}
    hidden = hide(counts, 10)
    assert {key for key in counts if key[0] == "site"} <= hidden
