"""Items, their cache, and batches that never cross a shard."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from figureground.datasets import datamodule
from figureground.datasets.columns import SHARD_ROWS
from figureground.datasets.datamodule import (
    ExampleDataset,
    LabelledImages,
    Row,
    RowReader,
    as_batch,
    rows_of,
    shard_batches,
)
from figureground.datasets.sources import Pixels
from figureground.datasets.transforms import Preprocess

CLASSES = ("cat", "dog")


class Drawn:
    """A source of random pictures that counts how often each is read."""

    kind = where = "test"

    def __init__(self):
        self.read = []

    def pixels(self, position):
        self.read.append(position)
        rng = np.random.default_rng(position)
        mask = None if position % 3 == 0 else rng.choice(np.array([0, 1, 255], np.uint8), (6, 8))
        regions = {"tag": rng.choice(np.array([0, 1, 255], np.uint8), (6, 8))} if position % 2 else {}
        return Pixels(Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)), mask, regions, "0")


def reader(**options):
    return RowReader(Drawn(), Preprocess(), CLASSES, **options)


ROWS = tuple(Row(2**62 + n, n, CLASSES[n % 2]) for n in range(7))


def equal(left, right):
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    return left.dtype == right.dtype and torch.equal(left, right)


@given(n_rows=st.integers(0, 3 * SHARD_ROWS + 5), batch_size=st.integers(1, 2 * SHARD_ROWS))
def test_batches_cover_every_index_once_and_stay_in_their_shard(n_rows, batch_size):
    batches = shard_batches(n_rows, batch_size)
    assert [index for batch in batches for index in batch] == list(range(n_rows))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(batch[0] // SHARD_ROWS == batch[-1] // SHARD_ROWS for batch in batches)


def test_rows_of_a_frame():
    frame = pd.DataFrame({"row_id": [2**62 + 1, 5], "position": [3, 0], "label": ["dog", "cat"], "x": 1}, index=[7, 9])
    assert rows_of(frame) == (Row(2**62 + 1, 3, "dog"), Row(5, 0, "cat"))
    assert rows_of(frame.head(0)) == ()


def test_an_item_is_what_the_source_holds():
    read = reader(regions=("tag", "none"))
    for row in ROWS:
        item, pixels = read(row), Drawn().pixels(row.position)
        assert item["row_id"].item() == row.row_id
        assert item["label"].item() == row.position % 2
        np.testing.assert_allclose(item["image"].permute(1, 2, 0) * 255, np.asarray(pixels.image), atol=1e-4)
        assert item["has_mask"].item() == (pixels.mask is not None)
        np.testing.assert_array_equal(item["mask"], 0 * item["mask"] if pixels.mask is None else pixels.mask)
        tag = pixels.regions.get("tag", np.zeros((6, 8)))
        np.testing.assert_array_equal(item["regions"]["tag"], tag == 1)
        assert not item["regions"]["none"].any()


def test_the_cache_gives_equal_items_and_reads_once():
    read = reader(regions=("tag",))
    first = [read(row) for row in ROWS]
    assert all(equal(read(row), item) for row, item in zip(ROWS, first, strict=True))
    assert read.source.read == list(range(7))
    assert all(equal(reader(regions=("tag",))(row), item) for row, item in zip(ROWS, first, strict=True))


@pytest.mark.parametrize("regions", [(), ("tag", "a", "b")])
def test_the_cache_is_bounded_and_forgets_the_oldest(monkeypatch, regions):
    nbytes = 6 * 8 * (3 * 4 + 1 + len(regions))
    monkeypatch.setattr(datamodule, "CACHE_BYTES", 3 * nbytes + nbytes // 2)
    read = reader(regions=regions)
    for row in ROWS[:3]:
        read(row)
    read(ROWS[0])  # now the most recent
    read(ROWS[3])  # drops row 1
    assert sorted(read._kept) == [0, 2, 3]
    read(ROWS[0])
    assert read.source.read == [0, 1, 2, 3]
    read(ROWS[1])
    assert read.source.read == [0, 1, 2, 3, 1]


def test_a_picture_larger_than_the_cache_is_still_read(monkeypatch):
    monkeypatch.setattr(datamodule, "CACHE_BYTES", 10)
    read = reader()
    assert equal(read(ROWS[1]), reader()(ROWS[1]))
    assert len(read._kept) == 0


def test_items_become_batches():
    dataset = ExampleDataset(ROWS, reader(regions=("tag",)))
    assert len(dataset) == 7
    (whole,) = [as_batch(items) for items in DataLoader(dataset, batch_sampler=[[1, 0, 5]])]
    assert whole.row_id.tolist() == [2**62 + 1, 2**62, 2**62 + 5]
    assert whole.label.tolist() == [1, 0, 1]
    assert whole.has_mask.tolist() == [True, False, True]
    assert (whole.image.shape, whole.mask.shape) == ((3, 3, 6, 8), (3, 6, 8))
    assert (whole.row_id.dtype, whole.mask.dtype, whole.regions["tag"].dtype) == (
        torch.int64,
        torch.uint8,
        torch.bool,
    )


def test_training_pairs():
    pairs = LabelledImages(ROWS, reader())
    image, label = pairs[5]
    assert (len(pairs), label.item()) == (7, 1)
    assert torch.equal(image, reader()(ROWS[5])["image"])
