"""Numbers in words: rounded once, never a hole turned into zero."""

from __future__ import annotations

import doctest
import re
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figureground.reports import catalogue, numbers, view
from figureground.reports.figures import matrices, style

shares = st.floats(0, 1)


@pytest.mark.parametrize("module", [numbers, style, matrices, view, catalogue])
def test_examples_in_the_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.floats(-1, 1))
def test_hundredths_agree_with_decimal_arithmetic(value: float) -> None:
    written = numbers.hundredths(value).replace(numbers.MINUS, "-")
    exact = Decimal(100.0 * value).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    assert Decimal(written) == exact
    assert written != "-0.0"


@given(shares)
def test_natural_frequency_hides_neither_none_nor_all(value: float) -> None:
    text = numbers.of_hundred(value)
    assert (text == "0") == (value == 0)
    assert (text == "100") == (value == 1)
    assert re.fullmatch(r"(fewer than |more than )?\d{1,3}", text)


@given(shares, shares)
def test_interval_keeps_its_order(a: float, b: float) -> None:
    low, high = numbers.span(min(a, b), max(a, b)).split(" to ")
    assert float(low) <= float(high)


@pytest.mark.parametrize(
    "write",
    [
        numbers.fixed, numbers.percent, numbers.hundredths, numbers.points, numbers.signed, numbers.level,
        numbers.of_hundred, numbers.count, numbers.p_value, numbers.general,
    ],
)  # fmt: skip
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_is_a_dash(write: object, missing: float | None) -> None:
    assert write(missing) == numbers.NONE  # type: ignore[operator]


def test_dates() -> None:
    months = catalogue.load("en").say("date.months").split()
    assert len(months) == 12
    assert numbers.day("2026-12-01T23:59:59+00:00", months) == "1 December 2026"
    assert numbers.day("yesterday", months) == "yesterday"
