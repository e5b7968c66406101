"""Run the plain interventions: every row of the sample through the same changes, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from figureground.audit.declared import plain
from figureground.audit.declared.cues import BACKGROUND
from figureground.audit.document import audit_json as document
from figureground.audit.measure.plain import changes
from figureground.audit.measure.plain.forward import Forward, kept_logits
from figureground.audit.measure.plain.regions import Regions, holes, regions_of
from figureground.audit.measure.plain.sample import partners, pool_colour
from figureground.audit.measure.streaming import Streaming
from figureground.audit.measure.transfers.background import MIN_VISIBLE, dilation_radius
from figureground.audit.measure.transfers.tuples import statuses
from figureground.datasets.columns import OBJECT
from figureground.datasets.datamodule import Row, RowReader

_TIES, _NOISE, _TILES = 0x72, 0x73, 0x74
Change = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class PlainDataset(Dataset[dict[str, Any]]):
    """One item per row of the sample, with the mask of its partner."""

    ids: tuple[int, ...] = field(repr=False)
    partner: Mapping[int, int] = field(repr=False)
    rows: Mapping[int, Row] = field(repr=False)
    reader: RowReader

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.ids[index]
        item, other = self.reader(self.rows[row]), self.partner[row]
        mask = torch.zeros_like(item["mask"]) if other < 0 else self.reader(self.rows[other])["mask"]
        return {name: item[name] for name in ("row_id", "image", "mask", "has_mask")} | {"partner_mask": mask}


@dataclass(frozen=True)
class PlainStep:
    """Batch to rows of the ``predictions`` table: all plain interventions of :mod:`figureground.audit.declared.plain`.

    Attributes
    ----------
    forward : Forward
    pool : Tensor
        Mean colour of the sample's backgrounds, float ``[C]``.
    seed : int
    """

    forward: Forward
    pool: Tensor = field(repr=False)
    seed: int

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Table ``predictions`` of one batch."""
        ids = items["row_id"].cpu().tolist()
        first: dict[str, Any] = {"pass": 0}  # a keyword of Python, so it cannot be written as an argument
        rows = [
            self.forward(
                module,
                images,
                status,
                ids,
                cue=BACKGROUND,
                intervention=intervention,
                arm="own",
                part=part,
                dose=dose,
                **first,
            )
            for intervention, part, dose, images, status in self.changed(items)
        ]
        return {"predictions": pd.concat(rows, ignore_index=True)}

    def changed(self, items: Mapping[str, Any]) -> Iterator[tuple[str, str, float, Tensor, tuple[str, ...]]]:
        """Every intervention, where it acts, its size, the pictures, and why one of them is no test."""
        image, ids = items["image"], items["row_id"].tolist()
        ties = [self._rng(row, _TIES) for row in ids]
        regions = regions_of(items["mask"], items["has_mask"], items["partner_mask"], ties)
        noise = torch.stack(
            [torch.from_numpy(self._rng(row, _NOISE).standard_normal(tuple(image.shape[1:]))) for row in ids]
        ).to(image.device, image.dtype)
        orders = [self._rng(row, _TILES).permutation(changes.TILES**2).tolist() for row in ids]
        for (kind, part, dose), change in _table(noise, orders).items():
            yield kind, part, dose, change(image, regions.where[part]), regions.status[part]
        yield from self._figure(items, regions)

    def _figure(
        self, items: Mapping[str, Any], regions: Regions
    ) -> Iterator[tuple[str, str, float, Tensor, tuple[str, ...]]]:
        """The object removed, and the object alone."""
        image, usable = items["image"], regions.status[plain.ON_OBJECT]
        for part, hole in zip((plain.DILATED, plain.BOX), holes(items["mask"], dilation_radius(image)), strict=True):
            full = (~hole).float().mean(dim=(1, 2)) < MIN_VISIBLE
            status = tuple(
                own if own != "ok" else found
                for own, found in zip(usable, statuses((full, "no_visible_background"), n=len(image)), strict=True)
            )
            yield plain.REMOVED, part, 1.0, changes.removed(image, hole), status
        alone = changes.coloured(image, items["mask"] != OBJECT, self.pool.to(image.device))
        yield plain.ONLY, plain.POOL_MEAN, 1.0, alone, usable

    def _rng(self, row: int, tag: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, row, tag]))


def _table(noise: Tensor, orders: list[list[int]]) -> dict[tuple[str, str, float], Change]:
    """What is done where and how much: (kind, part, dose) to the change."""

    def add(size: float) -> Change:
        return lambda images, region: changes.noised(images, region, noise, size)

    def total(size: float) -> Change:
        return lambda images, region: changes.noised_total(images, region, noise, size)

    kinds: dict[str, tuple[float, Change]] = {
        plain.BLANK: (1.0, changes.blanked),
        plain.BLUR: (1.0, changes.blurred),
        plain.NOISE: (plain.NOISE_SIZE, add(plain.NOISE_SIZE)),
        plain.SHUFFLE: (1.0, lambda images, region: changes.shuffled(images, region, orders)),
    }
    places = (plain.ON_BACKGROUND, plain.EQUAL_AREA, plain.ELSEWHERE)
    found = {(kind, part, dose): change for kind, (dose, change) in kinds.items() for part in places}
    both = (plain.ON_BACKGROUND, plain.ON_OBJECT)
    found |= {(plain.NOISE, part, size): add(size) for size in plain.NOISE_SIZES for part in both}
    return found | {(plain.NOISE_TOTAL, part, size): total(size) for size in plain.TOTAL_SIZES for part in both}


@dataclass(frozen=True)
class PlainStage(Streaming):
    """Streams the plain interventions into ``predictions/``."""

    def __call__(self, sample: pd.DataFrame) -> document.StageCost:
        """Run all of them on the sample, as :func:`~figureground.audit.measure.plain.sample.plain_sample` draws it."""
        ids = tuple(int(row) for row in sample["row_id"])
        forward = Forward(self.subject, kept_logits(self.subject, self.folder))
        if ids:
            self._stream(ids, partners(sample, self.seed), forward)
        return document.StageCost(
            stage="plain interventions", images=len(ids), forward_equivalents=float(sum(forward.spent))
        )

    def _stream(self, ids: tuple[int, ...], partner: Mapping[int, int], forward: Forward) -> None:
        by_id = self.by_id
        dataset = PlainDataset(ids, partner, by_id, self.reader)
        step = PlainStep(forward, pool_colour([by_id[row] for row in ids], self.reader), self.seed)
        self.run(step, dataset, ids, "plain", forward.spent, "Plain interventions")
