"""Sources: files below the root and nothing else, and the same rows from every kind of source."""

import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from figureground.audit.keeping.tables import EXAMPLES, conform
from figureground.datasets import files
from figureground.datasets.decoding import PLAIN, Decoding
from figureground.datasets.images import RowFault
from figureground.datasets.intake import Intake
from figureground.datasets.sources import DatasetSource, TableSource, as_picture, open_source
from figureground.errors import IntegrityError, ManifestError, UsageError

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


def table_source(root, decoding=PLAIN, **cells):
    frame = pd.DataFrame({"label": ["cat"], **{name: [cell] for name, cell in cells.items()}}, dtype=object)
    return TableSource("dataframe", "DataFrame", frame, root, decoding=decoding)


def escape(source):
    """The refusal of a file outside the root, by default and for the row alone; it was not opened."""
    with pytest.raises(IntegrityError, match="PATH_ESCAPE") as caught:
        source.pixels(0)
    assert caught.value.exit_code == 6
    return reason(replace(source, decoding=Decoding(keep_going=True)))


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


@pytest.mark.fault("C13")
def test_dots_do_not_lead_out_of_the_root(root):
    assert escape(table_source(root, image="../secret.png")) == "path_escape"
    assert escape(table_source(root, image="none/../../secret.png")) == "path_escape"
    for name in ("mask", "region:x"):
        with pytest.raises(IntegrityError, match=f"DataFrame:2:{name}"):
            table_source(root, image="a.png", **{name: "../secret.png"}).pixels(0)
    keep = Decoding(keep_going=True)
    assert table_source(root, keep, image="a.png", mask="../secret.png").pixels(0).mask_status == "path_escape"
    assert table_source(root, keep, image="a.png", **{"region:x": "../secret.png"}).pixels(0).notes == (
        "region:x:path_escape",
    )


@pytest.mark.fault("C13")
def test_absolute_paths_do_not_lead_out_of_the_root(root):
    for cell in (str(root.parent / "secret.png"), str(root) + "-other/a.png", "/etc/passwd", "/dev/zero"):
        assert escape(table_source(root, image=cell)) == "path_escape"
    assert table_source(root, image=str(root / "a.png")).pixels(0).image.size == (8, 6)


@pytest.mark.fault("C13")
def test_links_do_not_lead_out_of_the_root(root):
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "up").symlink_to(root.parent)
    (root / "zero.png").symlink_to("/dev/zero")
    (root / "inner.png").symlink_to(root / "a.png")
    for cell in ("link.png", "up/secret.png", "zero.png"):
        assert escape(table_source(root, image=cell)) == "path_escape"
    assert table_source(root, image="inner.png").pixels(0).image.size == (8, 6)


@pytest.mark.fault("C13")
def test_pipes_and_addresses_are_never_opened(root, monkeypatch):
    os.mkfifo(root / "pipe.png")
    monkeypatch.setattr(files, "_bytes_of", lambda path: pytest.fail(f"opened {path}"))
    for cell in ("pipe.png", "http://host/a.png", "file:///etc/passwd", "s3://bucket/a.png"):
        assert escape(table_source(root, image=cell)) == "path_escape"


@pytest.mark.fault("C1")
def test_what_is_no_file_is_missing(root):
    (root / "ring.png").symlink_to(root / "ring.png")
    for cell in ("none.png", "", ".", "a\0.png", "x" * 300 + ".png", "ring.png", "a.png/b.png"):
        assert reason(table_source(root, image=cell)) == "missing_file"
    assert table_source(root, image="a.png", mask="none.png").pixels(0).mask_status == "mask_missing"


@pytest.mark.fault("C15")
def test_a_file_that_cannot_be_read_is_tried_again_and_then_set_aside(root, monkeypatch):
    tries = []

    def refused(path):
        tries.append(path)
        if len(tries) < 3 or tries[0].name == "locked.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return path.read_bytes()

    monkeypatch.setattr(files, "_bytes_of", refused)
    for name, expected in (("a.png", None), ("locked.png", "io_error")):
        write(root / name, 4)
        tries.clear()
        reader = files.Files(root.resolve(), pauses=(0, 0))
        if expected is None:
            assert reader.read(name, "image") == (root / name).read_bytes()
        else:
            with pytest.raises(RowFault, match="Permission denied") as caught:
                reader.read(name, "image")
            assert caught.value.reason == expected
        assert len(tries) == 3
    with pytest.raises(RowFault) as caught:
        files.Files(root.resolve(), pauses=()).read("locked.png", "mask")
    assert caught.value.reason == "mask_unreadable"


@pytest.mark.fault("C15")
def test_a_disk_that_never_answers_is_left_behind(root, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(files, "_bytes_of", lambda _: never.wait(20))
    monkeypatch.setattr(files, "may_stall", lambda *_: True)
    began = time.monotonic()
    with pytest.raises(RowFault, match="no answer from the disk") as caught:
        files.Files(root.resolve(), patience=0.05).read("a.png", "image")
    assert caught.value.reason == "io_error"
    assert time.monotonic() - began < 5
    never.set()


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hold_us(root):
    os.mkfifo(root / "late.png")
    with pytest.raises(FileNotFoundError):
        files._bytes_of(root / "late.png")


@pytest.mark.fault("D8")
def test_a_mask_of_another_shape_leaves_the_row_without_a_mask(root):
    write_mask(root / "turned.png", size=(6, 8))
    found = table_source(root, image="a.png", mask="turned.png").pixels(0)
    assert found.mask is None
    assert found.mask_status == "size_mismatch"
    assert "transposed? EXIF?" in found.trouble[1]
    write_mask(root / "double.png", size=(16, 12))
    found = table_source(root, image="a.png", mask="double.png").pixels(0)
    assert (found.mask.shape, found.mask_status, found.notes) == ((6, 8), "ok", ("mask_resized",))


@pytest.mark.fault("D2", "D6")
def test_a_mask_with_several_meanings_ends_the_run_with_a_question(root):
    Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(root / "grey.png")
    Image.fromarray(np.array([[[0, 0, 0], [9, 8, 7]]], np.uint8)).save(root / "colour.png")
    for name, found in (("grey.png", "0, 128, 255"), ("colour.png", r"\(0, 0, 0\), \(9, 8, 7\)")):
        with pytest.raises(UsageError, match=rf"DataFrame:2:mask: found .*{found}.*--mask-mode") as caught:
            table_source(root, image="a.png", mask=name).pixels(0)
        assert caught.value.exit_code == 2


@pytest.mark.fault("D6")
def test_the_alpha_channel_of_a_picture_is_its_mask_where_that_is_declared(root):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    pixels[1:4, 2:5, 3] = 255
    Image.fromarray(pixels).save(root / "cut.png")
    source = table_source(root, Decoding(mask_mode="alpha"), image="cut.png")
    assert source.table()["mask"].tolist() == ["cut.png"]
    found = source.pixels(0)
    np.testing.assert_array_equal(found.mask, pixels[..., 3] // 255)
    np.testing.assert_array_equal(np.asarray(found.image), pixels[..., :3])  # nothing is painted over
    item = {"image": Image.fromarray(pixels), "label": 0}
    np.testing.assert_array_equal(
        DatasetSource([item], CLASSES, decoding=Decoding(mask_mode="alpha")).pixels(0).mask, found.mask
    )
    bare = table_source(root, Decoding(mask_mode="alpha"), image="a.png").pixels(0)
    assert (bare.mask, bare.mask_status) == (None, "mask_values")


def test_the_object_of_class_numbers_is_that_of_the_label(root):
    ids = np.zeros((6, 8), np.uint8)
    ids[0:2], ids[3:5] = 8, 12
    Image.fromarray(ids).save(root / "ids.png")
    chosen = Decoding(mask_mode="class-ids", mask_object="label", mask_ids={"cat": 8, "dog": 12, "eel": 5})
    found = table_source(root, chosen, image="a.png", mask="ids.png").pixels(0).mask
    np.testing.assert_array_equal(found, ids == 8)
    by_finding = table_source(root, chosen, image="a.png", **{"mask:dog": "ids.png"}).pixels(0).mask
    np.testing.assert_array_equal(by_finding, ids == 12)
    item = {"image": np.zeros((6, 8, 3), np.uint8), "label": 1, "mask": ids}
    np.testing.assert_array_equal(DatasetSource([item], CLASSES, decoding=chosen).pixels(0).mask, ids == 12)
    absent = table_source(root, chosen, image="a.png", **{"mask:eel": "ids.png"}).pixels(0)
    assert (absent.mask, absent.mask_status) == (None, "object_absent")


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    "name",
    [
        "a b.png", "it's \"so\".png", "<b>&amp;%41#1.png", "two\nlines.png", "\U0001f98a.png", "\u202egnp.png",
        "-rf.png", "\udcff\udcfe.png", "x" * 251 + ".png", "{{7*7}};$HOME.png",
    ],
)  # fmt: skip
def test_odd_names_are_read_and_stored(root, name, tmp_path):
    drawn = write(root / name, 9)
    source = table_source(root, image=name)
    np.testing.assert_array_equal(np.asarray(source.pixels(0).image), drawn)
    examples = Intake(CLASSES)(source, source.table()).stored
    stored_name = conform(examples, EXAMPLES).to_pandas()["path"].item()
    assert stored_name == name or "\udcff" in name
    assert stored_name.encode("utf-8").decode("unicode_escape" if "\udcff" in name else "utf-8") == name


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
        (COLOURS.astype(np.int64), "bit_depth"),
        (COLOURS.astype(np.uint16), "bit_depth"),
        (np.zeros((5, 7, 2), np.uint8), "bit_depth"),
        (np.zeros((5, 7, 6), np.uint8), "bit_depth"),
        (np.zeros((0, 7, 3), np.uint8), "bit_depth"),
        (np.zeros((3, 0, 7), np.float32), "bit_depth"),
        (np.zeros(4, np.uint8), "bit_depth"),
        (Image.new("I;16", (4, 4)), "bit_depth"),
        (Image.new("F", (4, 4)), "bit_depth"),
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
        assert reason(DatasetSource(Rows([(picture, 0)]), CLASSES)) == "truncated"


def test_how_a_table_was_read_reaches_the_source(tmp_path):
    (tmp_path / "m.csv").write_text("image;diagnosis\na.png;cat\nb.png;dog\n", encoding="cp1252")
    source = open_source(tmp_path / "m.csv", classes=("cat", "dog"), columns={"label": "diagnosis"})
    assert source.reading == "separated by semicolons"
    assert source.table()["label"].tolist() == ["cat", "dog"]
