"""Which columns make subgroups: declared before the run, or by a rule that is stated; nothing is left out silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np
import pandas as pd

from figureground.audit.document import audit_json as document
from figureground.audit.judge.edges import cut_at, split_edges
from figureground.audit.keeping.tables import MISSING
from figureground.audit.rows.recipients import has_environment
from figureground.errors import UsageError

MIN_LEVELS, MAX_LEVELS, BINS = 2, 20, 4
#: A column of more levels than this names the rows and does not group them; asking for it is refused.
MOST_LEVELS = 200


@dataclass(frozen=True)
class Group:
    """An attribute and the level of every row.

    Attributes
    ----------
    attribute : str
        Column name, ``a:18,40`` where edges were declared, or ``a*b`` for a crossing.
    levels : tuple of str
        All levels among the rows given, usable or not; a level without usable rows is reported with n = 0.
    values : pandas.Series
        Level of each row of ``examples``, same index.
    """

    attribute: str
    origin: str
    levels: tuple[str, ...]
    values: pd.Series = field(repr=False)
    bin_edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Grouping:
    """The subgroups of a run, and the columns that make none with the reason."""

    groups: tuple[Group, ...]
    not_used: tuple[document.NotUsed, ...]


def group_rows(
    examples: pd.DataFrame,
    attributes: Sequence[str],
    by: Sequence[str] | None,
    exploratory: Sequence[str] = (),
    levels: Mapping[str, Sequence[str]] | None = None,
) -> Grouping:
    """Subgroups of the rows.

    Parameters
    ----------
    examples : pandas.DataFrame
        The ``examples`` table, all rows.
    attributes : sequence of str
        Its attribute columns.
    by : sequence of str or None
        Declared columns, with edges where numbers are to be cut (``"age:18,40,65"``), and crossings (``"site*sex"``);
        None: every column with 2 to 20 levels, numeric columns with more in quartiles.
    exploratory : sequence of str
        Columns and crossings that were asked for after the run; one that is there already keeps its origin.
    levels : mapping of str to sequence of str, optional
        Levels that the data declares for columns; those without a row have n = 0.
    """
    columns = (["environment"] if has_environment(examples) else []) + list(attributes)
    found = _first(examples, columns, by)
    known = {group.attribute for group in found.groups}
    later = [_declared(examples, columns, name, "exploratory") for name in exploratory]
    groups = {group.attribute: group for group in later if group.attribute not in known}
    not_used = tuple(item for item in found.not_used if item.column not in groups)
    return Grouping(tuple(_with_levels(one, levels or {}) for one in (*found.groups, *groups.values())), not_used)


def _with_levels(group: Group, levels: Mapping[str, Sequence[str]]) -> Group:
    """The group with the levels that are declared for its column; those of bins and crossings are what they are."""
    known = levels.get(group.attribute, ()) if group.bin_edges is None else ()
    return replace(group, levels=(*group.levels, *sorted(set(known) - set(group.levels))))


def _first(examples: pd.DataFrame, columns: Sequence[str], by: Sequence[str] | None) -> Grouping:
    """The subgroups of a run that was not asked anything later."""
    if by is not None:
        return Grouping(tuple(_declared(examples, columns, name) for name in by), ())
    groups: list[Group] = []
    not_used: list[document.NotUsed] = []
    for name in columns:
        reason = _unfit(examples, name, groups)
        if reason:
            not_used.append(document.NotUsed(column=name, reason=reason))
        else:
            groups.append(_group(examples, name, "default"))
    return Grouping(tuple(groups), tuple(not_used))


def check_declared(columns: Sequence[str], by: Sequence[str] | None) -> None:
    """Raise :class:`UsageError` where a declared subgroup names a column that is not there, or edges that are none."""
    for name in by or ():
        unknown = [part for part in _parts(name) if split_edges(part, columns)[0] not in columns]
        if unknown:
            raise UsageError(
                "SUBGROUP",
                f"by:{name}",
                found=f"no column {unknown[0]!r}",
                expected=f"one of {', '.join(columns) or '(none)'}",
                fix="name attribute columns of the data, joined by * for a crossing",
            )


def check_groups(rows: pd.DataFrame, columns: Sequence[str], by: Sequence[str] | None) -> None:
    """Raise :class:`UsageError` where a declared subgroup would be one of single rows; also as :func:`check_declared`.

    ``rows`` are those of the table, before anything was read: so that it is told before hours of work.
    """
    for name in by or ():
        _declared(rows, columns, name)


def _parts(name: str) -> list[str]:
    return [part.strip() for part in name.split("*")]


def _declared(examples: pd.DataFrame, columns: Sequence[str], name: str, origin: str = "declared") -> Group:
    check_declared(columns, [name])
    parts = _parts(name)
    groups = [_named(examples, columns, part, origin) for part in parts]
    if len(groups) == 1:
        return groups[0]
    levels = [" × ".join(cell) for cell in product(*(group.levels for group in groups))]
    values = groups[0].values
    for group in groups[1:]:
        values = values + " × " + group.values
    return Group("*".join(parts), origin, tuple(levels), values)


def _named(examples: pd.DataFrame, columns: Sequence[str], part: str, origin: str) -> Group:
    """One column that was asked for, cut at its edges where there are any."""
    column, edges = split_edges(part, columns)
    if edges is None:
        group = _group(examples, column, origin)
        written = examples[column].fillna(MISSING).astype(str)
        fault = _identifier(written) if group.bin_edges is not None else None
    else:
        levels, values = cut_at(examples[column].fillna(MISSING).astype(str), edges)
        group, fault = Group(part, origin, levels, values, edges), None
    fault = f"{len(group.levels)} levels" if len(group.levels) > MOST_LEVELS else fault
    if fault is None:
        return group
    raise UsageError(
        "SUBGROUP",
        f"by:{part}",
        found=f"{fault}: an identifier, a date or free text",
        expected=f"at most {MOST_LEVELS} levels, or numbers that are cut into bins",
        fix=f"leave it out, or cut numbers at edges: --by {column}:18,40,65",
    )


def _group(examples: pd.DataFrame, name: str, origin: str) -> Group:
    values = examples[name].fillna(MISSING).astype(str)
    if values.nunique() > MAX_LEVELS and (numbers := _numbers(values)) is not None:
        return _binned(name, origin, numbers)
    return Group(name, origin, tuple(sorted(values.unique())), values)


def _identifier(values: pd.Series) -> str | None:
    """What a column of numbers is said to be, where every row has a whole number of its own."""
    numbers, count = _numbers(values), values.nunique()
    if numbers is not None and count == len(values) and bool((numbers.dropna() % 1 == 0).all()):
        return f"{count} distinct whole numbers"
    return None


def _binned(name: str, origin: str, numbers: pd.Series) -> Group:
    edges = np.unique(np.quantile(numbers.dropna(), np.linspace(0, 1, BINS + 1)))
    digits = next(d for d in (3, 4, 6, 9, 12, 15, 17) if len({f"{edge:.{d}g}" for edge in edges}) == len(edges))
    names = [f"[{low:.{digits}g}, {high:.{digits}g}{']' if last else ')'}" for low, high, last in _spans(edges)]
    at = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(names) - 1)
    values = pd.Series(np.where(numbers.isna(), MISSING, np.array(names, dtype=object)[at]), index=numbers.index)
    levels = (*names, MISSING) if numbers.isna().any() else tuple(names)
    return Group(name, origin, levels, values, tuple(float(edge) for edge in edges))


def _spans(edges: np.ndarray) -> list[tuple[float, float, bool]]:
    pairs = list(pairwise(edges)) or [(edges[0], edges[0])]
    return [(low, high, number == len(pairs) - 1) for number, (low, high) in enumerate(pairs)]


def _numbers(values: pd.Series) -> pd.Series | None:
    numbers = pd.to_numeric(values.where(values != MISSING), errors="coerce")
    all_numeric = bool((numbers.notna() | (values == MISSING)).all()) and bool(np.isfinite(numbers.dropna()).all())
    return numbers if all_numeric and numbers.notna().any() else None


def _unfit(examples: pd.DataFrame, name: str, before: Sequence[Group]) -> str | None:
    values = examples[name].fillna(MISSING).astype(str)
    count = values.nunique()
    if count == 0:
        return "no image that this could divide"
    if count < MIN_LEVELS:
        return f"one level only: {values.iloc[0]}"
    if _same_partition(values, examples["label"].astype(str)):
        return "the same partition as label"
    for group in before:
        if _same_partition(values, group.values):
            return f"the same partition as {group.attribute}"
    if count > MAX_LEVELS:
        if _numbers(values) is None:
            return f"{count} levels: an identifier, a date or free text"
        if (told := _identifier(values)) is not None:
            return f"{told}: an identifier"
    return None


def _same_partition(left: pd.Series, right: pd.Series) -> bool:
    (one, of_one), (other, of_other) = pd.factorize(left), pd.factorize(right)
    if len(of_one) != len(of_other):
        return False
    return len(np.unique(one * len(of_other) + other)) == len(of_one)
