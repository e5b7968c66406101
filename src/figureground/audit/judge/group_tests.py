"""Tests between the levels of every attribute: rows of the ``tests`` table.

Tests (column ``test``); ``attribute`` names the attribute, ``arm`` the level, ``reference`` the other level, or all
others together; ``scale`` is the measure in its own unit: ``accuracy``, ``ldr``, ``background_share``, ``contrast``, or
``contrast_log_odds`` where decisions are too rare to move:

- ``group_difference``: label-standardised difference of means; ``p_raw`` by stratified permutation, ``p_adjusted`` for
  the largest over the levels.
- ``cliffs_delta``: how much more often the level lies above the others than below, in [-1, 1]; ``p_raw`` by the test
  of Brunner and Munzel, ``p_adjusted`` by Benjamini and Yekutieli over all rows of this test.
- ``any_group_differs``: the largest difference of an attribute; ``p_raw`` by permutation of the largest statistic,
  ``p_adjusted`` by Benjamini and Hochberg over attributes and measures.
- ``group_difference_correct``, ``group_difference_adjusted``: of LDR differences that are there, among right answers
  only and with object size held; see :mod:`~figureground.audit.judge.confounders`.

All of them are exploratory: no verdict rests on them. ``n`` counts images, ``n_clusters`` the independent units of the
smaller side. Donors, which the contrast of several images may share, widen its intervals by subgroup but not these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.confounders import Confounders
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.differences import Difference, Permuted, Units, difference, make_units, permute
from figureground.audit.judge.families import adjust_in_turn, benjamini_hochberg
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.multiplicity import benjamini_yekutieli
from figureground.audit.judge.rows import estimate_columns
from figureground.audit.judge.weighing import weights_of
from figureground.audit.methods.reported import reported_in

#: The reference of a level that is compared with all others together.
OTHERS = "(others)"
#: Attributes beyond these are not compared level by level, and the register of what was not tested says so.
MAX_ATTRIBUTES = 12
_Key = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class GroupTests:
    """Computes the rows.

    Attributes
    ----------
    policy : Policy
    seed : int
    attributions : pandas.DataFrame
    followed : mapping of str to Contrasted
        By cue, the contrasts whose primary effect is compared between groups.
    """

    policy: Policy
    seed: int
    attributions: pd.DataFrame = field(repr=False)
    followed: Mapping[str, Contrasted] = field(default_factory=dict, repr=False)

    def __call__(self, rows: pd.DataFrame, groups: Sequence[Group]) -> pd.DataFrame:
        """Tests of scored usable rows; no row where there is no attribute."""
        values, rows = self.values(rows), self._placed(rows)
        lines = [line for group in groups[:MAX_ATTRIBUTES] for line in self._group(rows, group, values)]
        table = pd.DataFrame(lines, columns=None if lines else ["test", "p_raw", "p_adjusted"])
        asked_later = {group.attribute for group in groups if group.origin == "exploratory"}
        for test, adjust in (("any_group_differs", benjamini_hochberg), ("cliffs_delta", benjamini_yekutieli)):
            chosen = table[table["test"] == test]
            p, later = chosen["p_raw"].astype(float), chosen.get("attribute", chosen["test"]).isin(asked_later)
            table.loc[chosen.index, "p_adjusted"] = adjust_in_turn(p, later, adjust)
        return table

    def values(self, rows: pd.DataFrame) -> dict[_Key, pd.Series]:
        """What is compared, by measure, method and cue, on the index of the rows; measures without a value left out."""
        found: dict[_Key, pd.Series] = {("accuracy", None, None): rows["correct"].astype(float)}
        for method, sign in reported_in(self.attributions):
            chosen = self.attributions[(self.attributions["method"] == method) & (self.attributions["sign"] == sign)]
            maps = chosen.set_index("row_id").reindex(rows["row_id"])
            for measure in ("ldr", "background_share"):
                found[measure, method, None] = pd.Series(maps[measure].to_numpy(dtype=float), index=rows.index)
        for cue, item in self.followed.items():
            scale = item.contrast.scale
            effect = item.contrast.primary.values(item.observed, scale)
            means = pd.Series(effect).groupby(item.observed.row_id).mean().reindex(rows["row_id"])
            measure = {"log_odds": "contrast_log_odds", "native": "contrast_native"}.get(scale, "contrast")
            found[measure, None, cue] = pd.Series(means.to_numpy(dtype=float), index=rows.index)
        return {key: series for key, series in found.items() if series.notna().any()}

    def _placed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with the eccentricity of their objects, where it was measured."""
        if "object_eccentricity" not in self.attributions:
            return rows
        known = self.attributions.dropna(subset="object_eccentricity").drop_duplicates("row_id").set_index("row_id")
        return rows.assign(object_eccentricity=known["object_eccentricity"].reindex(rows["row_id"]).to_numpy())

    def _group(self, rows: pd.DataFrame, group: Group, values: Mapping[_Key, pd.Series]) -> Iterator[dict[str, Any]]:
        levels = group.values.loc[rows.index].astype(str)
        if levels.nunique() < 2 or not values:
            return
        frame = pd.DataFrame(dict(enumerate(values.values())))
        units = make_units(levels, rows["label"].astype(str), rows["cluster"].astype(str), frame, weights_of(rows))
        tested = range(1) if len(units.levels) == 2 else range(len(units.levels))
        permuted = permute(units, tested, self.seed)
        for measure, key in enumerate(values):
            found = [difference(units, level, measure, 1 - self.policy.alpha) for level in tested]
            compared = _Compared(self, group.attribute, key, units, found, permuted, measure)
            yield from compared.rows()
            if key[0] == "ldr":
                block = Confounders(self.policy, self.seed)(rows, levels, values[key], units, compared.clear(), measure)
                yield from (compared.keys(level) | line for level, line in block)


@dataclass(frozen=True)
class _Compared:
    """The rows of one attribute and measure."""

    stage: GroupTests
    attribute: str
    key: _Key
    units: Units
    found: Sequence[Difference]
    permuted: Permuted
    measure: int

    def keys(self, level: int) -> dict[str, Any]:
        measure, method, cue = self.key
        reference = self.units.levels[1] if len(self.units.levels) == 2 else OTHERS
        names = {"attribute": self.attribute, "arm": self.units.levels[level], "reference": reference}
        return {"cue": cue, "scale": measure, "method": method, "simultaneous": False, **names}

    def columns(self, interval: Any, **more: Any) -> dict[str, Any]:
        policy = self.stage.policy
        return estimate_columns(interval, min_clusters=policy.min_clusters, alpha=policy.alpha, **more)

    def rows(self) -> Iterator[dict[str, Any]]:
        for level, one in enumerate(self.found):
            p = {name: _or_none(getattr(self.permuted, key)[level, self.measure]) for name, key in _P.items()}
            line = self.columns(one.mean, **p)
            if line["status"] == "ok" and one.labels < self.units.values.shape[1]:
                line["reason"] = "labels_absent"
            yield self.keys(level) | {"test": "group_difference"} | line
            yield self.keys(level) | {"test": "cliffs_delta"} | self.columns(one.delta, p_raw=one.delta_p)
        known = [level for level, one in enumerate(self.found) if np.isfinite(one.mean.estimate)]
        if known:
            most = max(known, key=lambda level: abs(self.found[level].mean.estimate))
            p_any = _or_none(self.permuted.any_level[self.measure])
            yield self.keys(most) | {"test": "any_group_differs"} | self.columns(self.found[most].mean, p_raw=p_any)

    def clear(self) -> dict[int, Difference]:
        """Differences whose interval leaves out 0, by level."""
        return {level: one for level, one in enumerate(self.found) if one.mean.low > 0 or one.mean.high < 0}


def not_compared(groups: Sequence[Group]) -> list[document.NotTested]:
    """Attributes beyond the first twelve: "not compared" is never "no difference"."""
    return [
        document.NotTested(subject=group.attribute, reason="too_many_attributes") for group in groups[MAX_ATTRIBUTES:]
    ]


_P = {"p_raw": "single", "p_adjusted": "largest"}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
