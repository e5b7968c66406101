"""Sources: files below the root and nothing else, and the same rows from every kind of source."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from figureground.datasets.images import RowFault
from figureground.datasets.intake import Intake
from figureground.datasets.sources import DatasetSource, TableSource, as_picture, open_source
from figureground.errors import ManifestError, UsageError

CLASSES = ("cat", "dog")


def write(path, seed=0, size=(8, 6)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def write_mask(path, size=(8, 6)):
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[1:4, 2:5] = 255
    Image.fromarray(mask).save(path)
    return mask // 255


def table_source(root, **cells):
    frame = pd.DataFrame({"label": ["cat"], **{name: [cell] for name, cell in cells.items()}}, dtype=object)
    return TableSource("dataframe", "DataFrame", frame, root)


def reason(source, position=0):
    with pytest.raises(RowFault) as caught:
        source.pixels(position)
    return caught.value.reason


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    write(folder / "a.png", 1)
    write(tmp_path / "secret.png", 2)
    return folder


def test_pixels_of_a_row(root):
    drawn = write(root / "deep" / "b.png", 3)
    mask = write_mask(root / "mask.png")
    source = table_source(root, image="deep/b.png", mask="mask.png", **{"region:tag": "mask.png", "region:none": ""})
    pixels = source.pixels(0)
    np.testing.assert_array_equal(np.asarray(pixels.image), drawn)
    np.testing.assert_array_equal(pixels.mask, mask)
    assert list(pixels.regions) == ["tag"]
    assert len(pixels.sha256) == 64
    assert table_source(root, image="deep/b.png", mask="").pixels(0).mask is None


def test_dots_do_not_lead_out_of_the_root(root):
    assert reason(table_source(root, image="../secret.png")) == "outside_root"
    assert reason(table_source(root, image="none/../../secret.png")) == "outside_root"
    assert reason(table_source(root, image="a.png", mask="../secret.png")) == "outside_root"
    assert reason(table_source(root, image="a.png", **{"region:x": "../secret.png"})) == "outside_root"


def test_absolute_paths_do_not_lead_out_of_the_root(root):
    assert reason(table_source(root, image=str(root.parent / "secret.png"))) == "outside_root"
    assert reason(table_source(root, image=str(root) + "-other/a.png")) == "outside_root"
    assert table_source(root, image=str(root / "a.png")).pixels(0).image.size == (8, 6)


def test_links_do_not_lead_out_of_the_root(root):
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "up").symlink_to(root.parent)
    (root / "inner.png").symlink_to(root / "a.png")
    assert reason(table_source(root, image="link.png")) == "outside_root"
    assert reason(table_source(root, image="up/secret.png")) == "outside_root"
    assert table_source(root, image="inner.png").pixels(0).image.size == (8, 6)


def test_what_is_no_file_is_missing_and_never_opened(root):
    (root / "ring.png").symlink_to(root / "ring.png")
    os.mkfifo(root / "pipe.png")
    for cell in ("none.png", "", ".", "pipe.png", "http://host/a.png"):
        assert reason(table_source(root, image=cell)) == "image_missing"
    for cell in ("a\0.png", "x" * 300 + ".png", "ring.png"):
        assert reason(table_source(root, image=cell)) == "image_unreadable"
    assert reason(table_source(root, image="a.png", mask="none.png")) == "mask_missing"


def test_a_mask_of_another_size_is_somebody_elses(root):
    write_mask(root / "turned.png", size=(6, 8))
    assert reason(table_source(root, image="a.png", mask="turned.png")) == "mask_size"


def test_keys_are_paths_below_the_root(root):
    rows = [
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        (str(root / "x/b.png"), "x/b.png"),
        ("/else/c.png", "/else/c.png"),
    ]
    frame = pd.DataFrame({"image": [given for given, _ in rows], "label": "cat"}, dtype=object)
    table = TableSource("dataframe", "DataFrame", frame, root).table()
    assert table["path"].tolist() == table["key"].tolist() == [expected for _, expected in rows]


def test_keys_do_not_depend_on_a_link_to_the_root(root):
    link = root.parent / "link"
    link.symlink_to(root)
    for base in (link, root):
        for place in (link, root):
            expected = "a.png" if base == link or place == root else str(link / "a.png")
            assert table_source(base, image=str(place / "a.png")).table()["path"].item() == expected


def test_an_own_key_stays(root):
    table = table_source(root, image="a.png", key="007").table()
    assert (table["key"].item(), table["path"].item()) == ("007", "a.png")


def test_a_column_named_path_is_not_overwritten(root):
    with pytest.raises(ManifestError, match="my_path"):
        table_source(root, image="a.png", path="somewhere").table()


# --- the same rows, whichever way they come -------------------------------------------------------


class Rows:
    """Items in memory, as a Dataset gives them."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.fixture
def three_ways(root):
    items, rows = [], []
    for n in range(6):
        name = f"p{n}.png"
        pixels = write(root / name, seed=n)
        mask = write_mask(root / f"m{n}.png") if n % 2 else None
        row = {
            "label": CLASSES[n % 2], "environment": ("hill", "", "NA")[n % 3],
            "site": ("01", "", "NA")[n % 3], "cluster": f"c{n // 2}", "split": "test",
        }  # fmt: skip
        rows.append({"image": name, "mask": "" if mask is None else f"m{n}.png", **row})
        items.append({"image": torch.from_numpy(pixels).permute(2, 0, 1), "mask": mask, "key": name, **row})
        items[-1]["label"] = n % 2
    frame = pd.DataFrame(rows)
    frame.to_csv(root / "manifest.csv", index=False)
    return root / "manifest.csv", frame.replace("", None), Rows(items)


def stored(data, root=None):
    source = open_source(data, classes=CLASSES, root=root)
    return Intake(CLASSES)(source, source.table()).stored.drop(columns=["path", "sha256"])


def test_manifest_frame_and_dataset_give_equal_tables(three_ways):
    manifest, frame, dataset = three_ways
    expected = stored(manifest)
    assert (expected["status"] == "ok").all()
    assert set(expected["site"]) == {"01", "NA", "(missing)"}
    assert set(expected["environment"]) == {"hill", "NA", "(missing)"}
    assert expected["object_area"].notna().sum() == 3
    pd.testing.assert_frame_equal(stored(frame, manifest.parent), expected)
    pd.testing.assert_frame_equal(stored(dataset), expected)


def test_pixels_are_equal_too(three_ways):
    manifest, _, dataset = three_ways
    left, right = (open_source(data, classes=CLASSES) for data in (manifest, dataset))
    for position in range(6):
        a, b = left.pixels(position), right.pixels(position)
        np.testing.assert_array_equal(np.asarray(a.image), np.asarray(b.image))
        assert (a.mask is None) == (b.mask is None)
        if a.mask is not None:
            np.testing.assert_array_equal(a.mask, b.mask)


def test_a_frame_of_absolute_paths_needs_no_root(root):
    write(root / "deep" / "b.png", 3)
    frame = pd.DataFrame({"image": [str(root / "a.png"), str(root / "deep/b.png")], "label": ["cat", "dog"]})
    source = open_source(frame, classes=CLASSES)
    assert source.root == root
    assert source.table()["path"].tolist() == ["a.png", "deep/b.png"]


def test_a_frame_of_relative_paths_starts_where_we_are(root, monkeypatch):
    monkeypatch.chdir(root)
    source = open_source(pd.DataFrame({"image": ["a.png"], "label": ["cat"]}), classes=CLASSES)
    assert source.root == Path.cwd()
    assert source.pixels(0).image.size == (8, 6)


def test_tuples_and_labels_of_a_dataset():
    picture, mask = Image.new("RGB", (3, 2)), np.ones((2, 3), np.uint8)
    dataset = Rows([(picture, 0), (picture, torch.tensor(1), mask), (picture, "eel"), (picture, -1), (picture, 2)])
    source = DatasetSource(dataset, CLASSES)
    table = source.table()
    assert table["label"].tolist() == ["cat", "dog", "eel", "-1", "2"]
    assert table["key"].tolist() == [f"{n:09d}" for n in range(5)]
    assert source.pixels(0).mask is None
    assert source.pixels(1).mask.tolist() == mask.tolist()


def test_attributes_of_a_dataset_are_not_rounded():
    picture = Image.new("RGB", (3, 2))
    dataset = Rows([{"image": picture, "label": 0, "animal": 2**53 + 1}, {"image": picture, "label": 1}])
    assert DatasetSource(dataset, CLASSES).table()["animal"].tolist() == [str(2**53 + 1), ""]


def test_regions_of_a_dataset_reach_the_examples():
    picture, tag = Image.new("RGB", (3, 2)), np.eye(2, 3, dtype=bool)
    source = DatasetSource(
        Rows(
            [
                {"image": picture, "label": 0, "region:tag": tag},
                {"image": picture, "label": 1, "region:tag": None},
            ]
        ),
        CLASSES,
    )
    examples = Intake(CLASSES)(source, source.table())
    assert examples.regions == ("tag",)
    assert examples.attributes == ()
    np.testing.assert_array_equal(source.pixels(0).regions["tag"], tag)
    assert source.pixels(1).regions == {}


def test_items_without_image_or_label_are_refused():
    for item in ({"image": 1}, {"label": 0}, (1,)):
        with pytest.raises(ManifestError, match="DATASET_ITEM"):
            DatasetSource(Rows([item]), CLASSES).table()


def test_other_data_are_refused():
    with pytest.raises(UsageError, match="DATA_KIND"):
        open_source(7, classes=CLASSES)


# --- pictures in memory ---------------------------------------------------------------------------

COLOURS = np.random.default_rng(5).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        COLOURS,
        COLOURS.transpose(2, 0, 1),
        torch.from_numpy(COLOURS).permute(2, 0, 1),
        torch.from_numpy(COLOURS).permute(2, 0, 1).float() / 255,
        Image.fromarray(COLOURS),
    ],
)
def test_every_form_of_a_picture_is_the_same_picture(given):
    picture = as_picture(given)
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(picture), COLOURS)


@pytest.mark.parametrize("given", [COLOURS[..., 0], COLOURS[..., :1], COLOURS[..., 0][None]])
def test_one_channel_is_grey(given):
    assert as_picture(given).mode == "L"
    np.testing.assert_array_equal(np.asarray(as_picture(given)), COLOURS[..., 0])


def test_alpha_of_an_array_shows_the_matte():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 0] = 255
    assert np.asarray(as_picture(pixels)).tolist() == [[[255, 255, 255]] * 2] * 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.full((3, 5, 7), 1.1, np.float32), "image_range"),
        (np.full((3, 5, 7), -0.1, np.float32), "image_range"),
        (np.full((3, 5, 7), np.nan, np.float32), "image_range"),
        (COLOURS.astype(np.int64), "image_depth"),
        (COLOURS.astype(np.uint16), "image_depth"),
        (np.zeros((5, 7, 2), np.uint8), "image_depth"),
        (np.zeros((5, 7, 6), np.uint8), "image_depth"),
        (np.zeros((0, 7, 3), np.uint8), "image_depth"),
        (np.zeros((3, 0, 7), np.float32), "image_depth"),
        (np.zeros(4, np.uint8), "image_depth"),
        (Image.new("I;16", (4, 4)), "image_depth"),
        (Image.new("F", (4, 4)), "image_depth"),
    ],
)
def test_pictures_that_would_need_a_guess_are_refused(given, expected):
    with pytest.raises(RowFault) as caught:
        as_picture(given)
    assert caught.value.reason == expected


def test_a_truncated_file_in_a_dataset_is_a_row_fault(tmp_path):
    write(tmp_path / "a.png", size=(64, 64))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with Image.open(tmp_path / "a.png") as picture:
        assert reason(DatasetSource(Rows([(picture, 0)]), CLASSES)) == "image_unreadable"


def test_how_a_table_was_read_reaches_the_source(tmp_path):
    (tmp_path / "m.csv").write_text("image;diagnosis\na.png;cat\nb.png;dog\n", encoding="cp1252")
    source = open_source(tmp_path / "m.csv", classes=("cat", "dog"), columns={"label": "diagnosis"})
    assert source.reading == "separated by semicolons"
    assert source.table()["label"].tolist() == ["cat", "dog"]
