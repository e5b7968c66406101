"""Two audits, row by row: the rows that both have, and what each of them says there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from figureground.audit.compare.answer_rows import CommonAnswers
from figureground.audit.compare.cue_rows import CommonContrast, CueRows, compare_cue
from figureground.audit.compare.differing import Ruler
from figureground.audit.compare.document import Difference
from figureground.audit.compare.map_rows import Method, share_differences
from figureground.audit.compare.pairing import Pairing, pair
from figureground.audit.compare.side import Side
from figureground.audit.declared.cues import cue_spec
from figureground.audit.declared.task import LABEL_PREFIX, MASK_PREFIX
from figureground.audit.judge.grouping import Group, group_rows
from figureground.audit.judge.observations import observe
from figureground.audit.judge.performance import scored
from figureground.audit.judge.views import View, views
from figureground.audit.keeping.tables import EXAMPLES

#: Tables without which rows cannot be compared.
NEEDED = ("examples", "predictions")
#: Draws are the same whichever audit is named first.
SEED = 0


@dataclass(frozen=True)
class Matched:
    """Rows of two audits, one by one, for one question.

    Attributes
    ----------
    first, second : View
        What each audit knows: of everything, or of one finding.
    pairing : Pairing
    tables : pair of dict
        Other tables of both audits, by name.
    groups : tuple of Group
        Subgroups of the first audit that the second has too, over the first one's rows.
    """

    first: View
    second: View
    pairing: Pairing
    tables: tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]] = field(repr=False)
    groups: tuple[Group, ...] = field(default=(), repr=False)

    def cue(self, name: str, ruler: Ruler) -> CueRows | None:
        """Differences of one cue's contrast; None where the rows of either audit do not hold it.

        A bundle may leave out strata and swaps, where they would tell who is in a small cell.
        """
        if any("strata" not in tables for tables in self.tables):
            return None
        units = self.pairing.first_clusters, self.pairing.second_clusters
        found = [
            observe(view.examples, view.predictions, tables["strata"], view.classes, name, clusters=view.clusters)
            for view, tables in zip((self.first, self.second), self.tables, strict=True)
        ]
        if found[0] is None or found[1] is None:
            return None
        rows = self.pairing.chosen(masks=cue_spec(name).needs_mask)
        scale = self.first.scale if self.first.scale == self.second.scale else "decision"
        return compare_cue(CommonContrast.of((found[0], found[1]), rows, units), scale, ruler, SEED)

    def answers(self) -> CommonAnswers:
        """Correctness of both models on the common rows."""
        told = [scored(view.examples, view.predictions, view.classes) for view in (self.first, self.second)]
        return CommonAnswers.of(told[0], told[1], self.pairing.rows)

    def shares(self, ruler: Ruler) -> Iterator[tuple[Method, Difference]]:
        """Share of attribution on the background, by method."""
        if any("attributions" not in tables for tables in self.tables):
            return
        maps = [
            view.attributions(tables["attributions"])
            for view, tables in zip((self.first, self.second), self.tables, strict=True)
        ]
        yield from share_differences(maps[0], maps[1], self.pairing.chosen(masks=True), ruler)


def why_not(first: Side, second: Side) -> str | None:
    """Why rows of two audits cannot be compared one by one; None where they can."""
    if any(side.kind == "bundle" and side.key_id is None for side in (first, second)):
        return "no_key"
    if first.kind != second.kind and None in (first.key_id, second.key_id):
        return "run_and_bundle"
    if first.space != second.space:
        return "other_key"
    return None if all(side.has(name) for side in (first, second) for name in NEEDED) else "no_rows"


def common_rows(first: Side, second: Side) -> Pairing:
    """The rows that both audits have."""
    labelled = first.document.data.labelled and second.document.data.labelled
    return pair(first.table("examples"), second.table("examples"), labelled=labelled)


def matched(first: Side, second: Side, pairing: Pairing) -> Iterator[tuple[str | None, Matched]]:
    """One question for classes; one for each finding that both audits have."""
    tables = (_others(first), _others(second))
    seen = [{view.finding: view for view in _views(side)} for side in (first, second)]
    groups = _groups(first, second)
    for finding, view in seen[0].items():
        if finding in seen[1]:
            yield finding, Matched(view, seen[1][finding], pairing, tables, groups)


def _views(side: Side) -> Iterator[View]:
    return views(side.table("examples"), side.table("predictions"), side.task, side.policy.rare_share)


def _others(side: Side) -> dict[str, pd.DataFrame]:
    return {name: side.table(name) for name in ("strata", "attributions") if side.has(name)}


def _groups(first: Side, second: Side) -> tuple[Group, ...]:
    """Subgroups of both, without those that were asked for after a run; as the first audit cuts them."""
    asked = [
        {group.attribute for group in side.document.data.groups if group.origin != "exploratory"}
        for side in (first, second)
    ]
    examples = first.table("examples")
    attributes = [name for name in examples.columns if name not in EXAMPLES.names and not _internal(name)]
    columns = [*(["environment"] if examples["environment"].notna().any() else []), *attributes]
    shared = [name for name in sorted(asked[0] & asked[1]) if all(part in columns for part in _columns(name))]
    return group_rows(examples, attributes, shared).groups


def _columns(name: str) -> list[str]:
    return [part.strip().partition(":")[0] for part in name.split("*")]


def _internal(name: str) -> bool:
    return name.startswith((LABEL_PREFIX, MASK_PREFIX)) or name == "mask_source"
