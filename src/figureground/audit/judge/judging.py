"""The order of judging: tables in, verdict out. Needs no model and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit import document
from figureground.audit.config import AuditConfig, Policy, canonical_sha256
from figureground.audit.judge import summary
from figureground.audit.judge.contrast import BackgroundContrast, Contrast, Hypothesis
from figureground.audit.judge.gallery import GalleryRules
from figureground.audit.judge.grouping import Grouping, group_rows
from figureground.audit.judge.observations import SwapObservations, observe
from figureground.audit.judge.performance import performance, performance_gap, scored
from figureground.audit.judge.subgroups import REPORTED, SubgroupTable
from figureground.audit.judge.verdict import CueJudge, Setting, overall
from figureground.audit.recipients import has_environment, swap_rows
from figureground.audit.tables import ALL


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

    def parts(self) -> dict[str, Any]:
        """Top-level parts of ``audit.json`` by key."""
        names = ("verdict", "performance", "data", "trust", "findings", "not_tested")
        return {name: getattr(self, name) for name in names} | {
            "subgroups": records(self.subgroups),
            "tests": records(self.tests),
        }


def judge_run(
    *,
    examples: pd.DataFrame,
    attributions: pd.DataFrame,
    predictions: pd.DataFrame,
    attributes: Sequence[str],
    clusters_given: bool,
    classes: tuple[str, ...],
    config: AuditConfig,
    policy: Policy,
    probes: Sequence[document.TrustCheck],
    source: dict[str, Any],
    preprocessing_source: str,
) -> Judgement:
    """Judge stored tables.

    Parameters
    ----------
    examples, attributions, predictions : pandas.DataFrame
        Tables of a run, as read from its folder.
    attributes : sequence of str
        Attribute columns of ``examples``.
    clusters_given : bool
        Whether independent units were named.
    classes : tuple of str
    config : AuditConfig
    policy : Policy
    probes : sequence of TrustCheck
        Checks of the model, made before measuring.
    source : dict
        ``source`` and ``manifest_sha256`` of the data.
    preprocessing_source : str
    """
    rows = scored(examples, predictions, classes)
    grouping = group_rows(examples, attributes, config.by)
    observed = _observe(examples, predictions, classes, config.seed)
    contrast = BackgroundContrast(policy, config.seed)(observed) if observed is not None else None
    cues = (
        [_judge_background(contrast, observed, rows, clusters_given, examples, policy)]
        if "background" in config.cues
        else []
    )
    verdict = overall(cues, policy.required_cues)
    table = SubgroupTable(policy, attributions, observed, contrast.primary if contrast else None)(
        rows, grouping.groups, sorted(set(examples["label"]) & set(classes))
    )
    measured = performance(table, rows, grouping.groups, classes)
    data = _data(examples, rows, grouping, config, clusters_given, source)
    gap = performance_gap(rows, cues[0].direction if cues else None, policy, config.seed)
    tests = pd.concat([contrast.tests if contrast else pd.DataFrame(), pd.DataFrame([gap])], ignore_index=True)
    rules = GalleryRules(seed=config.seed)
    return Judgement(
        subgroups=table,
        tests=tests,
        verdict=verdict,
        performance=measured,
        data=data,
        trust=summary.trust(probes, contrast, _degenerate(attributions), policy),
        findings=summary.findings(verdict, measured, data, preprocessing_source, contrast, policy),
        not_tested=summary.not_tested(verdict),
        levels=observed.levels if observed else (),
        swaps=rules.swaps(observed, contrast.primary) if observed and contrast else pd.DataFrame(),
        tiles=rules.tiles_of(rows, predictions, classes),
    )


def _observe(
    examples: pd.DataFrame, predictions: pd.DataFrame, classes: tuple[str, ...], seed: int
) -> SwapObservations | None:
    if not (predictions["intervention"] == "swap").any():
        return None
    observed = observe(examples, predictions, classes, seed)
    return observed if len(observed) else None


def _judge_background(
    contrast: Contrast | None,
    observed: SwapObservations | None,
    rows: pd.DataFrame,
    clusters_given: bool,
    examples: pd.DataFrame,
    policy: Policy,
) -> document.CueVerdict:
    judge = CueJudge(policy)
    if contrast is None or observed is None:
        return judge.not_tested(*_why_not(examples))
    setting = Setting(
        n=len(set(observed.row_id)),
        n_clusters=len(set(observed.recipient)),
        n_classes=len(observed.classes),
        accuracy=float(rows["correct"].mean()),
        majority=float(rows["label"].value_counts(normalize=True).iloc[0]),
        aligned_accuracy=_aligned(rows),
        by_environment=has_environment(examples),
        clusters_given=clusters_given,
    )
    return judge(contrast, setting, direction_of(contrast.primary, observed))


def direction_of(primary: Hypothesis, observed: SwapObservations) -> document.Direction:
    """The primary effect in names: which level pulls to which class."""
    return document.Direction(**primary.names(observed))


def _why_not(examples: pd.DataFrame) -> tuple[str, str]:
    rows = swap_rows(examples)
    if rows.empty:
        return "no_masks", "next_add_masks"
    if rows["stratum"].nunique() < 2:
        return "one_level", "next_add_environment"
    return "too_few_donors", "next_more_backgrounds"


def _aligned(rows: pd.DataFrame) -> float:
    """Accuracy within the best alignment of labels with environments: mean over labels in their best level.

    The best level is chosen on every other cluster and scored on those between, both ways: the largest of several
    accuracies of a guessing model lies well above chance.
    """
    known = rows[rows["correct"].notna() & rows["environment"].notna()]
    if known.empty:
        return float(rows["correct"].mean())
    turn = known.groupby(["label", "environment"])["cluster"].transform(lambda names: pd.factorize(names, sort=True)[0])
    cells = known.assign(turn=turn % 2).groupby(["turn", "label", "environment"])["correct"].mean()
    found = [
        _best_levels(cells.xs(a), cells.xs(b)) for a, b in ((0, 1), (1, 0)) if {a, b} <= set(cells.index.unique("turn"))
    ]
    return float(pd.concat(found).mean()) if found else float(known["correct"].mean())


def _best_levels(chosen_on: pd.Series, scored_on: pd.Series) -> pd.Series:
    """Accuracy of each label in the level that was best for it on other clusters."""
    return scored_on.reindex(chosen_on.groupby("label").idxmax()).dropna()


def _degenerate(attributions: pd.DataFrame) -> dict[str, tuple[float, int]]:
    found = {}
    for method, sign in REPORTED:
        status = attributions.loc[(attributions["method"] == method) & (attributions["sign"] == sign), "status"]
        if len(status):
            found[method] = (float((status == "degenerate").mean()), len(status))
    return found


def _data(
    examples: pd.DataFrame,
    rows: pd.DataFrame,
    grouping: Grouping,
    config: AuditConfig,
    clusters_given: bool,
    source: dict[str, Any],
) -> document.Data:
    by_status = examples["status"].value_counts()
    identity = examples.drop(columns=["path"]).astype(object).where(examples.drop(columns=["path"]).notna(), None)
    return document.Data(
        **source,
        sha256=canonical_sha256(identity.to_dict("records")),
        given=len(examples),
        ok=int(by_status.get("ok", 0)),
        quarantined=int(by_status.get("quarantined", 0)),
        filtered=int(by_status.get("filtered", 0)),
        quarantined_by_reason=_reasons(examples, "quarantined"),
        filtered_by_reason=_reasons(examples, "filtered"),
        with_mask=int(rows["object_area"].notna().sum()),
        n_clusters=int(rows["cluster"].nunique()),
        clusters_given=clusters_given,
        split=config.split or ("test" if examples["split"].notna().any() else None),
        environment=(config.environment or config.columns.get("environment") or "environment")
        if has_environment(examples)
        else None,
        labels=_counts(rows["label"]),
        environments=_counts(rows["environment"].dropna()),
        groups=_groups(rows, grouping),
        not_used=list(grouping.not_used),
        composition=_composition(rows, grouping),
    )


def _groups(rows: pd.DataFrame, grouping: Grouping) -> list[document.Group]:
    return [
        document.Group(
            attribute=group.attribute,
            origin="declared" if group.origin == "declared" else "default",
            levels=[
                document.Level(level=level, n=int((group.values.loc[rows.index] == level).sum()))
                for level in group.levels
            ],
            bin_edges=None if group.bin_edges is None else list(group.bin_edges),
        )
        for group in grouping.groups
    ]


def _composition(rows: pd.DataFrame, grouping: Grouping) -> list[document.Cell]:
    cells = []
    for group in grouping.groups:
        values = group.values.loc[rows.index]
        for label in sorted(rows["label"].unique()):
            for level in group.levels:
                n = int(((rows["label"] == label) & (values == level)).sum())
                cells.append(document.Cell(label=label, attribute=group.attribute, level=level, n=n))
    return cells


def _reasons(examples: pd.DataFrame, status: str) -> dict[str, int]:
    return _counts(examples.loc[examples["status"] == status, "reason"])


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(name): int(n) for name, n in sorted(values.value_counts().items())}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain JSON values; missing ones are null."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return (
        None if value is None or value is pd.NA or value != value or value in (float("inf"), float("-inf")) else value
    )


__all__ = ["ALL", "Judgement", "direction_of", "judge_run", "records"]
