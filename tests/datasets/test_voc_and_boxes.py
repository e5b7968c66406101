"""Pascal VOC and tables of boxes: whose pixels are objects, which are open, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figureground.datasets.building import build_manifest
from figureground.datasets.intake import Intake
from figureground.datasets.sources import open_source
from figureground.datasets.voc import VOC_CLASSES, read_annotation
from figureground.errors import ManifestError

H, W = 20, 30


def voc(root: Path, pictures: dict[str, list[tuple]]) -> Path:
    """A data set of pictures with (name, xmin, ymin, xmax, ymax, difficult)."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main", "SegmentationClass"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for stem, objects in pictures.items():
        Image.fromarray(np.full((H, W, 3), 90, np.uint8)).save(root / "JPEGImages" / f"{stem}.jpg")
        parts = "".join(
            f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
            f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
            for name, a, b, c, d, difficult in objects
        )
        size = f"<size><width>{W}</width><height>{H}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{stem}.jpg</filename>{size}{parts}</annotation>"
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    return root


def mask_of(root: Path, cell: str) -> np.ndarray:
    return np.asarray(Image.open(root / cell))


def test_boxes_count_pixels_from_one_and_hold_the_last(tmp_path):
    voc(tmp_path, {"a": [("cat", 1, 1, 4, 2, 0)], "b": [("dog", 29, 19, 30, 20, 0)]})
    (tmp_path / "ImageSets/Main/train.txt").write_text("a 1\n")
    (tmp_path / "ImageSets/Main/test.txt").write_text("b -1\n")
    built = build_manifest(tmp_path, tmp_path / "m.csv", boxes=True)
    frame = built.frame.set_index("image")
    assert frame["label"].tolist() == ["cat", "dog"]
    assert frame["split"].tolist() == ["train", "test"]
    assert frame["mask_source"].tolist() == ["box", "box"]
    expected = np.zeros((H, W), np.uint8)
    expected[:2, :4] = 1
    np.testing.assert_array_equal(mask_of(tmp_path, frame.loc["JPEGImages/a.jpg", "mask"]), expected)
    assert mask_of(tmp_path, frame.loc["JPEGImages/b.jpg", "mask"])[18:, 28:].sum() == 4


def test_several_classes_are_findings_and_difficult_objects_are_open(tmp_path):
    objects = [("cat", 1, 1, 10, 10, 0), ("cat", 6, 6, 15, 15, 1), ("dog", 20, 1, 25, 5, 0)]
    voc(tmp_path, {"a": objects, "b": [("cat", 100, 100, 110, 110, 0)], "c": []})
    built = build_manifest(tmp_path, tmp_path / "m.csv", boxes=True)
    assert built.left_out == {
        "boxes outside of their picture": 1,
        "pictures without a mask": 1,
        "pictures without an object": 1,
    }
    first = built.frame.iloc[0]
    assert (first["label:cat"], first["label:dog"]) == ("1", "1")
    mask = mask_of(tmp_path, first["mask:cat"])
    assert (mask[:10, :10] == 1).all()
    assert (mask[10:15, 5:15] == 255).all()
    assert built.frame.iloc[1]["mask_source"] == ""
    without = build_manifest(tmp_path, tmp_path / "m.csv", overwrite=True)
    assert "mask:cat" not in without.frame


def test_segmentations_are_read_by_their_numbers(tmp_path):
    voc(tmp_path, {"a": [("cat", 1, 1, 30, 20, 0)]})
    numbers = np.zeros((H, W), np.uint8)
    numbers[2:5, 2:5], numbers[5, :], numbers[8:, :] = VOC_CLASSES.index("cat") + 1, 255, VOC_CLASSES.index("dog") + 1
    picture = Image.fromarray(numbers, mode="P")
    picture.putpalette([value % 256 for value in range(768)])
    picture.save(tmp_path / "SegmentationClass" / "a.png")
    built = build_manifest(tmp_path, tmp_path / "m.csv", boxes=True)
    mask = mask_of(tmp_path, built.frame["mask"].item())
    assert built.frame["mask_source"].item() == "human"
    assert (mask == 1).sum() == 9
    assert (mask == 255).sum() == W
    source = open_source(tmp_path / "m.csv", classes=("cat",))
    assert Intake(("cat",))(source, source.table()).usable["object_area"].item() == pytest.approx(9 / (H * W - W))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation><filename>a.jpg</filename></annotation>",
        "<annotation>",
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation>&b;</annotation>',
        "<annotation><filename>a</filename><size><width>x</width><height>1</height></size></annotation>",
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ManifestError, match="VOC"):
        read_annotation(tmp_path / "a.xml")


def boxes(root: Path, *lines: str) -> Path:
    for name in ("a", "b"):
        Image.fromarray(np.full((H, W, 3), 90, np.uint8)).save(root / f"{name}.png")
    path = root / "boxes.csv"
    path.write_text("\n".join(["image,label,xmin,ymin,xmax,ymax,site", *lines, ""]))
    return path


def test_a_table_of_boxes_becomes_one_row_a_picture(tmp_path):
    path = boxes(tmp_path, "a.png,cat,0,0,4,2,01", "a.png,cat,10,10,12,12,01", "b.png,dog,,,,,NA")
    built = build_manifest(path, tmp_path / "m.csv")
    assert built.left_out == {"pictures without a box": 1}
    assert built.frame["site"].tolist() == ["01", "NA"]
    assert built.frame["mask_source"].tolist() == ["box", ""]
    mask = mask_of(tmp_path, built.frame["mask"][0])
    assert mask.sum() == 8 + 4
    assert mask[10:12, 10:12].all()
    several = build_manifest(
        boxes(tmp_path, "a.png,cat,0,0,4,2,1", "a.png,dog,0,0,9,9,1"), tmp_path / "m.csv", overwrite=True
    )
    assert mask_of(tmp_path, several.frame["mask:dog"][0]).sum() == 81


@pytest.mark.parametrize(
    "lines",
    [["a.png,cat,0,0,x,2,"], ["a.png,cat,4,0,0,2,"], ["a.png,cat,0,0,,2,"], ["none.png,cat,0,0,1,1,"],
     ["a.png,cat,0,0,1,1,x", "a.png,cat,0,0,1,1,y"]],
)  # fmt: skip
def test_boxes_that_are_none_are_refused_with_their_line(tmp_path, lines):
    with pytest.raises(ManifestError, match="BOXES"):
        build_manifest(boxes(tmp_path, *lines), tmp_path / "m.csv")


def test_a_table_without_corners_is_no_table_of_boxes(tmp_path):
    pd.DataFrame({"image": ["a.png"], "label": ["cat"]}).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ManifestError, match="a column xmin"):
        build_manifest(tmp_path / "x.csv", tmp_path / "m.csv")
