"""The ``subgroups`` table: performance, attribution and contrast for every level and every label x level.

A level without usable rows is a row with n = 0; nothing is dropped. Grouping is by name, never by position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import cue_spec
from figureground.audit.judge.cells import Cell, make_cells
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.contrasts import Contrasted
from figureground.audit.judge.effects import Clusterings, limits
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import Interval, logit_t, mean_t
from figureground.audit.judge.multiplicity import benjamini_yekutieli
from figureground.audit.judge.performance import accuracy
from figureground.audit.judge.pooling import pool_crossings
from figureground.audit.judge.resampled import DISAGREES, MATERIAL, bca_distance
from figureground.audit.judge.rows import estimate_columns, p_value
from figureground.audit.judge.weighing import weights_of
from figureground.audit.keeping.tables import ALL
from figureground.audit.methods.reported import reported_in

#: Why the measures of maps are missing where a row has no mask: the status of its row in ``attributions``.
MASK_ABSENT = "mask_absent"
SHARES = ("background_share", "background_area", "bleed_floor")


@dataclass(frozen=True)
class SubgroupTable:
    """Computes the table.

    Attributes
    ----------
    policy : Policy
    attributions : pandas.DataFrame
    followed : mapping of str to Contrasted
        By cue, the contrasts whose primary effect is followed into the subgroups; empty where none could be run.
    """

    policy: Policy
    attributions: pd.DataFrame = field(repr=False)
    followed: Mapping[str, Contrasted] = field(default_factory=dict, repr=False)

    def __call__(
        self, rows: pd.DataFrame, groups: Sequence[Group], labels: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Rows of ``subgroups`` for usable ``rows`` as :func:`~.performance.scored` gives them.

        ``labels`` are those among the rows given; one without usable rows is reported with n = 0.
        """
        cells = list(make_cells(rows, groups, labels))
        wide = {key: self._method(key) for key in reported_in(self.attributions)}
        found = [line for cell in cells for line in self._cell(rows[cell.member], cell, wide)]
        table = pd.DataFrame(found)
        pooled = pool_crossings(table, 1 - self.policy.alpha)
        table = pd.concat([table, pooled], ignore_index=True).drop(columns="standard_error")
        if "p_raw" not in table:  # without a swap no measure is tested
            table["p_raw"] = np.nan
        table["p_adjusted"] = np.nan
        parts = ~((table["attribute"] == ALL) & (table["label"] == ALL)) & (table["measure"] == "contrast")
        # What is asked later pays for everything; what was asked before does not pay for what is asked later.
        before = table["origin"] != "exploratory"
        for cue in self.followed:
            chosen = parts & (table["cue"] == cue)
            for family, told in ((chosen, chosen & ~before), (chosen & before, chosen & before)):
                p = table.loc[family, "p_raw"].astype(float)
                adjusted = pd.Series(benjamini_yekutieli(p.to_numpy()), index=p.index)
                table.loc[told, "p_adjusted"] = adjusted[told[told].index]
        return table

    def _cell(
        self, members: pd.DataFrame, cell: Cell, wide: dict[tuple[str, str], pd.DataFrame]
    ) -> Iterator[dict[str, Any]]:
        level = 1 - self.policy.alpha
        keys = {
            "attribute": cell.attribute,
            "level": cell.level,
            "label": cell.label,
            "origin": cell.origin,
            "n_rows": len(members),
        }
        correct, clusters = members["correct"].to_numpy(dtype=float), members["cluster"].to_numpy(dtype=object)
        found = accuracy(correct, clusters, level, weights_of(members))
        yield keys | {"measure": "accuracy"} | self._columns(found)
        for (method, sign), maps in wide.items():
            yield from self._attribution(
                keys | {"method": method, "sign": sign}, members, maps.reindex(members["row_id"])
            )
        for cue, item in self.followed.items():
            yield keys | {"measure": "contrast", "cue": cue} | self._contrast(item, members)

    def _attribution(self, keys: dict[str, Any], members: pd.DataFrame, maps: pd.DataFrame) -> Iterator[dict[str, Any]]:
        clusters, weights = members["cluster"].to_numpy(dtype=object), weights_of(members)
        degenerate = float((maps["status"] == "degenerate").mean()) if len(maps) else 0.0
        for measure in (*SHARES, "ldr"):
            values = maps[measure].to_numpy(dtype=float)
            values = np.where(np.isfinite(values), values, np.nan)
            known = ~np.isnan(values)
            estimate = mean_t if measure == "ldr" else logit_t
            interval = estimate(values, clusters, 1 - self.policy.alpha, weights=weights)
            columns = self._columns(interval)
            if degenerate > self.policy.max_degenerate:
                columns |= {"status": "degenerate", "reason": f"{degenerate:.0%} of the maps are empty"}
            elif _all_absent(maps["status"]):
                columns |= {"status": "not_tested", "reason": MASK_ABSENT}
            elif len(members) and not known.any():
                columns |= {"status": "not_estimable", "reason": _commonest(maps)}
            elif measure == "background_share" and keys["label"] == ALL and columns["status"] == "ok":
                # BCa knows no weights: what is checked is the shape of the interval, on the rows as they are.
                plain = logit_t(values, clusters, 1 - self.policy.alpha)
                distance = bca_distance(plain, values, clusters)
                columns["reason"] = DISAGREES if distance is not None and distance > MATERIAL else None
            yield keys | {"measure": measure} | columns

    def _contrast(self, item: Contrasted, members: pd.DataFrame) -> dict[str, Any]:
        part = item.observed.take(np.isin(item.observed.row_id, members["row_id"].to_numpy()))
        if len(part) == 0:
            empty = Interval(np.nan, np.nan, np.nan, 1 - self.policy.alpha, 0, 0, np.nan, 0)
            return self._columns(empty) | _why_none(item.observed.cue, members)
        h, scale = item.contrast.primary, item.contrast.scale
        interval = multiway_mean(
            h.values(part, scale),
            *Clusterings.of(part).of_hypothesis(h),
            level=1 - self.policy.alpha,
            bounds=limits(scale, "swapped"),
            weights=part.weight,
        )
        return self._columns(interval) | {"p_raw": p_value(interval)}

    def _columns(self, interval: Interval) -> dict[str, Any]:
        columns = estimate_columns(interval, min_clusters=self.policy.min_clusters, alpha=self.policy.alpha)
        return columns | {"standard_error": interval.standard_error}

    def _method(self, key: tuple[str, str]) -> pd.DataFrame:
        method, sign = key
        chosen = self.attributions[(self.attributions["method"] == method) & (self.attributions["sign"] == sign)]
        return chosen.set_index("row_id")


def _all_absent(status: pd.Series) -> bool:
    """Whether there are maps, and none of them has a mask; rows that were not explained say nothing."""
    known = status.dropna()
    return len(known) > 0 and bool((known == MASK_ABSENT).all())


def _why_none(cue: str, members: pd.DataFrame) -> dict[str, str]:
    """Why a subgroup has images and none of them was tested; nothing to add where it has none."""
    if members.empty:
        return {}
    bare = cue_spec(cue).needs_mask and "object_area" in members and bool(members["object_area"].isna().all())
    return {"status": "not_tested", "reason": MASK_ABSENT if bare else "none_drawn"}


def _commonest(maps: pd.DataFrame) -> str:
    """Why most rows have no value: their reason, or where they have none their status."""
    reasons = maps["reason"].where(maps["reason"].notna(), maps["status"].where(maps["status"] != "ok")).dropna()
    return str(reasons.mode().iloc[0]) if len(reasons) else "no value"
