"""Filters and orders of the worst cases: what the page's little script needs, as values and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from figureground.audit.document.data import Group
from figureground.audit.keeping.tables import MISSING
from figureground.reports.sections.context import Context
from figureground.reports.view import Case, Cases, Facts, records

#: Orders, by the fact of a case that they read.
ORDERS = ("rank", "probability", "share")
#: Place of "is it right?" among the filters.
_RIGHT = 2
Row = dict[str, Any]


@dataclass(frozen=True)
class Filter:
    """One choice among values: its name, the values, and the words of each."""

    name: str
    values: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Tools:
    """The controls above the cases; ``count`` has ``{shown}`` and ``{total}`` to be filled in."""

    filters: tuple[Filter, ...]
    orders: tuple[tuple[str, str], ...]
    count: str


def with_tools(context: Context, groups: Sequence[Cases]) -> tuple[tuple[Cases, ...], Tools | None]:
    """The same cases with their facts, and the controls for them; none where no case is of a single image."""
    rows = {(row["rule"], at): row for group in groups for at, row in enumerate(_originals(context, group.rule_name))}
    if not rows:
        return tuple(groups), None
    values = _values(context, rows)
    filters = _filters(context, list(values.values()))
    facts = {key: _facts(context, row, values[key], filters) for key, row in rows.items()}
    known = tuple(_known(group, facts) for group in groups)
    return known, Tools(filters, _orders(context, list(facts.values())), _count(context))


def _originals(context: Context, rule: str) -> list[Row]:
    """The unchanged picture of each case of a rule, in the order of the cases."""
    return [row for row in context.gallery if row["rule"] == rule and row["panel"] == "original"]


def _known(group: Cases, facts: Mapping[tuple[str, int], Facts]) -> Cases:
    cases: list[Case] = []
    for at, case in enumerate(group.cases):
        cases.append(replace(case, facts=facts.get((group.rule_name, at))))
    return replace(group, cases=tuple(cases))


def _values(context: Context, rows: Mapping[tuple[str, int], Row]) -> dict[tuple[str, int], tuple[str, ...]]:
    """What each case is, filter by filter: its label, its answer, whether that is right, its subgroups."""
    groups = _subgroups(context)
    levels = _levels(context, groups, {row["row_id"] for row in rows.values()})
    found = {}
    for key, row in rows.items():
        right = "yes" if row["predicted"] == row["label"] else "no"
        told = levels.get(row["row_id"], {})
        own = (told.get(group.attribute, MISSING) for group in groups)
        found[key] = (row["label"] or MISSING, row["predicted"] or MISSING, right, *own)
    return found


def _subgroups(context: Context) -> tuple[Group, ...]:
    """Subgroups whose level is written in the examples as it stands: no bins, no crossings."""
    columns = set(context.result.examples.columns)
    return tuple(one for one in context.document.data.groups if one.bin_edges is None and one.attribute in columns)


def _levels(context: Context, groups: Sequence[Group], ids: set[int]) -> dict[int, dict[str, str]]:
    """By ``row_id``, the level of each subgroup."""
    examples, names = context.result.examples, [one.attribute for one in groups]
    wanted = records(examples.loc[examples["row_id"].isin(ids), ["row_id", *names]])
    return {row["row_id"]: {name: str(row[name] or MISSING) for name in names} for row in wanted}


def _filters(context: Context, values: Sequence[tuple[str, ...]]) -> tuple[Filter, ...]:
    say = context.words.say
    own = [one.attribute for one in _subgroups(context)]
    names = [say("tools.label"), say("tools.predicted"), say("tools.right"), *own]
    found = []
    for at, name in enumerate(names):
        known = tuple(sorted({one[at] for one in values}))
        words = tuple(say(f"tools.right.{one}") for one in known) if at == _RIGHT else known
        found.append(Filter(name, known, words))
    return tuple(found)


def _facts(context: Context, row: Row, values: tuple[str, ...], filters: Sequence[Filter]) -> Facts:
    same = ("rule", "rank", "row_id")
    panels = [one for one in context.gallery if all(one[name] == row[name] for name in same)]
    shares = [one["background_share"] for one in panels if one["background_share"] is not None]
    return Facts(
        rank=int(row["rank"]),
        choices=tuple(one.values.index(value) + 1 for one, value in zip(filters, values, strict=True)),
        probability="" if row["probability"] is None else f"{row['probability']:.6f}",
        share=f"{sum(shares) / len(shares):.6f}" if shares else "",
    )


def _orders(context: Context, facts: Sequence[Facts]) -> tuple[tuple[str, str], ...]:
    """The declared order, and those by what is known of some case."""
    known = [name for name in ORDERS if name == "rank" or any(getattr(one, name) for one in facts)]
    return tuple((name, context.words.say(f"tools.by_{name}")) for name in known)


def _count(context: Context) -> str:
    return context.words.say("tools.count", shown="{shown}", total="{total}")
