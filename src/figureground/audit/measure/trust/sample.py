"""The few rows that the checks look at: a seeded choice, spread over the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import default_collate

from figureground.audit.measure.masked_maps import BoolArray, ObjectMasks
from figureground.datasets.datamodule import Row, RowReader, as_batch
from figureground.datasets.transforms import Preprocess


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows in memory, in sorted ``row_id``.

    Attributes
    ----------
    row_id : ndarray
        int64, ``[N]``.
    images, inputs : Tensor
        float32, ``[N, C, H, W]`` on the CPU: in [0, 1], and normalised as the model expects.
    masks : ObjectMasks
        Of ``N`` images; no object where a row has no mask.
    has_mask : ndarray
        bool, ``[N]``.
    """

    row_id: npt.NDArray[np.int64]
    images: Tensor
    inputs: Tensor
    masks: ObjectMasks
    has_mask: BoolArray

    def __len__(self) -> int:
        return len(self.row_id)


def choose_rows(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """At most ``most`` rows in sorted ``row_id``: label by label in turn, in a seeded order within each label.

    The choice does not depend on the order of ``rows``.

    Examples
    --------
    >>> rows = [Row(i, i, "cat" if i < 90 else "dog") for i in range(100)]
    >>> [row.label for row in choose_rows(rows, 4, seed=0)]
    ['cat', 'cat', 'dog', 'dog']
    """
    ordered = sorted(rows, key=lambda row: row.row_id)
    order = np.random.default_rng(np.random.SeedSequence([seed])).permutation(len(ordered))
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for index in order.tolist():
        label = ordered[index].label
        turns[label] = turns.get(label, 0) + 1
        ranked.append((turns[label], len(ranked), index))
    return [ordered[index] for index in sorted(index for _, _, index in sorted(ranked)[:most])]


def read_sample(rows: Sequence[Row], reader: RowReader, preprocess: Preprocess) -> Sample:
    """The rows, at least one, read at the model's input geometry."""
    batch = as_batch(default_collate([reader(row) for row in rows]))
    given = np.asarray(batch.has_mask.numpy(), dtype=bool)
    found = ObjectMasks.of(batch.mask.numpy())
    masks = ObjectMasks(found.foreground & given[:, None, None], found.background)
    return Sample(batch.row_id.numpy(), batch.image, preprocess.normalize(batch.image), masks, given)
