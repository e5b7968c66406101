"""How numbers are written, in one place.

Shares and effects arrive as decimals in [-1, 1] and are rounded here, last. A missing number is said to be
missing; it never becomes 0. Marks and words are those of the language that is being written (``written_in``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

#: Narrow no-break space between a number and its percent sign; a true minus.
NARROW, MINUS, NONE = "\u202f", "\u2212", "\u2013"


@dataclass(frozen=True)
class Style:
    """Marks and words of one language; those of a terminal by default.

    Attributes
    ----------
    decimal, group : str
        Mark before the decimals, and between thousands.
    span : str
        An interval, with ``{low}`` and ``{high}``.
    point, points : str
        Percentage points, for one and for many, with ``{value}``.
    fewer, more : str
        Natural frequencies next to 0 and to 100 of 100.
    first : str
        The first day of a month.
    one_below_two : bool
        Whether everything below two is singular (French: 0 and 1.5 too), or 1 alone.
    """

    decimal: str = "."
    group: str = ","
    span: str = "{low} to {high}"
    point: str = "{value} point"
    points: str = "{value} points"
    fewer: str = "fewer than 1"
    more: str = "more than 99"
    first: str = "1"
    one_below_two: bool = False

    def one(self, value: float) -> bool:
        """Whether so many are said in the singular."""
        return abs(value) < 2 if self.one_below_two else value == 1

    def marked(self, text: str) -> str:
        """A number as Python writes it, with the marks of the language."""
        return text.translate({ord("."): self.decimal, ord(","): self.group, ord("-"): MINUS})


# Numbers are written by a hundred callers, many of which know no language: the one that is being written is a
# property of the rendering under way (of its thread), as the decimal context is in the standard library.
_STYLE: ContextVar[Style] = ContextVar("figureground_numbers", default=Style())  # noqa: B039 - frozen


@contextmanager
def written_in(style: Style) -> Iterator[None]:
    """Numbers within the block are written in ``style``; afterwards as before.

    >>> with written_in(Style(decimal=",", group=NARROW)):
    ...     count(12800), fixed(12.345)
    ('12\\u202f800', '12,3')
    """
    token = _STYLE.set(style)
    try:
        yield
    finally:
        _STYLE.reset(token)


def style() -> Style:
    """The style of the rendering under way."""
    return _STYLE.get()


def is_missing(value: float | None) -> bool:
    """Whether there is no number: null or not a number."""
    return value is None or math.isnan(value)


def fixed(value: float | None, digits: int = 1) -> str:
    """Number with a fixed count of decimals and a true minus.

    >>> fixed(-0.04), fixed(12.345), fixed(None)
    ('0.0', '12.3', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    rounded = round(float(value), digits) + 0.0
    return style().marked(f"{rounded:,.{digits}f}")


def percent(value: float | None, digits: int = 1) -> str:
    """Share in [0, 1] as a percentage.

    >>> percent(0.6104)
    '61.0\\u202f%'
    """
    return NONE if is_missing(value) else f"{hundredths(value, digits)}{NARROW}%"


def hundredths(value: float | None, digits: int = 1) -> str:
    """Share or difference times 100, without a unit.

    >>> hundredths(0.384), hundredths(-0.05)
    ('38.4', '−5.0')
    """
    return NONE if value is None else fixed(100.0 * value, digits)


def points(value: float | None) -> str:
    """Difference of two shares in percentage points.

    >>> points(0.384), points(0.05), points(0.01)
    ('38.4 points', '5 points', '1 point')
    """
    if is_missing(value):
        return NONE
    now, text = style(), hundredths(value)
    one = now.one(round(100.0 * (value or 0.0), 1))
    return (now.point if one else now.points).format(value=text.removesuffix(f"{now.decimal}0"))


def signed(value: float | None) -> str:
    """Difference times 100 with its sign.

    >>> signed(0.384), signed(-0.02), signed(0.0)
    ('+38.4', '−2.0', '0.0')
    """
    text = hundredths(value)
    return f"+{text}" if value is not None and round(100 * value, 1) > 0 else text


def span(low: float | None, high: float | None) -> str:
    """Interval of shares or differences, times 100.

    >>> span(0.331, 0.43)
    '33.1 to 43.0'
    """
    return NONE if is_missing(low) or is_missing(high) else between(hundredths(low), hundredths(high))


def between(low: str, high: str) -> str:
    """Interval of two numbers that are written already.

    >>> between("0.21", "0.34")
    '0.21 to 0.34'
    """
    return style().span.format(low=low, high=high)


def level(value: float | None) -> str:
    """Confidence level, with decimals only where it has any.

    >>> level(0.95), level(0.975)
    ('95\\u202f%', '97.5\\u202f%')
    """
    return NONE if value is None or math.isnan(value) else style().marked(f"{100 * value:.10g}") + f"{NARROW}%"


def of_hundred(value: float | None) -> str:
    """Natural frequency: a share as so many of 100.

    >>> of_hundred(0.412), of_hundred(0.002), of_hundred(0.0)
    ('41', 'fewer than 1', '0')
    """
    if value is None or math.isnan(value):
        return NONE
    whole = f"{100 * value:.0f}"
    if whole == "0" and value > 0:
        return style().fewer
    if whole == "100" and value < 1:
        return style().more
    return whole


def count(value: float | None) -> str:
    """Whole number with separators.

    >>> count(12800)
    '12,800'
    """
    return NONE if value is None or math.isnan(value) else style().marked(f"{round(value):,}")


def p_value(value: float | None) -> str:
    """Probability of at least this much by chance, never 0.

    >>> p_value(0.00001), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    if value is None or math.isnan(value):
        return NONE
    return style().marked("< 0.001" if value < 0.001 else f"{value:.3f}")


def general(value: float | None) -> str:
    """Number without a known unit, to four significant digits.

    >>> general(0.123456), general(7)
    ('0.1235', '7')
    """
    return NONE if value is None or math.isnan(value) else style().marked(f"{value:.4g}")


def coefficient(value: float | None) -> str:
    """Number without a unit, to two decimals, more where it is small; below 0.0001 only that it is.

    >>> coefficient(0.1757), coefficient(0.8), coefficient(0.0012), coefficient(2.1e-7), coefficient(0.0)
    ('0.18', '0.80', '0.0012', '<\\u202f0.0001', '0')
    """
    if value is None or math.isnan(value):
        return NONE
    if 0 < abs(value) < 1e-4:
        return f"{'<' if value > 0 else '>'}{NARROW}{style().marked('0.0001' if value > 0 else '-0.0001')}"
    return style().marked(f"{value:.2f}" if abs(value) >= 0.01 else f"{value + 0.0:.2g}")


def quantity(value: float | None) -> str:
    """Number in a unit, to three significant digits, all digits before the point.

    >>> quantity(25.8299), quantity(-0.19123), quantity(12345.6), quantity(7.0), quantity(0.0)
    ('25.8', '−0.191', '12,346', '7', '0')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value) or value == 0:
        return general(value + 0.0)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return style().marked(text.rstrip("0").rstrip(".") if "." in text else text)


def short_hash(value: str) -> str:
    """First twelve digits of a hash.

    >>> short_hash("0123456789abcdef")
    '0123456789ab…'
    """
    return value if len(value) <= 12 else f"{value[:12]}…"


def day(stamp: str, months: list[str]) -> str:
    """Date of an ISO 8601 time stamp in words; the stamp itself where it is none.

    >>> day("2026-03-04T05:06:07+00:00", ["January", "February", "March"])
    '4 March 2026'
    """
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    day_of_month = style().first if moment.day == 1 else str(moment.day)
    return f"{day_of_month} {months[moment.month - 1]} {moment.year}"
