"""Filters and orders of the worst cases: what the page's little script needs, as values and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from figureground.audit.document_data import Group
from figureground.audit.tables import MISSING
from figureground.reports.sections.context import Context
from figureground.reports.view import Case, Cases, Facts, records

#: Orders, by the attribute of a case that they read.
ORDERS = ("rank", "probability", "share")


@dataclass(frozen=True)
class Filter:
    """One choice among values: its name, and (value, words) of each."""

    name: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Tools:
    """The controls above the cases; ``count`` has ``{shown}`` and ``{total}`` to be filled in."""

    filters: tuple[Filter, ...]
    orders: tuple[tuple[str, str], ...]
    count: str


def with_tools(context: Context, groups: Sequence[Cases]) -> tuple[tuple[Cases, ...], Tools | None]:
    """The same cases with their facts, and the controls for them; none where no case is of a single image."""
    rows = {(row["rule"], row["rank"]): row for row in context.gallery if row["panel"] == "original"}
    if not any((group.rule_name, 1) in rows for group in groups):
        return tuple(groups), None
    read = _Reader(context, _subgroups(context))
    known = tuple(
        replace(group, cases=tuple(_known(read, rows, group, case, at) for at, case in enumerate(group.cases, 1)))
        for group in groups
    )
    return known, read.tools([case.facts for group in known for case in group.cases if case.facts is not None])


def _known(read: _Reader, rows: dict[Any, Any], group: Cases, case: Case, rank: int) -> Case:
    row = rows.get((group.rule_name, rank))
    return case if row is None else replace(case, facts=read.facts(row))


@dataclass(frozen=True)
class _Reader:
    """Reads the facts of one run."""

    context: Context
    groups: tuple[Group, ...]

    def facts(self, row: dict[str, Any]) -> Facts:
        """Of a case, from the row of its unchanged picture."""
        shares = [one["background_share"] for one in self._panels(row) if one["background_share"] is not None]
        right = "yes" if row["predicted"] == row["label"] else "no"
        levels = self._levels.get(row["row_id"], {})
        return Facts(
            rank=int(row["rank"]),
            values=(row["label"] or "", row["predicted"] or "", right, *(levels[one.attribute] for one in self.groups)),
            probability="" if row["probability"] is None else f"{row['probability']:.6f}",
            share=f"{sum(shares) / len(shares):.6f}" if shares else "",
        )

    def tools(self, facts: Sequence[Facts]) -> Tools:
        """Filters with more than one value among the cases, orders that can be told, and the words of the count."""
        say = self.context.words.say
        names = [say("tools.label"), say("tools.predicted"), say("tools.right"), *(g.attribute for g in self.groups)]
        filters = [self._filter(at, name, facts) for at, name in enumerate(names)]
        orders = [name for name in ORDERS if name == "rank" or any(getattr(one, name) for one in facts)]
        return Tools(
            filters=tuple(filters),
            orders=tuple((name, say(f"tools.by_{name}")) for name in orders),
            count=say("tools.count", shown="{shown}", total="{total}"),
        )

    def _filter(self, at: int, name: str, facts: Sequence[Facts]) -> Filter:
        found = sorted({one.values[at] for one in facts})
        right = {"yes": "tools.right.yes", "no": "tools.right.no"} if at == 2 else {}
        return Filter(name, tuple((one, self.context.words.say(right[one]) if right else one) for one in found))

    def _panels(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        same = ("rule", "rank", "row_id")
        return [one for one in self.context.gallery if all(one[name] == row[name] for name in same)]

    @property
    def _levels(self) -> dict[int, dict[str, str]]:
        """By ``row_id``, the level of each subgroup; of the rows in the gallery only."""
        shown = {row["row_id"] for row in self.context.gallery}
        examples = self.context.result.examples
        wanted = examples.loc[examples["row_id"].isin(shown), ["row_id", *(one.attribute for one in self.groups)]]
        return {
            row["row_id"]: {one.attribute: str(row[one.attribute] or MISSING) for one in self.groups}
            for row in records(wanted)
        }


def _subgroups(context: Context) -> tuple[Group, ...]:
    """Subgroups whose level is written in the examples as it stands: no bins, no crossings."""
    columns = set(context.result.examples.columns)
    return tuple(one for one in context.document.data.groups if one.bin_edges is None and one.attribute in columns)
