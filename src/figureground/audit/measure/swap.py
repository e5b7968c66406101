"""The background swap: every recipient on a background of every level, forward passes only.

Arms of one recipient and pass share one tuple of donors. The dilated union of the donors' masks is filled in every
arm, so that no arm shows a hole of another shape (a class-shaped hole alone moves predictions). Beside the swap:

``same_level``
    A second donor of the recipient's own level: a new background of no other kind.
``common_background``
    One common background in all arms, each with the hole of its own arm's donor: what the holes alone do.
``mirrored``
    The own background, own hole filled, mirrored: how fragile the model is to compositing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from figureground.audit import tables
from figureground.audit.classify.subject import Subject
from figureground.audit.measure.donors import SAME_LEVEL
from figureground.audit.measure.prediction_rows import ALL_CLASSES, prediction_rows
from figureground.audit.measure.stream import ShardStream
from figureground.audit.progress import Progress
from figureground.audit.run_folder import RunFolder, read_table
from figureground.datasets import compose
from figureground.datasets.columns import GROUND, OBJECT, SHARD_ROWS
from figureground.datasets.datamodule import Row, RowReader

#: Masks grow by this share of the shorter side before their object is removed: edges and shadows go with it.
DILATION = 0.02
#: A composite that shows less background than this is no test of the background.
MIN_VISIBLE = 0.05


@dataclass(frozen=True)
class Arm:
    """Composites of one arm: images ``[B, C, H, W]``, their share of visible background, and where they came from."""

    intervention: str
    name: str | None
    images: Tensor = field(repr=False)
    visible: Tensor = field(repr=False)
    donor: int | None


@dataclass(frozen=True)
class BackgroundSwap:
    """Composes all arms of a batch of tuples.

    Attributes
    ----------
    levels : tuple of str
        Arms; the donors of an item come in this order, then the second donor of the own level.
    """

    levels: tuple[str, ...]

    def __call__(self, items: Mapping[str, Tensor]) -> Iterator[Arm]:
        """Arms one by one, so that memory holds one at a time.

        Parameters
        ----------
        items : mapping
            ``image [B,C,H,W]``, ``mask [B,H,W]``, ``donor_images [B,E+1,C,H,W]``, ``donor_masks [B,E+1,H,W]``,
            ``pass [B]``, ``own_level [B]`` (index into ``levels``).
        """
        image, figure = items["image"], items["mask"] == OBJECT
        radius = dilation_radius(image)
        holes = torch.stack([compose.dilate(mask != GROUND, radius) for mask in items["donor_masks"].unbind(1)], 1)
        union = holes.any(dim=1)
        pictures = items["donor_images"]
        for index, level in enumerate(self.levels):
            yield self._arm("swap", level, image, figure, pictures[:, index], union, index)
        yield self._arm("same_level", None, image, figure, pictures[:, -1], union, len(self.levels))
        for index, level in enumerate(self.levels):
            hole = holes[:, index] | holes[:, -1]
            yield self._arm("common_background", level, image, figure, pictures[:, -1], hole, index)
        yield self._mirrored(image, figure, items["mask"], radius)

    def _arm(
        self, kind: str, name: str | None, image: Tensor, figure: Tensor, donor: Tensor, hole: Tensor, index: int
    ) -> Arm:
        background = compose.fill(donor, hole)
        return Arm(kind, name, compose.paste(image, figure, background), compose.visible_share(figure, hole), index)

    def _mirrored(self, image: Tensor, figure: Tensor, mask: Tensor, radius: int) -> Arm:
        hole = compose.dilate(mask != GROUND, radius)
        background = compose.mirror(compose.fill(image, hole))
        visible = compose.visible_share(figure, compose.mirror(hole))
        return Arm("mirrored", "own", compose.paste(image, figure, background), visible, None)


def dilation_radius(images: Tensor) -> int:
    """Pixels by which masks grow: :data:`DILATION` of the shorter side, at least 1."""
    return max(1, math.ceil(DILATION * min(images.shape[-2:])))


@dataclass(frozen=True)
class SwapDataset(Dataset[dict[str, Any]]):
    """One item per recipient and pass, with the pictures of its whole tuple of donors.

    Attributes
    ----------
    plan : pandas.DataFrame
        From :class:`~figureground.audit.measure.donors.DonorDraw`, wide: ``row_id``, ``pass``, ``stratum`` and one
        column of donor ids per arm.
    rows : mapping of int to Row
        Usable rows by ``row_id``.
    """

    plan: pd.DataFrame = field(repr=False)
    rows: Mapping[int, Row] = field(repr=False)
    reader: RowReader
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = self.plan.iloc[index]
        donor_ids = [int(drawn[arm]) for arm in (*self.levels, SAME_LEVEL)]
        recipient = self.reader(self.rows[int(drawn["row_id"])])
        donors = [self.reader(self.rows[donor]) for donor in donor_ids]
        return {
            "row_id": recipient["row_id"],
            "image": recipient["image"],
            "mask": recipient["mask"],
            "donor_images": torch.stack([donor["image"] for donor in donors]),
            "donor_masks": torch.stack([donor["mask"] for donor in donors]),
            "donor_ids": torch.tensor(donor_ids),
            "pass": torch.tensor(int(drawn["pass"])),
            "own_level": torch.tensor(self.levels.index(drawn["stratum"])),
        }


@dataclass(frozen=True)
class SwapStep:
    """Batch of tuples to rows of the ``predictions`` table."""

    subject: Subject
    swap: BackgroundSwap
    kept: Mapping[int, Sequence[int]] | None

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Table ``predictions`` of one batch; the mirrored arm on the first pass only, as it has no donor."""
        parts = [self._rows(module, items, arm) for arm in self.swap(items)]
        return {"predictions": pd.concat([part for part in parts if len(part)], ignore_index=True)}

    def _rows(self, module: nn.Module, items: dict[str, Any], arm: Arm) -> pd.DataFrame:
        passes = items["pass"].cpu().numpy()
        wanted = passes == 0 if arm.intervention == "mirrored" else np.ones(len(passes), dtype=bool)
        if not wanted.any():
            return pd.DataFrame()
        chosen = torch.from_numpy(wanted).to(arm.images.device)
        with torch.no_grad():
            logits = module(self.subject.preprocess.normalize(arm.images[chosen])).float().cpu().numpy()
        ids = items["row_id"].cpu().numpy()[wanted]
        own = [self.swap.levels[index] for index in items["own_level"].cpu().numpy()[wanted]]
        donors = None if arm.donor is None else items["donor_ids"][:, arm.donor].cpu().numpy()[wanted]
        return prediction_rows(
            logits,
            kept=None if self.kept is None else [self.kept[int(row)] for row in ids],
            usable=(arm.visible[chosen] >= MIN_VISIBLE).cpu().numpy(),
            unusable_reason="no_visible_background",
            row_id=ids,
            cue="background",
            intervention=arm.intervention,
            arm=own if arm.name is None else arm.name,
            dose=1.0,
            donor_row_id=donors,
            **{"pass": passes[wanted]},
        )


def swap_backgrounds(
    subject: Subject,
    plan: pd.DataFrame,
    rows: Sequence[Row],
    reader: RowReader,
    folder: RunFolder,
    batch_size: int,
    progress: Progress,
) -> None:
    """Stream the whole plan into ``predictions/``; shards follow the recipients."""
    levels = tuple(sorted(plan["arm"].unique().tolist(), key=lambda arm: (arm == SAME_LEVEL, arm)))[:-1]
    wide = widen(plan)
    dataset = SwapDataset(wide, {row.row_id: row for row in rows}, reader, levels)
    shard_of = {row.row_id: index // SHARD_ROWS for index, row in enumerate(rows)}
    batches, shards = shard_ranges([shard_of[int(row)] for row in wide["row_id"]], batch_size)
    step = SwapStep(subject, BackgroundSwap(levels), _kept(folder, len(subject.classes)))
    stream = ShardStream(folder, {"predictions": tables.PREDICTIONS}, "background")
    with progress("Swapping backgrounds", len(dataset)) as advance:
        stream(subject.module, step, dataset, batches, shards, advance)


def widen(plan: pd.DataFrame) -> pd.DataFrame:
    """One row per recipient and pass, one column of donor ids per arm."""
    keys = ["row_id", "pass", "half", "stratum"]
    return (
        plan.pivot(index=keys, columns="arm", values="donor_row_id")
        .reset_index()
        .sort_values(["row_id", "pass"], ignore_index=True)
    )


def shard_ranges(shard_of: Sequence[int], batch_size: int) -> tuple[list[list[int]], list[int]]:
    """Batches of consecutive indices that stay within one shard, and the shard of each.

    Examples
    --------
    >>> shard_ranges([0, 0, 0, 1], 2)
    ([[0, 1], [2], [3]], [0, 0, 1])
    """
    batches: list[list[int]] = []
    shards: list[int] = []
    for index, shard in enumerate(shard_of):
        if not batches or shards[-1] != shard or len(batches[-1]) == batch_size:
            batches.append([])
            shards.append(shard)
        batches[-1].append(index)
    return batches, shards


def _kept(folder: RunFolder, n_classes: int) -> Mapping[int, Sequence[int]] | None:
    if n_classes <= ALL_CLASSES:
        return None
    base = read_table(folder.path, "predictions")
    return dict(zip(base["row_id"], base["classes"], strict=True))
