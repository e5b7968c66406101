"""Where a model looks on average in a subgroup: what can be shown to people who may not see the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import default_collate

from figureground.audit.classify.subject import Subject
from figureground.audit.explain.explanation import Explainer
from figureground.audit.methods.reported import REPORTED
from figureground.audit.progress import Advance
from figureground.datasets.datamodule import Row, RowReader

#: Longer side of a mean map at most, in pixels.
MAX_SIDE = 64
BATCH = 32


@dataclass(frozen=True)
class MeanMaps:
    """Explains chosen rows a second time and averages their maps by subgroup.

    Attributes
    ----------
    subject : Subject
    explainer : Explainer
    reader : RowReader
    finding : str or None
        Multi-label data: the finding that is explained.
    """

    subject: Subject = field(repr=False)
    explainer: Explainer = field(repr=False)
    reader: RowReader = field(repr=False)
    finding: str | None = None

    def __call__(self, rows: Mapping[int, Row], cells: pd.DataFrame, advance: Advance) -> pd.DataFrame:
        """Rows of ``mean_maps``.

        Parameters
        ----------
        rows : mapping of int to Row
            Usable rows by ``row_id``.
        cells : pandas.DataFrame
            ``attribute``, ``level``, ``label``, ``row_id``, ``cluster``: see
            :func:`~figureground.audit.judge.mean_cells.mean_cells`.
        """
        maps = self._maps([rows[int(one)] for one in sorted(cells["row_id"].unique())], advance)
        lines = [
            {"attribute": attribute, "level": level, "label": label, **line}
            for (attribute, level, label), members in cells.groupby(["attribute", "level", "label"], sort=True)
            for line in _averaged(members, maps)
        ]
        return pd.DataFrame(lines)

    def _maps(self, rows: list[Row], advance: Advance) -> dict[tuple[str, str], dict[int, npt.NDArray[np.float64]]]:
        """By method and sign: the small map of every row whose map is not empty; float64, sums to 1."""
        found: dict[tuple[str, str], dict[int, npt.NDArray[np.float64]]] = {}
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            images = default_collate([self.reader(row)["image"] for row in batch])
            inputs = self.subject.preprocess.normalize(images)
            explained = self.explainer(self.subject.module, inputs, self._target(len(batch)))
            for key in (key for key in REPORTED if key in explained.maps):
                for row, small in zip(batch, shares(explained.maps[key]), strict=True):
                    if small is not None:
                        found.setdefault(key, {})[row.row_id] = small
            advance(len(batch))
        return found

    def _target(self, n: int) -> Tensor | None:
        return None if self.finding is None else torch.full((n,), self.subject.classes.index(self.finding))


def shares(maps: Tensor) -> list[npt.NDArray[np.float64] | None]:
    """Each map as shares of its own sum, averaged down to at most 64 pixels a side.

    Parameters
    ----------
    maps : Tensor
        float ``[B, H, W]``, non-negative.

    Returns
    -------
    list of ndarray or None
        float64 ``[h, w]`` that sums to 1; None for a map that is empty or not finite.
    """
    height, width = maps.shape[-2:]
    factor = min(1.0, MAX_SIDE / max(height, width))
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    small = adaptive_avg_pool2d(maps.detach().double().cpu()[:, None], size)[:, 0].numpy()
    sums = small.sum(axis=(1, 2))
    return [one / total if np.isfinite(total) and total > 0 else None for one, total in zip(small, sums, strict=True)]


def _averaged(
    members: pd.DataFrame, maps: Mapping[tuple[str, str], Mapping[int, npt.NDArray[np.float64]]]
) -> Iterator[dict[str, Any]]:
    clusters = dict(zip(members["row_id"].astype(int), members["cluster"], strict=True))
    for (method, sign), known in maps.items():
        rows = sorted(row_id for row_id in clusters if row_id in known)
        if rows:
            mean = np.mean([known[row_id] for row_id in rows], axis=0)
            yield {
                "method": method,
                "sign": sign,
                "n": len(rows),
                "n_clusters": len({clusters[row_id] for row_id in rows}),
                "height": mean.shape[0],
                "width": mean.shape[1],
                "values": mean.ravel().astype(np.float32).tolist(),
                "row_ids": rows,
            }
