"""Manifests from folders and COCO files: what is in them, what is left out and counted, and the same audit data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from figureground.cli import app
from figureground.datasets.building import build_manifest
from figureground.datasets.intake import Intake
from figureground.datasets.outlines import OutlineFault, outline
from figureground.datasets.sources import open_source
from figureground.errors import ManifestError, UsageError

tools = pytest.importorskip("pycocotools.mask")
H, W = 30, 40


def picture(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((H, W, 3), value, np.uint8)).save(path)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.mark.parametrize("deep", ["", "more/"])
def test_a_folder_for_each_class(tmp_path: Path, deep: str) -> None:
    for name in ("NA", "cat2", "cat10"):
        picture(tmp_path / "data" / name / f"{deep}a.jpg")
        picture(tmp_path / "data" / name / f"{deep}B.PNG")
    built = build_manifest(tmp_path / "data", tmp_path / "m.csv")
    found = read(tmp_path / "m.csv")
    assert found.columns.tolist() == ["image", "label"]
    assert sorted(found["label"].unique()) == ["NA", "cat10", "cat2"]
    assert f"data/NA/{deep}a.jpg" in set(found["image"])
    assert built.left_out == {}
    assert found["image"].tolist() == sorted(found["image"])


@pytest.mark.fault(
    "E9", better="Names of folders are labels; only numbers, which have an order to be lost, need a map."
)
def test_folders_that_are_numbers_need_a_class_map_and_no_position_is_used(tmp_path: Path) -> None:
    for name in ("1", "2", "10"):
        picture(tmp_path / "data" / name / "a.png")
    with pytest.raises(ManifestError, match="CLASS_MAP") as caught:
        build_manifest(tmp_path / "data", tmp_path / "m.csv")
    assert caught.value.exit_code == 2
    names = {"1": "cat", "2": "dog", "3": "eel", "10": "fox"}
    built = build_manifest(tmp_path / "data", tmp_path / "m.csv", class_map=names)
    assert dict(zip(built.frame["image"], built.frame["label"], strict=True)) == {
        "data/1/a.png": "cat", "data/2/a.png": "dog", "data/10/a.png": "fox",
    }  # fmt: skip
    assert built.left_out == {"pictures of eel": 0}
    (tmp_path / "map.json").write_text(json.dumps(names))
    arguments = ["manifest", str(tmp_path / "data"), "-o", str(tmp_path / "m.csv"), "--overwrite", "--class-map"]
    said = CliRunner().invoke(app, [*arguments, str(tmp_path / "map.json")])
    assert said.output.splitlines()[0] == "0 pictures of eel"
    assert CliRunner().invoke(app, [*arguments, "1=cat,2=dog,3=eel,10=fox"]).output == said.output
    picture(tmp_path / "data" / "11" / "a.png")
    for wrong in (names, {"1": "cat"}, tmp_path / "none.json"):
        with pytest.raises(UsageError, match="CLASS_MAP"):
            build_manifest(tmp_path / "data", tmp_path / "m.csv", class_map=wrong, overwrite=True)


@pytest.mark.fault("E9")
def test_a_class_without_a_folder_moves_no_other(tmp_path: Path) -> None:
    for name in ("ape", "cat"):  # the model knows a bee, too
        picture(tmp_path / name / "a.png", value=len(name))
    build_manifest(tmp_path, tmp_path / "manifest.csv")
    source = open_source(tmp_path, classes=("ape", "bee", "cat"))
    examples = Intake(("ape", "bee", "cat"))(source, source.table())
    assert examples.frame.sort_values("path")["label"].tolist() == ["ape", "cat"]


def test_a_folder_for_each_split_and_class(tmp_path: Path) -> None:
    for split in ("train", "valid", "Test".lower()):
        picture(tmp_path / split / "cat" / "a.png")
    build_manifest(tmp_path, tmp_path / "m.csv")
    assert sorted(read(tmp_path / "m.csv")["split"]) == ["test", "train", "val"]
    picture(tmp_path / "other" / "cat" / "a.png")  # now not every folder is a split
    build_manifest(tmp_path, tmp_path / "m.csv", overwrite=True)
    assert "split" not in read(tmp_path / "m.csv")


def test_what_is_in_no_row_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "cat" / "a.png")
    picture(tmp_path / "data" / "loose.png")
    picture(tmp_path / "data" / ".hidden" / "x.png")
    picture(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "data" / "cat" / "notes.txt").write_text("x")
    (tmp_path / "data" / "cat" / "link.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    built = build_manifest(tmp_path / "data", tmp_path / "m.csv")
    assert len(built.frame) == 1
    assert built.left_out == {
        "files that are no pictures": 1,
        "links that lead outside": 1,
        "pictures in no folder of a class": 1,
    }


def test_masks_have_the_names_of_their_pictures(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / "data" / "cat" / name)
    (tmp_path / "masks" / "cat").mkdir(parents=True)
    Image.fromarray(np.eye(H, W, dtype=np.uint8) * 255).save(tmp_path / "masks" / "cat" / "a.png")
    built = build_manifest(tmp_path / "data", tmp_path / "m.csv", masks=tmp_path / "masks")
    assert read(tmp_path / "m.csv")["mask"].tolist() == ["masks/cat/a.png", ""]
    assert built.left_out == {"pictures without a mask": 1}


@pytest.mark.parametrize("make", [Path, Path.mkdir, lambda p: picture(p / "loose.png")])
def test_a_folder_without_classes_is_refused_with_what_it_holds(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "data")
    with pytest.raises(ManifestError, match="FOLDER"):
        build_manifest(tmp_path / "data", tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


def test_a_manifest_outside_its_pictures_and_one_that_is_there_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "cat" / "a.png")
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="OUTSIDE_ROOT"):
        build_manifest(tmp_path / "data", tmp_path / "other" / "m.csv")
    build_manifest(tmp_path / "data", tmp_path / "m.csv")
    with pytest.raises(UsageError, match="there already"):
        build_manifest(tmp_path / "data", tmp_path / "m.csv")


def triangle() -> dict[str, Any]:
    return {"segmentation": [[5.0, 5.0, 30.0, 5.0, 5.0, 25.0]], "bbox": [5, 5, 25, 20]}


@pytest.mark.fault("D12")
def test_polygons_and_both_kinds_of_runs_are_the_same_outline() -> None:
    plain = outline(triangle(), (H, W))
    drawn = Image.new("L", (W, H))
    ImageDraw.Draw(drawn).polygon([(5, 5), (30, 5), (5, 25)], fill=1)
    assert (plain ^ (np.asarray(drawn) > 0)).mean() < 0.05  # another rule at the border
    packed = tools.encode(np.asfortranarray(plain.astype(np.uint8)))
    text = {"size": packed["size"], "counts": packed["counts"].decode()}
    flat, runs, last = plain.ravel(order="F"), [], False
    for value in flat:
        if value == last and runs:
            runs[-1] += 1
        else:
            runs += [1] if (runs or not value) else [0, 1]
            last = value
    loose = {"size": [H, W], "counts": runs}
    for segmentation in (text, loose):
        assert (outline({"segmentation": segmentation}, (H, W)) == plain).all()


def annotations(tmp_path: Path, entries: list[dict[str, Any]], names: tuple[str, ...] = ("cat", "dog")) -> Path:
    images = sorted({entry["image_id"] for entry in entries} | {1, 2})
    for number in images:
        picture(tmp_path / "pics" / f"{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": H, "width": W} for n in images],
        "categories": [{"id": 7 + at, "name": name} for at, name in enumerate(names)],
        "annotations": [{"id": at, "iscrowd": 0, **entry} for at, entry in enumerate(entries)],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path / "coco.json"


def test_one_category_a_picture_is_its_label(tmp_path: Path) -> None:
    file = annotations(
        tmp_path, [{"image_id": 1, "category_id": 7, **triangle()}, {"image_id": 2, "category_id": 8, **triangle()}]
    )
    build_manifest(file, tmp_path / "m.csv", images=tmp_path / "pics")
    found = read(tmp_path / "m.csv")
    assert found[["image", "label"]].to_numpy().tolist() == [["pics/1.png", "cat"], ["pics/2.png", "dog"]]
    source = open_source(tmp_path / "m.csv", classes=("cat", "dog"))
    pixels = source.pixels(0)
    assert (pixels.mask == outline(triangle(), (H, W))).all()
    assert (Intake(("cat", "dog"))(source, source.table()).frame["status"] == "ok").all()


@pytest.mark.fault("D12")
def test_several_categories_are_findings_and_a_crowd_is_ignored(tmp_path: Path) -> None:
    square = {"segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]]}
    crowd = tools.encode(np.asfortranarray(np.ones((H, W), np.uint8)))
    runs = {"size": crowd["size"], "counts": crowd["counts"].decode()}
    entries = [
        {"image_id": 1, "category_id": 7, **triangle()},
        {"image_id": 1, "category_id": 7, **square},
        {"image_id": 1, "category_id": 7, "segmentation": runs, "iscrowd": 1},
        {"image_id": 1, "category_id": 8, "segmentation": [], "bbox": [1, 1, 5, 5]},
    ]
    built = build_manifest(annotations(tmp_path, entries), tmp_path / "m.csv", images=tmp_path / "pics")
    found = read(tmp_path / "m.csv")
    assert found[["label:cat", "label:dog"]].to_numpy().tolist() == [["1", "1"], ["0", "0"]]
    assert "mask:dog" not in found
    mask = np.asarray(Image.open(tmp_path / found["mask:cat"][0]))
    wanted = outline(triangle(), (H, W)) | outline(square, (H, W))
    assert ((mask == 1) == wanted).all()
    assert (mask[~wanted] == 255).all()
    assert built.left_out["annotations without a segmentation"] == 1
    boxed = build_manifest(
        tmp_path / "coco.json", tmp_path / "m.csv", images=tmp_path / "pics", boxes=True, overwrite=True
    )
    assert "mask:dog" in boxed.frame
    assert boxed.frame["mask_source"].tolist() == ["box", ""]
    assert "annotations without a segmentation" not in boxed.left_out


@pytest.mark.fault("D12")
def test_runs_of_another_size_are_counted_and_no_mask_is_guessed(tmp_path: Path) -> None:
    turned = {"size": [W, H], "counts": [0, 20, H * W - 20]}
    entries = [{"image_id": n, "category_id": 7, "segmentation": turned} for n in (1, 2)]
    built = build_manifest(annotations(tmp_path, entries), tmp_path / "m.csv", images=tmp_path / "pics")
    assert built.left_out["segmentations of another size than their picture"] == 2
    source = open_source(tmp_path / "m.csv", classes=("cat",))
    frame = Intake(("cat",))(source, source.table()).frame
    assert frame[["status", "mask_status"]].to_numpy().tolist() == [["ok", "size_mismatch"]] * 2
    assert frame["detail"].str.contains("transposed").all()


@pytest.mark.fault("D12")
def test_a_picture_without_annotations_has_a_mask_without_an_object(tmp_path: Path) -> None:
    file = annotations(tmp_path, [{"image_id": 1, "category_id": 7, **triangle()}])
    build_manifest(file, tmp_path / "m.csv", images=tmp_path / "pics")
    assert read(tmp_path / "m.csv")["label:cat"].tolist() == ["1", "0"]
    source = open_source(tmp_path / "m.csv", classes=("cat", "dog"))
    assert [source.pixels(n).mask_status for n in (0, 1)] == ["ok", "no_object"]


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [H, W], "counts": "\\\\60T1"},
        {"size": [H, W]},
        {"counts": [0, H * W]},
        {"size": [H, W], "counts": [0, 2**31, 5]},
        {"size": [H, W], "counts": [-5, H * W + 5]},
        [[1.0, 1.0, 1e12, 1.0, 1.0, 5.0]],
        [[1.0, float("nan"), 4.0, 1.0, 1.0, 5.0]],
        [[1.0, 1.0]],
        "polygon",
        7,
    ],
)
def test_damaged_segmentations_reach_no_native_code(segmentation: Any) -> None:
    # Found by benchmarks/fuzz/masks.py, or next to what it found.
    with pytest.raises(OutlineFault, match="cannot be read"):
        outline({"segmentation": segmentation}, (H, W))


def test_a_damaged_segmentation_is_counted_and_the_picture_stays(tmp_path: Path) -> None:
    broken = {"segmentation": {"size": [H, W], "counts": "\\\\60T1"}}
    entries = [{"image_id": 1, "category_id": 7, **triangle()}, {"image_id": 2, "category_id": 7, **broken}]
    entries.append({"image_id": 2, "category_id": 7, "bbox": ["a", 1, 2, 3]})
    path = annotations(tmp_path, entries)
    built = build_manifest(path, tmp_path / "m.csv", images=tmp_path / "pics", boxes=True)
    assert built.left_out["segmentations that cannot be read"] == 1
    assert built.left_out["boxes that cannot be read"] == 1
    assert (read(tmp_path / "m.csv")["mask"] == "").tolist() == [False, True]


_ODD = [
    *(
        f'{{"images": [{{"id": 1, "file_name": "a.png"{size}}}], "annotations": [], "categories": []}}'
        for size in ("", ', "width": 100000, "height": 100000', ', "width": Infinity, "height": 3')
    ),
    '{"images": [], "annotations": [], "categories": []}',
    '{"images": [], "annotations": [{"image_id": 1}], "categories": []}',
    "[" * 100_000,
]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"images": [], "annotations": []}', '{"images": [{}], "annotations": [], "categories": []}', *_ODD],
)
def test_what_is_no_coco_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ManifestError, match="COCO"):
        build_manifest(tmp_path / "c.json", tmp_path / "m.csv")


def test_the_command_says_what_was_left_out_and_what_is_in_it(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "cat" / "a.png")
    (tmp_path / "data" / "cat" / "notes.txt").write_text("x")
    found = CliRunner().invoke(app, ["manifest", str(tmp_path / "data"), "-o", str(tmp_path / "m.csv")])
    assert found.exit_code == 0
    assert found.output.splitlines() == [
        "1 files that are no pictures",
        f"{tmp_path / 'm.csv'}: 1 rows with image, label",
    ]
