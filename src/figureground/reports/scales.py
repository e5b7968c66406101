"""How effects are written, by the scale on which they are judged: shares of images, odds ratios, or a unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any

from figureground.reports import numbers

#: What the names of sentences end in.
_SUFFIX = {"log_odds": "_odds", "native": "_native"}


@dataclass(frozen=True)
class EffectScale:
    """One scale.

    Attributes
    ----------
    name : str
        ``decision``, ``probability``, ``log_odds`` or ``native``; what is unknown is written as shares.
    unit : str
        Of a number that is the answer; empty otherwise.
    """

    name: str | None
    unit: str = ""

    @property
    def shares(self) -> bool:
        """Whether effects are shares, which are written as hundredths."""
        return self.name not in _SUFFIX

    def key(self, sentence: str) -> str:
        """Name of the sentence that says this on this scale."""
        return sentence + _SUFFIX.get(self.name or "", "")

    def amount(self, value: float | None) -> str:
        """An effect as it stands in a table, with its sign; a logarithm of an odds ratio without."""
        if self.shares:
            return numbers.signed(value)
        text = self._number(value)
        return f"+{text}" if self.name == "native" and value is not None and value > 0 else text

    def size(self, value: float | None) -> str:
        """An amount without direction."""
        return numbers.hundredths(value) if self.shares else self._number(value)

    def span(self, low: float | None, high: float | None) -> str:
        """An interval as it stands in a table."""
        if self.shares or numbers.is_missing(low) or numbers.is_missing(high):
            return numbers.span(low, high) if self.shares else numbers.NONE
        return numbers.between(self._number(low), self._number(high))

    def stated(self, value: float | None) -> str:
        """An amount in a sentence, with its unit."""
        if self.shares:
            return numbers.points(value)
        text = self._number(value)
        return f"{text} {self.unit}" if self.unit and text != numbers.NONE else text

    def _number(self, value: float | None) -> str:
        return numbers.quantity(value) if self.name == "native" else numbers.general(value)

    def told(self, value: float | None) -> Any:
        """What a sentence is given: a share as it is, an odds ratio, a number with its unit."""
        if self.name == "log_odds":
            return None if value is None else exp(value)
        return self.stated(value) if self.name == "native" else value
