"""Numbers cut into bins at edges that were declared: ``age:18,40,65``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from figureground.audit.keeping.tables import MISSING
from figureground.errors import UsageError


def split_edges(name: str, columns: Sequence[str]) -> tuple[str, tuple[float, ...] | None]:
    """Column and edges of one part of a subgroup; a column that is really named so has none.

    Raises
    ------
    UsageError
        Edges that do not rise.

    Examples
    --------
    >>> split_edges("age:18,40,65", ["age"])
    ('age', (18.0, 40.0, 65.0))
    >>> split_edges("age", ["age"])
    ('age', None)
    """
    column, mark, text = name.rpartition(":")
    if name in columns or not mark:
        return name, None
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        return name, None  # said to be no column, by who asked
    if not all(low < high for low, high in pairwise(edges)) or not np.isfinite(edges).all():
        raise UsageError(
            "SUBGROUP",
            f"by:{name}",
            found=f"the edges {text}",
            expected="numbers, each above the one before",
            fix=f"--by {column}:{','.join(f'{edge:g}' for edge in sorted(set(edges)))}",
        )
    return column, edges


def join_edges(parts: Sequence[str]) -> list[str]:
    """Subgroups of a text that was split at its commas: numbers belong to the edges before them.

    >>> join_edges(["site", "age:18", "40", "65", "sex"])
    ['site', 'age:18,40,65', 'sex']
    >>> join_edges(["age:18", "40*sex"])
    ['age:18,40*sex']
    """
    found: list[str] = []
    for part in parts:
        # Of a crossing, the number before the first * is meant.
        follows = found and ":" in found[-1].rpartition("*")[2] and _is_number(part.partition("*")[0])
        found[-1:] = [f"{found[-1]},{part}"] if follows else [*found[-1:], part]
    return found


def cut_at(values: pd.Series, edges: Sequence[float]) -> tuple[tuple[str, ...], pd.Series]:
    """Bins, and the bin of each row: the lower edge belongs to a bin, the upper one to the next.

    What is no number stays a level as it is written, after the bins; so does ``(missing)``.
    """
    numbers = pd.to_numeric(values.where(values != MISSING), errors="coerce")
    shown = [f"{edge:g}" if float(f"{edge:g}") == edge else repr(edge) for edge in edges]
    names = [f"< {shown[0]}", *(f"[{low}, {high})" for low, high in pairwise(shown)), f">= {shown[-1]}"]
    at = np.searchsorted(np.asarray(edges), numbers, side="right")
    binned = pd.Series(np.array(names, dtype=object)[at], index=values.index).where(numbers.notna(), values)
    others = sorted(set(values[numbers.isna()]) - {MISSING})
    missing = [MISSING] if (values == MISSING).any() else []
    return (*names, *others, *missing), binned


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
