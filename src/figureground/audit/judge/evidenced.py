"""What judging is given, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from figureground.audit.declared.config import AuditConfig, Policy
from figureground.audit.declared.task import Task
from figureground.audit.document import audit_json as document
from figureground.audit.document.audit_json import TrustCheck
from figureground.audit.judge.again import Again
from figureground.audit.judge.grouping import Grouping, group_rows
from figureground.audit.judge.records import records


@dataclass(frozen=True)
class Evidenced:
    """The tables of a run, and what was declared and measured beside them.

    Attributes
    ----------
    examples, attributions, predictions, strata, scores : pandas.DataFrame
        Tables of a run, as read from its folder.
    attributes : tuple of str
        Attribute columns of ``examples``.
    clusters_given : bool
        Whether independent units were named.
    task : Task
        What the logits mean.
    cues : tuple of str
        Cues that were to be tested.
    config : AuditConfig
    policy : Policy
    checks : sequence of TrustCheck
        Of the model, the maps and the levels, made where there was a model.
    source : mapping
        ``source`` and ``manifest_sha256`` of the data.
    preprocessing_source : str
    regions : tuple of str
        Region masks that the data brings.
    grey : bool
        Whether the pictures have one channel.
    areas : mapping of str to float
        Share of the picture that each built-in place covers.
    today : date
        The day by which decisions expire.
    sample : document.Sample or None
        How the rows were chosen.
    levels : mapping of str to tuple of str
        Levels that the data declares for its columns, whether a row has them or not.
    again : Again or None
        What a stored run is asked anew; None where it is judged for the first time.
    """

    examples: pd.DataFrame = field(repr=False)
    attributions: pd.DataFrame = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    strata: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    attributes: tuple[str, ...]
    clusters_given: bool
    task: Task
    cues: tuple[str, ...]
    config: AuditConfig
    policy: Policy
    checks: Sequence[TrustCheck]
    source: Mapping[str, Any]
    preprocessing_source: str
    regions: tuple[str, ...] = ()
    grey: bool = False
    areas: Mapping[str, float] = field(default_factory=dict)
    today: date = date.max
    sample: document.Sample | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    again: Again | None = None

    def grouping(self, examples: pd.DataFrame) -> Grouping:
        """Subgroups of these rows: those of the run, and those that were asked for later."""
        later = self.again.exploratory if self.again else ()
        by = self.config.by or self.policy.subgroups
        return group_rows(examples, self.attributes, by, later, self.levels)

    @property
    def stratum_source(self) -> Any:
        """Where the levels come from; None without levels."""
        return str(self.strata["source"].iloc[0]) if len(self.strata) else None


@dataclass(frozen=True)
class Judgement:
    """What judging adds to a run: two tables, the parts of ``audit.json``, and the rows to be shown."""

    subgroups: pd.DataFrame = field(repr=False)
    tests: pd.DataFrame = field(repr=False)
    verdict: document.Verdict
    performance: document.Performance = field(repr=False)
    data: document.Data = field(repr=False)
    trust: list[document.TrustCheck] = field(repr=False)
    findings: list[document.Finding] = field(repr=False)
    not_tested: list[document.NotTested] = field(repr=False)
    levels: tuple[str, ...]
    swaps: pd.DataFrame = field(repr=False)
    tiles: pd.DataFrame = field(repr=False)
    pictured: str | None = None
    averaged: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    def parts(self) -> dict[str, Any]:
        """Top-level parts of ``audit.json`` by key."""
        names = ("verdict", "performance", "data", "trust", "findings", "not_tested")
        return {name: getattr(self, name) for name in names} | {
            "subgroups": records(self.subgroups),
            "tests": records(self.tests),
        }
