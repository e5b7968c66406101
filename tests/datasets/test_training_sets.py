"""Training and validation: every usable row on one side, whole clusters together."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from figureground.datasets import training_sets
from figureground.datasets.training_sets import labelled_images, validation_rows
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError


@settings(max_examples=30, deadline=None)
@given(
    cells=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=80),
    seed=st.integers(0, 99), data=st.data(),
)  # fmt: skip
def test_clusters_are_never_on_both_sides(cells, seed, data):
    rows = pd.DataFrame(cells, columns=["label", "cluster"]).assign(cluster=lambda f: f["cluster"].map("c{}".format))
    held = validation_rows(rows, seed)
    assert held.dtype == bool
    assert not set(rows.loc[held, "cluster"]) & set(rows.loc[~held, "cluster"])
    for _, cell in rows[held].groupby("label"):
        assert cell["cluster"].nunique() >= 1
    assert set(rows.loc[held, "label"]) == set(rows["label"])
    order = data.draw(st.permutations(range(len(rows))))
    np.testing.assert_array_equal(validation_rows(rows.iloc[order], seed), held[order])


def test_about_a_tenth_of_the_clusters_of_each_label_is_held():
    rows = pd.DataFrame({"label": ["a"] * 200 + ["b"] * 40, "cluster": [f"c{n // 2}" for n in range(240)]})
    held = rows[validation_rows(rows, 0)]
    assert held.groupby("label")["cluster"].nunique().to_dict() == {"a": 10, "b": 2}
    assert set(map(tuple, [validation_rows(rows, seed) for seed in (0, 0)])) == {tuple(validation_rows(rows, 0))}
    assert (validation_rows(rows, 0) != validation_rows(rows, 1)).any()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """24 pictures in 12 clusters for training, 4 for testing, one that is broken."""
    root = tmp_path_factory.mktemp("train")
    rows = []
    for n in range(28):
        Image.fromarray(np.full((6, 8), n * 9, np.uint8)).save(root / f"{n}.png")
        rows.append((f"{n}.png", ("dog", "cat")[n % 4 // 2], f"c{n // 2}", "train" if n < 24 else "test"))
    (root / "bad.png").write_bytes(b"no picture")
    rows.append(("bad.png", "cat", "c99", "train"))
    pd.DataFrame(rows, columns=["image", "label", "cluster", "split"]).to_csv(root / "manifest.csv", index=False)
    return root / "manifest.csv"


def pictures(dataset):
    """Number of the picture and its label, for all items."""
    return sorted((round(image.max().item() * 255 / 9), label.item()) for image, label in
                  (dataset[n] for n in range(len(dataset))))  # fmt: skip


def read(manifest, classes=None, columns=None, split=None, preprocess=None, seed=0):
    return labelled_images(manifest, classes, columns, None, split, preprocess, seed)


def test_every_usable_row_is_on_one_side(manifest):
    sets = read(manifest)
    assert sets.classes == ("cat", "dog")
    assert sets.set_aside == {"not_an_image:text": 1}
    assert sets.preprocess == Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3)
    train, validation = pictures(sets.train), pictures(sets.validation)
    assert sorted(train + validation) == [(n, 1 - n % 4 // 2) for n in range(24)]
    assert len(validation) == 4
    assert not {n // 2 for n, _ in train} & {n // 2 for n, _ in validation}


def test_another_split_can_be_named(manifest):
    sets = read(manifest, split="test")
    assert sorted(pictures(sets.train) + pictures(sets.validation)) == [(n, 1 - n % 4 // 2) for n in range(24, 28)]


def test_classes_keep_the_order_they_were_given(manifest):
    sets = read(manifest, classes=("dog", "cat"))
    assert {n % 4 // 2 == label for n, label in pictures(sets.train)} == {True}


def test_more_pictures_than_memory_gives_the_same_items(manifest, monkeypatch):
    kept = read(manifest)
    monkeypatch.setattr(training_sets, "CACHE_BYTES", 1000)
    streamed = read(manifest)
    assert type(kept.train) is not type(streamed.train)
    for left, right in ((kept.train, streamed.train), (kept.validation, streamed.validation)):
        assert len(left) == len(right)
        for n in range(len(left)):
            assert all(torch.equal(a, b) for a, b in zip(left[n], right[n], strict=True))


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    for name, size in (("a", (8, 6)), ("b", (8, 6)), ("c", (9, 6)), ("d", (9, 6))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    frame = pd.DataFrame({"image": [str(tmp_path / f"{name}.png") for name in "abcd"], "label": ["x", "y", "x", "y"]})
    with pytest.raises(UsageError, match="IMAGE_SIZE"):
        read(frame)
    sets = read(frame, preprocess=Preprocess(resize=(5, 5)))
    assert sets.validation[0][0].shape == (3, 5, 5)


def test_integer_labels_of_a_dataset_need_names():
    items = [(Image.new("RGB", (4, 4)), n % 2) for n in range(8)]
    with pytest.raises(UsageError, match="CLASSES"):
        read(items)
    assert read(items, classes=("x", "y")).classes == ("x", "y")
