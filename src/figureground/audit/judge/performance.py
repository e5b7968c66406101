"""Accuracy overall, by subgroup, of the worst group; confusion; and the gap that a cue would open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import confusion_matrix

from figureground.audit.declared.config import Policy
from figureground.audit.document import audit_json as document
from figureground.audit.judge.grouping import Group
from figureground.audit.judge.intervals import (
    Interval,
    clustered_wilson,
    t_bounds,
    unanimous_bounds,
    unequal_weights,
    wilson,
)
from figureground.audit.judge.rows import estimate_columns
from figureground.audit.keeping.tables import ALL

PERMUTATIONS = 2000
#: Why nothing is said of accuracy.
NO_LABELS = "no_labels"
#: Beyond this many classes no confusion matrix is stored.
MAX_CONFUSION = 20


def scored(examples: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Usable rows with ``label``, ``predicted`` (names; null where a logit was not finite) and ``correct`` (0, 1, NaN).

    Index: the rows' own in ``examples``.
    """
    base = predictions[predictions["intervention"] == "none"].set_index("row_id")["predicted"]
    usable = examples[examples["status"] == "ok"]
    index = base.reindex(usable["row_id"]).to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(index)
    names = np.array([classes[int(i)] if ok else None for i, ok in zip(index, known, strict=True)], dtype=object)
    correct = np.where(known, (names == usable["label"].to_numpy()).astype(float), np.nan)
    return usable.assign(predicted=names, correct=correct)


def accuracy(
    correct: npt.NDArray[np.float64],
    clusters: npt.NDArray[np.object_],
    level: float,
    weights: npt.NDArray[np.float64] | None = None,
) -> Interval:
    """Share of correct answers with a Wilson interval, widened by the design effect where clusters repeat.

    With design weights ``[N]`` that differ, the weighted share, with the effect of weighting as well.
    """
    known = np.isfinite(correct)
    weighed = unequal_weights(weights, correct)
    correct, clusters = correct[known], clusters[known]
    if weighed is not None or len(set(clusters)) < len(clusters):
        return clustered_wilson(correct, clusters, level, weights=weighed)
    return replace(
        wilson(float(correct.sum()), len(correct), level), n_clusters=len(clusters), df=float(max(len(clusters) - 1, 0))
    )


def without_labels(subgroups: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """The ``subgroups`` table without values of measures that need labels; their rows stay, with the reason."""
    values = ("estimate", "ci_low", "ci_high", "min_detectable", "certifiable", "p_raw", "p_adjusted")
    chosen = subgroups["measure"].isin(measures)
    found = subgroups.copy()
    found.loc[chosen, [name for name in values if name in found]] = np.nan
    found.loc[chosen, "n"] = 0
    found.loc[chosen, "n_clusters"] = 0
    found.loc[chosen, "status"], found.loc[chosen, "reason"] = "not_tested", NO_LABELS
    return found


def performance(
    subgroups: pd.DataFrame, rows: pd.DataFrame, groups: Sequence[Group], classes: Sequence[str]
) -> document.Performance:
    """The part ``performance`` of ``audit.json``, from the accuracy rows of the ``subgroups`` table."""
    found = subgroups[subgroups["measure"] == "accuracy"]
    whole = found[(found["attribute"] == ALL) & (found["label"] == ALL)].iloc[0]
    by_group = [_group_performance(row) for _, row in found.drop(index=whole.name).iterrows()]
    later = {group.attribute for group in groups if group.origin == "exploratory"}
    eligible = [group for group in by_group if group.accuracy.status == "ok"]
    worst = _worst([group for group in eligible if group.attribute not in later])
    worse = _worst([group for group in eligible if group.attribute in later])
    lower = worse is not None and (worst is None or _value(worse) < _value(worst))
    return document.Performance(
        overall=estimate_of(whole),
        worst_group=worst,
        worst_exploratory=worse if lower else None,
        by_group=by_group,
        left_out=[group for group in by_group if group.accuracy.status != "ok"],
        confusion=_confusions(rows, groups, classes),
    )


def performance_gap(
    rows: pd.DataFrame,
    direction: document.Direction | None,
    policy: Policy,
    seed: int,
    permutations: int | None = None,
) -> dict[str, Any]:
    """Interaction of label and environment on correctness: a row of the ``tests`` table.

    ``(a[c, e] - a[c, e'] - a[not c, e] + a[not c, e']) / 2`` for accuracy a, where level e pulls to class c: positive
    where the model is better on images whose background points to the right class. In [-1, 1]. The p-value permutes
    the environments of cluster means within labels, :data:`PERMUTATIONS` times where not given; the interval is t on
    cluster means with independent cells.
    """
    keys = {"cue": "background", "test": "performance_gap", "scale": "decision", "simultaneous": False}
    if direction is None or rows["environment"].isna().all():
        reason = "no environment column" if rows["environment"].isna().all() else "no direction to align with"
        return keys | {
            "n": len(rows),
            "n_clusters": rows["cluster"].nunique(),
            "status": "not_estimable",
            "reason": reason,
        }
    known = rows[rows["correct"].notna() & rows["environment"].isin([direction.arm, direction.reference])]
    interval = _interaction(known, direction, 1 - policy.alpha)
    draws = PERMUTATIONS if permutations is None else permutations
    p = _permutation_p(known, direction, seed, draws) if np.isfinite(interval.estimate) else None
    names = {"class_name": direction.class_name, "arm": direction.arm, "reference": direction.reference}
    return keys | names | estimate_columns(interval, min_clusters=policy.min_clusters, alpha=policy.alpha, p_raw=p)


def _interaction(rows: pd.DataFrame, direction: document.Direction, level: float) -> Interval:
    is_class, is_arm = rows["label"] == direction.class_name, rows["environment"] == direction.arm
    estimate, variance, df = 0.0, 0.0, np.inf
    for with_class in (True, False):
        for on_arm in (True, False):
            cell = rows[(is_class == with_class) & (is_arm == on_arm)]
            means = cell.groupby("cluster")["correct"].mean().to_numpy()
            sign = 1 if with_class == on_arm else -1
            estimate += sign * 0.5 * means.mean() if len(means) else np.nan
            variance += 0.25 * means.var(ddof=1) / len(means) if len(means) > 1 else np.nan
            df = min(df, len(means) - 1)
    error = float(np.sqrt(variance))
    low, high = t_bounds(estimate, error, df, level)
    if error == 0:  # every cell is of one mind: the smallest cell limits what that can mean
        low, high = unanimous_bounds(estimate, int(df) + 1, level, -1.0, 1.0)
    return Interval(
        estimate=float(estimate),
        low=float(low),
        high=float(high),
        level=level,
        n=len(rows),
        n_clusters=int(rows["cluster"].nunique()),
        standard_error=error,
        df=float(max(df, 0)),
    )


def _permutation_p(rows: pd.DataFrame, direction: document.Direction, seed: int, draws: int) -> float:
    # Images of one cluster are no independent evidence: what is exchanged is the environment of whole cluster means.
    units = rows.groupby(["label", "environment", "cluster"])["correct"].mean().reset_index()
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6A]))
    labels, correct = units["label"].to_numpy(dtype=object), units["correct"].to_numpy(dtype=np.float64)
    on_arm = (units["environment"] == direction.arm).to_numpy(dtype=bool)
    blocks = [np.flatnonzero(labels == label) for label in sorted(set(labels))]
    is_class = labels == direction.class_name
    observed = abs(_crossed(correct, is_class, on_arm))
    hits = 0
    for _ in range(draws):
        shuffled = on_arm.copy()
        for block in blocks:
            shuffled[block] = rng.permutation(on_arm[block])
        hits += abs(_crossed(correct, is_class, shuffled)) >= observed - 1e-12
    return float((hits + 1) / (draws + 1))


def _crossed(correct: npt.NDArray[np.float64], is_class: npt.NDArray[np.bool_], on_arm: npt.NDArray[np.bool_]) -> float:
    aligned, crossed = is_class == on_arm, is_class != on_arm
    means = [correct[part & is_class].mean() + correct[part & ~is_class].mean() for part in (aligned, crossed)]
    return float(means[0] - means[1]) / 2


def _confusions(rows: pd.DataFrame, groups: Sequence[Group], classes: Sequence[str]) -> list[document.Confusion]:
    if len(classes) > MAX_CONFUSION:
        return []
    known = rows[rows["correct"].notna()]
    parts = [(ALL, ALL, known)]
    for group in groups:
        levels = group.values.loc[known.index]
        parts += [(group.attribute, level, known[levels == level]) for level in group.levels]
    return [
        document.Confusion(attribute=attribute, level=level, counts=_counts(part, classes))
        for attribute, level, part in parts
    ]


def _counts(rows: pd.DataFrame, classes: Sequence[str]) -> list[list[int]]:
    if rows.empty:
        return [[0] * len(classes) for _ in classes]
    table = confusion_matrix(rows["label"].astype(str), rows["predicted"].astype(str), labels=list(classes))
    return [[int(count) for count in row] for row in table]


def _group_performance(row: pd.Series) -> document.GroupPerformance:
    return document.GroupPerformance(
        attribute=row["attribute"], level=row["level"], label=row["label"], accuracy=estimate_of(row)
    )


def estimate_of(row: pd.Series) -> document.Estimate:
    """A row of the ``subgroups`` table as a part of ``audit.json``."""
    fields = document.Estimate.model_fields
    return document.Estimate(**{name: _plain(row[name]) for name in fields})


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value.item() if isinstance(value, np.generic) else value


def _worst(groups: Sequence[document.GroupPerformance]) -> document.GroupPerformance | None:
    return min(groups, key=_value, default=None)


def _value(group: document.GroupPerformance) -> float:
    return float("inf") if group.accuracy.estimate is None else group.accuracy.estimate
