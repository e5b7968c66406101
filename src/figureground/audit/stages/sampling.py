"""How large a sample is: what the policy's power asks for, or what was asked for instead; and how that is recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document.audit_json import Sample, SampledStratum
from figureground.audit.judge.grouping import MAX_LEVELS, group_rows
from figureground.audit.judge.power import planning_spread, units_to_certify, units_to_detect
from figureground.datasets.intake import Examples
from figureground.datasets.sampling import SAMPLED_OUT, ClusterDraw, Drawn
from figureground.errors import UsageError

Rule = Literal["all", "small", "power", "max_images", "time"]
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class SamplePlan:
    """Decides which rows of a data table an audit looks at.

    Attributes
    ----------
    config : AuditConfig
        Seed, and what was asked: ``max_images``, ``time``, ``all`` or nothing.
    policy : Policy
    attributes : tuple of str
        Attribute columns of the rows.
    fits : int or None
        Rows that fit into the time asked for; only with ``config.time``.
    """

    config: AuditConfig
    policy: Policy
    attributes: tuple[str, ...]
    fits: int | None = None

    def __call__(self, rows: pd.DataFrame) -> Drawn:
        """Draw from the rows that could be read; see :class:`~figureground.datasets.sampling.ClusterDraw`."""
        limit = self.config.max_images if self.config.max_images is not None else self.fits
        units = None if self.config.all or limit is not None else needed_units(rows, self.policy)
        draw = ClusterDraw(self.config.seed, units, self.policy.min_clusters, limit)
        whole = units is None if limit is None else len(rows) <= limit
        whole = whole or (units is not None and rows["cluster"].nunique() <= units)
        return draw(rows, () if whole else self.levels(rows))

    def levels(self, rows: pd.DataFrame) -> list[npt.NDArray[np.bool_]]:
        """Members of every level that is reported: of labels, environments and subgroups, where they are few."""
        groups = [
            group.values for group in group_rows(rows, self.attributes, self.config.by or self.policy.subgroups).groups
        ]
        groups += [rows[name] for name in ("label", "environment") if 1 < rows[name].nunique() <= MAX_LEVELS]
        return [
            (values == level).to_numpy(dtype=bool) for values in groups for level in sorted(values.dropna().unique())
        ]


def needed_units(rows: pd.DataFrame, policy: Policy) -> int:
    """Clusters, with masks where there are any, at which the background can be both cleared and demonstrated.

    Every pair of levels and, beyond two classes, every class is a comparison that must be certified.
    """
    spread = planning_spread(BACKGROUND)
    levels = rows["environment"].nunique() if rows["environment"].notna().any() else rows["label"].nunique()
    classes = rows["label"].nunique()
    comparisons = max(1, levels * (levels - 1) // 2) * (classes if classes > 2 else 1)
    return max(
        units_to_certify(spread, policy.delta_negligible, policy, comparisons),
        units_to_detect(spread, policy.delta_material, policy),
    )


def least_units(rows: pd.DataFrame, policy: Policy) -> int:
    """Clusters below which no cue can get a verdict: the policy's least number, in every level that is compared."""
    levels = rows["environment"] if rows["environment"].notna().any() else rows["label"]
    return policy.min_clusters * max(levels.nunique(), 1)


def recorded(examples: Examples, config: AuditConfig, policy: Policy) -> Sample | None:
    """What ``audit.json`` says of the draw; None where nobody drew."""
    drawn = examples.drawn
    if drawn is None:
        return None
    frame, strata = examples.frame, drawn.strata
    candidates = frame[frame["weight"].notna() | (frame["reason"] == SAMPLED_OUT)]
    reached = strata[strata["drawn"] > 0]
    total, squares = (reached["drawn"] * reached["weight"]).sum(), (reached["drawn"] * reached["weight"] ** 2).sum()
    return Sample(
        rule=_rule(drawn, config),
        asked=config.time or (None if config.max_images is None else str(config.max_images)),
        clusters=int(strata["clusters"].sum()),
        clusters_drawn=int(strata["drawn"].sum()),
        clusters_not_reached=int(strata.loc[strata["drawn"] == 0, "clusters"].sum()),
        rows=int(strata["rows"].sum()),
        rows_drawn=int(strata["rows_drawn"].sum()),
        needed=needed_units(candidates, policy),
        planning_spread=planning_spread(BACKGROUND),
        weight_low=float(reached["weight"].min()),
        weight_high=float(reached["weight"].max()),
        effective=float(total**2 / squares),
        strata=[_stratum(line) for line in strata.to_dict("records")],
    )


def _rule(drawn: Drawn, config: AuditConfig) -> Rule:
    if config.all:
        return "all"
    if config.max_images is not None:
        return "max_images"
    if config.time is not None:
        return "time"
    return "small" if drawn.weight.notna().all() else "power"


def _stratum(line: dict[object, object]) -> SampledStratum:
    named = {str(name): value for name, value in line.items()}
    weight = named["weight"]
    return SampledStratum.model_validate({**named, "weight": None if weight != weight else weight})


def seconds_of(text: str) -> float:
    """A duration such as ``2h``, ``90m`` or ``30s`` in seconds; :class:`UsageError` for anything else.

    Examples
    --------
    >>> seconds_of("90m")
    5400.0
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    if found is None or float(found[1]) == 0:
        raise UsageError(
            "TIME", "time", found=repr(text), expected="a number with s, m or h", fix="for example --time 2h"
        )
    return float(found[1]) * _SECONDS[found[2]]


def check_asked(config: AuditConfig) -> None:
    """Refuse more than one of the ways to say how much is looked at, and a time that is none."""
    asked = {"--max-images": config.max_images is not None, "--time": config.time is not None, "--all": config.all}
    given: Sequence[str] = [name for name, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise UsageError(
            "SAMPLE", "sample", found=" and ".join(given), expected="at most one of them", fix="leave out the others"
        )
    if config.time is not None:
        seconds_of(config.time)
