"""The contrasts of all cues of a run, from its tables; and which of them might explain which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from figureground.audit.declared.config import Policy
from figureground.audit.declared.cues import BACKGROUND, apart, explanations, together
from figureground.audit.document import audit_json as document
from figureground.audit.judge.clustered import multiway_mean
from figureground.audit.judge.contrast import Contrast, DonorContrast
from figureground.audit.judge.effects import Clusterings, Scale, limits, material
from figureground.audit.judge.intervals import Interval
from figureground.audit.judge.multiplicity import holm
from figureground.audit.judge.observations import SwapObservations, observe
from figureground.audit.judge.rows import as_estimate, estimate_columns
from figureground.errors import FiguregroundError


@dataclass(frozen=True)
class Contrasted:
    """One cue: what was observed and what it shows."""

    observed: SwapObservations = field(repr=False)
    contrast: Contrast


def contrast_cues(
    examples: pd.DataFrame,
    predictions: pd.DataFrame,
    strata: pd.DataFrame,
    classes: tuple[str, ...],
    cues: Sequence[str],
    policy: Policy,
    seed: int,
    scale: Scale = "decision",
    *,
    least: float = 0.0,
    clusters: pd.Series | None = None,
) -> dict[str, Contrasted]:
    """Every cue whose contrast was run and has at least two arms with one complete recipient.

    With ``least``, cues whose largest effect on decisions is smaller are passed over: no interval of theirs can lie
    above it. Ignored on other scales.
    """
    found: dict[str, Contrasted] = {}
    judge = DonorContrast(policy, seed, scale)
    for cue in cues:
        observed = observe(examples, predictions, strata, classes, cue, clusters=clusters)
        if observed is None or not len(observed) or len(observed.levels) < 2:
            continue
        if scale != "decision" or largest_effect(observed) >= least:
            found[cue] = Contrasted(observed, judge(observed))
    return found


def contrast_each(
    examples: pd.DataFrame,
    predictions: pd.DataFrame,
    strata: pd.DataFrame,
    classes: tuple[str, ...],
    cues: Sequence[str],
    *settings: Any,
    **more: Any,
) -> tuple[dict[str, Contrasted], dict[str, str]]:
    """:func:`contrast_cues`, cue by cue; and why, of the cues whose computation failed."""
    found: dict[str, Contrasted] = {}
    failed: dict[str, str] = {}
    for cue in cues:
        with failing(cue, failed):
            found |= contrast_cues(examples, predictions, strata, classes, [cue], *settings, **more)
    return found, failed


@contextmanager
def failing(cue: str, failed: dict[str, str]) -> Iterator[None]:
    """Note what goes wrong with one cue, so that the others are judged all the same.

    What is told to a person as it is, and want of memory, are passed on.
    """
    try:
        yield
    except (FiguregroundError, MemoryError):
        raise
    except Exception as error:  # our own bug, or a library's, must not cost the rest of an audit
        failed[cue] = f"{type(error).__name__}: {error}"


def largest_effect(observed: SwapObservations) -> float:
    """The largest difference between two arms, of any class and part, in how often it is predicted; in [0, 1]."""
    shares = [(observed.swapped == index).mean(axis=0) for index in np.unique(observed.swapped)]
    return max(float(np.ptp(share, axis=-1).max()) for share in shares)


def to_hold(found: Mapping[str, Contrasted], policy: Policy) -> list[tuple[str, str]]:
    """Pairs (cue, held) to be tested: both show a material effect, and changing the one also changes the other.

    The background holds everything, so several cues that lie in it are also held together: each may be half of it.
    """
    loud = [cue for cue, item in found.items() if fires(item.contrast, policy)]
    pairs = [(cue, other) for cue in loud for other in explanations(cue, loud)]
    inside = [other for cue, other in pairs if cue == BACKGROUND]
    return [*pairs, (BACKGROUND, together(inside))] if len(inside) > 1 else pairs


def fires(contrast: Contrast, policy: Policy) -> bool:
    """Whether a cue has a material effect beyond its control."""
    return contrast.effect.low >= material(policy, contrast.scale) and contrast.specific.low > 0


def explained_by(
    item: Contrasted, others: Mapping[str, SwapObservations], policy: Policy
) -> tuple[list[document.Explained], list[dict[str, Any]]]:
    """What is left of a cue's primary effect with each other cue held, and the rows of the ``tests`` table."""
    parts, rows = [], []
    for name, held in others.items():
        left = _left(item, held, policy)
        whole = item.contrast.effect.estimate
        share = float(np.clip(1 - left.estimate / whole, 0.0, 1.0)) if whole > 0 and np.isfinite(left.estimate) else 0.0
        stated = as_estimate(left, min_clusters=policy.min_clusters, alpha=policy.alpha)
        parts.append(document.Explained(by=name, share=share, left=stated))
        rows.append(
            {
                "cue": item.observed.cue,
                "test": "held",
                "held": name,
                "scale": item.contrast.scale,
                "simultaneous": False,
            }
            | item.contrast.primary.names(item.observed)
            | estimate_columns(left, min_clusters=policy.min_clusters, alpha=policy.alpha)
        )
    return parts, rows


def _left(item: Contrasted, held: SwapObservations, policy: Policy) -> Interval:
    h = item.contrast.primary
    level = 1 - policy.alpha
    if len(held) == 0:
        return Interval(np.nan, np.nan, np.nan, level, 0, 0, np.nan, 0)
    scale: Any = item.contrast.scale
    codes, bounds = Clusterings.of(held), limits(scale, "swapped")
    return multiway_mean(
        h.values(held, scale), *codes.of_hypothesis(h), level=level, bounds=bounds, weights=held.weight
    )


def yielding(
    explained: Mapping[str, Sequence[document.Explained]], found: Mapping[str, Contrasted], least: float
) -> dict[str, list[document.Explained]]:
    """By cue, the explanations that it yields to: other cues that account for at least ``least`` of its effect.

    Of two cues that explain each other the smaller effect yields; otherwise overlapping cues would excuse each other
    and neither would be named. Several cues together count only where none of them is enough.
    """
    strong = {(cue, other.by) for cue, parts in explained.items() for other in parts if other.share >= least}
    strong = {(cue, by) for cue, by in strong if not any((cue, one) in strong for one in apart(by) if one != by)}

    def yields(cue: str, by: str) -> bool:
        mutual = (by, cue) in strong
        return not mutual or found[cue].contrast.effect.estimate < found[by].contrast.effect.estimate

    return {
        cue: [other for other in parts if (cue, other.by) in strong and yields(cue, other.by)]
        for cue, parts in explained.items()
    }


def holm_over(found: Mapping[Any, Contrasted]) -> dict[Any, float]:
    """Holm-adjusted p of "no effect larger than the material one", over all cues and findings of a run."""
    keys = list(found)
    raw = [min(1.0, _p_material(found[key].contrast)) for key in keys]
    return dict(zip(keys, holm(np.array(raw)).tolist(), strict=True)) if keys else {}


def _p_material(contrast: Contrast) -> float:
    p = contrast.effect.p_material
    return 1.0 if np.isnan(p) else float(p)
