"""Which states an n can reach, cue by cue and subgroup by subgroup, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any

import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import cue_spec
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import min_detectable
from figureground.audit.judge.margins import certifiable_margin
from figureground.audit.judge.power import planning_spread, units_to_certify
from figureground.audit.judge.untested import obstacle
from figureground.audit.keeping.tables import ALL
from figureground.audit.rows.strata import usable_rows

#: Rows and clusters by attribute and level.
Counts = Mapping[tuple[str, str], tuple[int, int]]
COLUMNS = (
    "cue",
    "attribute",
    "level",
    "needs_mask",
    "n_clusters",
    "tested",
    "demonstrable",
    "demonstrable_from",
    "more_to_demonstrate",
    "clearable",
    "certifiable",
    "to_clear",
    "more_to_clear",
    "limited_by",
    "obstacle",
)


@dataclass(frozen=True)
class Reach:
    """Plans with conservative spreads, by the formulas that the judge uses on measured ones.

    Attributes
    ----------
    policy : Policy
    examples : pandas.DataFrame
        The ``examples`` table.
    strata : pandas.DataFrame
        ``row_id``, ``stratum``, ``source`` of the rows that can take part.
    regions : tuple of str
    grey : bool
    checks : sequence of TrustCheck
        Of the levels, where there was a model to make them.
    """

    policy: Policy
    examples: pd.DataFrame = field(repr=False)
    strata: pd.DataFrame = field(repr=False)
    regions: tuple[str, ...] = ()
    grey: bool = False
    checks: Sequence[TrustCheck] = ()

    def __call__(self, cues: Sequence[str], groups: Sequence[Group]) -> pd.DataFrame:
        """One row per cue and subgroup, ``attribute`` and ``level`` being ``(all)`` for everything.

        ``n_clusters`` could take part, ``tested`` of them would (cues beyond the background are tested on a
        subsample). ``demonstrable_from`` is the smallest effect whose lower bound would reach the material size with
        the policy's power; ``certifiable`` the margin within which an effect of 0 would be certified; both on the
        decision scale, in [0, 1]. ``to_clear`` is the number of clusters at which that margin is the negligible one,
        and ``more_to_clear`` what is missing. ``limited_by`` names the policy's setting that keeps ``tested`` too
        small where the data would suffice, and ``obstacle`` what rules a test out whatever n is.
        """
        usable = usable_rows(self.examples)
        rows = usable[usable["row_id"].isin(self.strata["row_id"])]
        counts = {masked: _counted(rows[rows["masked"]] if masked else rows, groups) for masked in (False, True)}
        lines = [line for cue in cues for line in self._cue(cue, counts[cue_spec(cue).needs_mask])]
        words = {name: pd.Series([line[name] for line in lines], dtype=object) for name in ("limited_by", "obstacle")}
        return pd.DataFrame(lines, columns=list(COLUMNS)).assign(**words)  # null stays None beside names

    def _cue(self, cue: str, counts: Counts) -> Iterator[dict[str, Any]]:
        found = obstacle(cue, self.examples, self.strata, self.regions, self.grey, self.checks)
        everything = counts[ALL, ALL]
        yield self._line(cue, ALL, ALL, everything, 1.0, self._comparisons, found.key if found else None)
        if found is not None:
            return
        for (attribute, level), members in counts.items():
            if attribute != ALL:
                share = members[0] / max(everything[0], 1)
                yield self._line(cue, attribute, level, members, share, 1, None)

    def _line(
        self,
        cue: str,
        attribute: str,
        level: str,
        counted: tuple[int, int],
        share: float,
        comparisons: int,
        blocked: str | None,
    ) -> dict[str, Any]:
        policy, spread, (rows, units) = self.policy, planning_spread(cue), counted
        tested, setting = self._tested(cue, rows, units, share)
        least = policy.min_clusters
        to_clear = units_to_certify(spread, policy.delta_negligible, policy, comparisons)
        known = blocked is None and tested >= 2
        error, df = (spread / sqrt(tested), tested - 1) if known else (float("nan"), 1)
        from_effect = policy.delta_material + min_detectable(error, df, policy.alpha, policy.power)
        return {
            "cue": cue,
            "attribute": attribute,
            "level": level,
            "needs_mask": cue_spec(cue).needs_mask,
            "n_clusters": units,
            "tested": tested,
            "demonstrable": bool(known and tested >= least and from_effect <= 1),
            "demonstrable_from": from_effect,
            "more_to_demonstrate": max(0, least - units),
            "clearable": bool(known and tested >= to_clear),
            "certifiable": certifiable_margin(error, df, policy.alpha, self._power(comparisons)),
            "to_clear": to_clear,
            "more_to_clear": max(0, to_clear - units),
            "limited_by": setting if tested < to_clear <= units else None,
            "obstacle": blocked,
        }

    def _tested(self, cue: str, rows: int, units: int, share: float) -> tuple[int, str | None]:
        """Clusters that would be tested, and the setting of the policy that limits them."""
        spec = cue_spec(cue)
        if spec.primary or rows == 0:
            return units, None
        setting = "grid_rows" if spec.kind == "grid" else "secondary_rows"
        images = getattr(self.policy, setting) * share
        return min(units, int(units * min(1.0, images / rows))), setting

    @cached_property
    def _comparisons(self) -> int:
        """Pairs of levels and, beyond two classes, classes that must all be certified."""
        levels, classes = self.strata["stratum"].nunique(), self.examples["label"].nunique()
        return max(1, levels * (levels - 1) // 2) * (classes if classes > 2 else 1)

    def _power(self, comparisons: int) -> float:
        return 1 - (1 - self.policy.power) / comparisons


def _counted(rows: pd.DataFrame, groups: Sequence[Group]) -> Counts:
    """Rows and clusters of everything and of every level, in the order of the groups."""
    found = {(ALL, ALL): (len(rows), int(rows["cluster"].nunique()))}
    for group in groups:
        by_level = rows["cluster"].groupby(group.values.loc[rows.index]).agg(["size", "nunique"])
        sizes = dict(zip(by_level.index, by_level.itertuples(index=False, name=None), strict=True))
        found |= {(group.attribute, level): sizes.get(level, (0, 0)) for level in group.levels}
    return {key: (int(n), int(units)) for key, (n, units) in found.items()}
