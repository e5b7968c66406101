"""Read a cue from a picture by a linear score: do the levels differ in it at all, and what would a reliance look like?

For each half of the clusters the score is fitted on the other half, so that no picture is read by a score that has
seen it. The same readings serve the contrast check (can the levels be told apart by this cue?) and the assay (a model
that is made to rely on the cue by adding the score to a logit).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import default_collate

from figureground.audit.classify.subject import Subject
from figureground.audit.declared.cues import BACKGROUND, GRID, INSIDE, PLACES, REGION
from figureground.audit.measure.descriptors import describe
from figureground.audit.measure.regions import border_frame, corners
from figureground.audit.measure.transfers.background import dilation_radius
from figureground.audit.progress import Advance
from figureground.audit.rows.recipients import HALVES
from figureground.datasets import compose, look
from figureground.datasets.columns import GROUND, OBJECT
from figureground.datasets.datamodule import Row, RowReader
from figureground.datasets.place_object import aligned, centroids

#: Inverse strength of the ridge; the descriptors are many and the rows may be few.
RIDGE = 0.05
#: Fewer rows of a level than this in a half leave nothing to fit.
LEAST = 4
_BATCH = 64
Reals = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]
Regions = Mapping[str, Tensor]


@dataclass(frozen=True)
class Linear:
    """``(x - mean) / spread @ weights + bias``."""

    mean: Reals
    spread: Reals
    weights: Reals
    bias: float

    def __call__(self, values: Reals) -> Reals:
        """float64 ``[N]`` from descriptors ``[N, D]``; NaN where a descriptor is."""
        return np.asarray((values - self.mean) / self.spread @ self.weights + self.bias)


@dataclass(frozen=True)
class CueScorer:
    """Reads one cue.

    Attributes
    ----------
    cue : str
    level : str
        A high score speaks for this level.
    by_half : mapping of str to Linear
        For pictures of one half, the score fitted on the other.
    """

    cue: str
    level: str
    by_half: Mapping[str, Linear] = field(repr=False)

    def read(self, images: Tensor, masks: Tensor, has_mask: Tensor, regions: Regions, half: Names) -> Reals:
        """Standardised score of each picture, float64 ``[B]``; NaN where the cue cannot be read.

        Parameters
        ----------
        images : Tensor
            float ``[B, C, H, W]`` in [0, 1]; composites are read with their recipient's mask.
        masks, has_mask, regions : Tensor
            As in a batch.
        half : ndarray of object, [B]
            Half of each recipient.
        """
        values = cue_descriptor(self.cue, images, masks, has_mask, regions).double().cpu().numpy()
        return self.apply(values, half)

    def apply(self, values: Reals, half: Names) -> Reals:
        """Scores from descriptors, each by the score that never saw its half."""
        found = np.full(len(values), np.nan)
        for name, linear in self.by_half.items():
            found[half == name] = linear(values[half == name])
        return found


def fit_scores(
    subject: Subject,
    rows: Sequence[Row],
    reader: RowReader,
    strata: pd.DataFrame,
    cues: Sequence[str],
    seed: int,
    advance: Advance = lambda _: None,
) -> tuple[dict[str, CueScorer], pd.DataFrame, int]:
    """A scorer for every cue that can be read, the table ``scores``, and the forward passes spent.

    Parameters
    ----------
    subject : Subject
        Its own features of the backgrounds serve the contrast check of the background.
    rows : sequence of Row
        All usable rows.
    reader : RowReader
    strata : pandas.DataFrame
        The table.
    cues : sequence of str
    seed : int
        Of the solver.
    advance : callable
        Told the number of rows that were read.
    """
    known = strata.set_index("row_id")
    chosen = [row for row in rows if row.row_id in known.index]
    halves = known["half"].loc[[row.row_id for row in chosen]].to_numpy(dtype=object)
    levels = known["stratum"].loc[[row.row_id for row in chosen]].to_numpy(dtype=object)
    values, features = _described(subject, chosen, reader, cues, advance)
    scorers, tables = {}, []
    for cue, found in values.items():
        scorer = fit_scorer(cue, found, levels, halves, seed)
        if scorer is not None:
            scorers[cue] = scorer
            tables.append(_table(chosen, scorer, scorer.apply(found, halves), "descriptors"))
    if features is not None:
        own = fit_scorer(BACKGROUND, features, levels, halves, seed)
        if own is not None:
            tables.append(_table(chosen, own, own.apply(features, halves), "penultimate"))
    spent = 0 if features is None else len(chosen)
    columns = ["row_id", "cue", "features", "level", "score"]
    return scorers, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns), spent


def fit_scorer(cue: str, values: Reals, levels: Names, halves: Names, seed: int) -> CueScorer | None:
    """The score for the level that is told best from the rest; None where a half has too little to fit on."""
    known = np.asarray(np.isfinite(values).all(axis=1))
    fitted: dict[str, dict[str, Linear]] = {}
    for level in sorted(set(levels[known])):  # a level without masks has no readings of what needs one
        parts = {}
        for half, other in (HALVES, HALVES[::-1]):
            at = known & (halves == other)
            is_level = levels[at] == level
            if min(is_level.sum(), (~is_level).sum()) < LEAST:
                return None
            parts[half] = _fit(values[at], is_level, seed)
        fitted[level] = parts
    if len(fitted) < 2:
        return None
    best = max(fitted, key=lambda level: _auroc(CueScorer(cue, level, fitted[level]), values, levels, halves, known))
    return CueScorer(cue, best, fitted[best])


def cue_descriptor(cue: str, images: Tensor, masks: Tensor, has_mask: Tensor, regions: Regions) -> Tensor:
    """What there is to read of a cue, float ``[B, D]``; NaN rows where it needs a mask that is not there."""
    figure = (masks == OBJECT) & has_mask[:, None, None]
    if cue == BACKGROUND:
        ground = ~compose.dilate(masks != GROUND, dilation_radius(images))
        return _needing(describe(images, ground), figure)
    if cue in PLACES:
        return _of_place(cue, images)
    if cue.startswith(REGION):
        region = regions[cue.removeprefix(REGION)]
        there = region.flatten(1).any(dim=1, keepdim=True).float()
        return torch.cat([there, describe(images, region) * there], dim=1)
    if cue in ("object_size", "object_position"):
        return _needing(_geometry(cue, figure), figure)
    if cue == INSIDE:
        return _needing(_inside(images, figure), figure)
    if cue == GRID:
        return _cells(images, 8)
    where = figure | ~figure.flatten(1).any(dim=1)[:, None, None]
    return {
        "tint": lambda: look.tint_of(images, where),
        "brightness": lambda: look.brightness_of(images, where)[:, None],
        "sharpness": lambda: look.sharpness_of(images, where)[:, None],
        "compression": lambda: look.blockiness_of(images, where)[:, None],
    }[cue]()


def penultimate(module: nn.Module, inputs: Tensor) -> Tensor | None:
    """What goes into the last linear layer, float ``[B, F]``; None where the model has none."""
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        return None
    caught: list[Tensor] = []
    handle = linear[-1].register_forward_pre_hook(lambda _, args: caught.append(args[0].detach().flatten(1).float()))
    try:
        with torch.inference_mode():
            module(inputs)
    finally:
        handle.remove()
    return caught[-1] if caught and caught[-1].shape[0] == inputs.shape[0] else None


def _described(
    subject: Subject, rows: Sequence[Row], reader: RowReader, cues: Sequence[str], advance: Advance
) -> tuple[dict[str, Reals], Reals | None]:
    values: dict[str, list[Tensor]] = {cue: [] for cue in cues}
    features: list[Tensor] = []
    for items in _batches(rows, reader):
        for cue in cues:
            shown = cue_descriptor(cue, items["image"], items["mask"], items["has_mask"], items["regions"])
            values[cue].append(shown)
        own = _own_features(subject, items) if BACKGROUND in cues else None
        features += [] if own is None else [own]
        advance(len(items["row_id"]))
    joined = {cue: torch.cat(found).double().cpu().numpy() for cue, found in values.items() if found}
    return joined, torch.cat(features).double().cpu().numpy() if features else None


def _batches(rows: Sequence[Row], reader: RowReader) -> Iterator[dict[str, Any]]:
    edges = [*range(0, len(rows), _BATCH), len(rows)]
    for start, stop in pairwise(edges):
        yield default_collate([reader(row) for row in rows[start:stop]])


def _own_features(subject: Subject, items: Mapping[str, Any]) -> Tensor | None:
    hole = compose.dilate(items["mask"] != GROUND, dilation_radius(items["image"]))
    alone = subject.preprocess.normalize(compose.fill(items["image"], hole))
    device = next((p.device for p in subject.module.parameters()), torch.device("cpu"))
    found = penultimate(subject.module, alone.to(device))
    if found is None:
        return None
    missing = ~items["has_mask"].to(found.device)
    return torch.where(missing[:, None], torch.full_like(found, float("nan")), found)


def _fit(values: Reals, is_level: npt.NDArray[np.bool_], seed: int) -> Linear:
    scaler = StandardScaler().fit(values)
    scaled = scaler.transform(values)
    # scikit-learn takes 32 bits.
    model = LogisticRegression(C=RIDGE, max_iter=500, random_state=seed % 2**32, class_weight="balanced").fit(
        scaled, is_level
    )
    raw = model.decision_function(scaled)
    size = float(raw.std()) or 1.0
    return Linear(
        mean=scaler.mean_,
        spread=scaler.scale_,
        weights=model.coef_[0] / size,
        bias=float((model.intercept_[0] - raw.mean()) / size),
    )


def _auroc(scorer: CueScorer, values: Reals, levels: Names, halves: Names, known: npt.NDArray[np.bool_]) -> float:
    return float(roc_auc_score(levels[known] == scorer.level, scorer.apply(values, halves)[known]))


def _table(rows: Iterable[Row], scorer: CueScorer, score: Reals, features: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row_id": [row.row_id for row in rows],
            "cue": scorer.cue,
            "features": features,
            "level": scorer.level,
            "score": score,
        }
    )


def _needing(values: Tensor, figure: Tensor) -> Tensor:
    absent = ~figure.flatten(1).any(dim=1)
    return torch.where(absent[:, None], torch.full_like(values, float("nan")), values)


def _place(cue: str, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    region = border_frame(height, width) if cue == "border" else corners(height, width)[cue]
    return torch.from_numpy(region).to(images.device).expand(len(images), -1, -1)


def _of_place(cue: str, images: Tensor) -> Tensor:
    """Only the place is read, and whatever lies around it stays out of its edges and waves."""
    region = _place(cue, images)
    rows, columns = (torch.nonzero(region[0].any(dim=axis))[:, 0] for axis in (1, 0))
    # On the grid of 8 pixels, as compression leaves its traces there.
    top, left = int(rows.min()) // 8 * 8, int(columns.min()) // 8 * 8
    box = (slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    return describe(images[:, :, box[0], box[1]], region[:, box[0], box[1]])


def _geometry(cue: str, figure: Tensor) -> Tensor:
    if cue == "object_size":
        return torch.log(figure.flatten(1).float().mean(dim=1, keepdim=True) + 1e-6)
    return centroids(figure) / torch.tensor(figure.shape[-2:], device=figure.device)


def _inside(images: Tensor, figure: Tensor) -> Tensor:
    whole = torch.ones_like(figure)
    some = figure | ~figure.flatten(1).any(dim=1)[:, None, None]
    stretched, _ = aligned(images, some, whole)
    return _cells(stretched, 6)


def _cells(images: Tensor, side: int) -> Tensor:
    grey = images.mean(dim=1, keepdim=True)
    steps = F.pad((grey[..., 1:] - grey[..., :-1]).abs(), (0, 1))
    pooled = [F.adaptive_avg_pool2d(values, side).flatten(1) for values in (images, steps)]
    return torch.cat(pooled, dim=1)
