"""Whom a system is meant for, as a person gave it: how large a share each level of an attribute has in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from figureground.errors import UsageError

#: Shares in [0, 1] by attribute and level.
Shares = dict[str, dict[str, float]]
#: Makes the error from where, what was found, and what was expected.
Refuse = Callable[[str, str, str], UsageError]
#: What rounding may add to a sum of shares.
_ROUNDING = 1e-3


def shares(given: object, refuse: Refuse) -> Shares | None:
    """Shares as given, checked; None where none were given.

    Parameters
    ----------
    given : object
        A mapping of attributes to mappings of levels to shares, as TOML gives it.
    refuse : callable

    Raises
    ------
    UsageError
        Something else stands there, a share is not in [0, 1], or the shares of an attribute add up to more than 1.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise refuse("shares", type(given).__name__, "a table of attributes")
    return {str(attribute): _levels(str(attribute), levels, refuse) for attribute, levels in given.items()}


def from_cell(field: str, value: Any, refuse: Refuse) -> tuple[str, str, Any]:
    """Attribute, level and share of a row of a sheet, whose field ends in ``: attribute = level``."""
    attribute, equals, level = (part.strip() for part in field.partition(":")[2].partition("="))
    if not (attribute and equals and level):
        raise refuse(field, repr(field), "the field, a colon, and attribute = level")
    return attribute, level, value


def _levels(attribute: str, given: object, refuse: Refuse) -> dict[str, float]:
    where = f"shares.{attribute}"
    if not isinstance(given, Mapping) or not given:
        raise refuse(where, type(given).__name__, "a table of levels, each with its share")
    found = {str(level): _share(f"{where}.{level}", share, refuse) for level, share in given.items()}
    if sum(found.values()) > 1 + _ROUNDING:
        raise refuse(where, f"shares that add up to {sum(found.values()):g}", "at most 1")
    return found


def _share(where: str, given: object, refuse: Refuse) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not isfinite(float(given)) or not 0 <= float(given) <= 1:  # type: ignore[arg-type]
        raise refuse(where, repr(given), "a share from 0 to 1")
    return float(given)  # type: ignore[arg-type]
