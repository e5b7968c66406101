"""Labels of several findings: every cell that people write, and what nobody may decide in silence."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from figureground.datasets.datamodule import RowReader, rows_of
from figureground.datasets.findings import check_findings, check_uncertain, joint_label, label_columns, read_cell
from figureground.datasets.intake import Intake
from figureground.datasets.pixels import union
from figureground.datasets.sources import open_source
from figureground.datasets.training_sets import labelled_images
from figureground.datasets.transforms import Preprocess
from figureground.errors import DataError, ManifestError, UsageError

FINDINGS = ("mass", "effusion")


@pytest.mark.parametrize("uncertain", [None, "exclude", "positive", "negative"])
@pytest.mark.parametrize("spell", [str, lambda value: f"{value}.0", lambda value: f" {value} "])
def test_cells_in_every_spelling(uncertain, spell):
    assert read_cell(spell(1), uncertain) == 1
    assert read_cell(spell(0), uncertain) == 0
    unsure = read_cell(spell(-1), uncertain)
    wanted = {"positive": 1.0, "negative": 0.0}.get(uncertain)
    assert math.isnan(unsure) if wanted is None else unsure == wanted
    for empty in ("", None, np.nan, pd.NA, "(missing)"):
        assert math.isnan(read_cell(empty, uncertain))


@given(st.text(max_size=5))
def test_anything_else_is_refused(text):
    known = {"1", "0", "-1", "", "1.0", "0.0", "-1.0"}
    if text.strip() in known:
        read_cell(text, None)
    else:
        with pytest.raises(ValueError, match="is not 1, 0, -1 or empty"):
            read_cell(text, None)


def test_the_one_label_of_a_row():
    assert joint_label((1.0, 1.0), FINDINGS) == "mass + effusion"
    assert joint_label((0.0, math.nan), FINDINGS) == "no finding"


def test_a_finding_without_a_column_is_named():
    table = pd.DataFrame({"label:mass": ["1"]})
    assert label_columns(table) == ("mass",)
    with pytest.raises(ManifestError, match=r"found labels for mass; expected a column label:effusion"):
        check_findings(table, FINDINGS, None, "here")


def test_uncertain_labels_ask_for_a_decision_by_name():
    table = pd.DataFrame({"label:mass": ["1", "-1", "-1.0"], "label:effusion": ["0", "0", ""]})
    with pytest.raises(UsageError, match=r"uncertain labels \(-1\): mass \(2\).*exclude, positive or negative"):
        check_uncertain(table, FINDINGS, None, "here")
    check_uncertain(table, FINDINGS, "exclude", "here")
    check_uncertain(table, ["effusion"], None, "here")


# -- from a table to rows


@pytest.fixture
def manifest(tmp_path):
    """Six pictures; one with a mask of its own for the mass, one with a shared mask, one with a label that is none."""
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    for name, at in (("own", 2), ("shared", 8)):
        mask = np.zeros((16, 16), dtype=np.uint8)
        mask[at : at + 4, at : at + 4] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    frame = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(6)],
            "label:mass": ["1", "0", "-1", "", "1", "present"],
            "label:effusion": ["1", "", "0", "", "0", "0"],
            "mask": ["shared.png", "shared.png", "", "", "", ""],
            "mask:mass": ["own.png", "", "", "", "own.png", ""],
            "site": list("aabbab"),
        }
    )
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path / "manifest.csv"


def taken_in(manifest, uncertain="exclude"):
    source = open_source(manifest, classes=FINDINGS)
    return source, Intake(FINDINGS, several=True, uncertain=uncertain)(source, source.table())


def test_unknown_findings_set_no_row_aside(manifest):
    _, examples = taken_in(manifest)
    frame = examples.stored.set_index("path").sort_index()
    assert frame["status"].tolist() == ["ok"] * 5 + ["quarantined"]
    assert frame["reason"].dropna().tolist() == ["label_value"]
    assert examples.frame.set_index("path").loc["5.png", "detail"] == "label:mass: 'present' is not 1, 0, -1 or empty"
    assert frame["label:mass"].tolist() == ["1", "0", "-1", "", "1", "present"]  # as they were written
    assert frame["label:effusion"].tolist() == ["1", "", "0", "", "0", "0"]
    assert frame["mask:mass"].tolist() == ["given", "", "", "", "given", ""]
    assert frame["label"].tolist()[:5] == ["mass + effusion", "no finding", "no finding", "no finding", "mass"]
    assert examples.attributes == ("site",)
    assert (examples.findings, examples.masked_findings) == (FINDINGS, ("mass",))
    assert frame["row_id"].is_unique


def test_ids_are_those_of_the_images_whatever_the_labels(manifest):
    _, several = taken_in(manifest)
    plain = pd.read_csv(manifest)[["image"]].assign(label="x")
    source = open_source(plain, classes=("x", "y"), root=manifest.parent)
    one = Intake(("x", "y"))(source, source.table())
    assert set(several.frame["row_id"]) == set(one.frame["row_id"])


def test_items_carry_a_label_for_each_finding_and_the_union_of_the_masks(manifest):
    source, examples = taken_in(manifest, "positive")
    rows = {row.position: row for row in rows_of(examples.usable)}
    reader = RowReader(source, Preprocess(), FINDINGS)
    assert reader(rows[0])["label"].tolist() == [1.0, 1.0]
    assert torch.isnan(reader(rows[3])["label"]).all()
    assert reader(rows[2])["label"].tolist() == [1.0, 0.0]  # -1 counts as positive
    assert int(reader(rows[0])["mask"].sum()) == 32  # two squares of 4 x 4
    assert int(reader(rows[4])["mask"].sum()) == 16
    assert not reader(rows[3])["has_mask"]


def test_uncertain_labels_are_refused_at_the_door_as_long_as_nobody_decided(manifest):
    with pytest.raises(UsageError, match="UNCERTAIN"):
        taken_in(manifest, None)


@pytest.mark.parametrize(
    ("columns", "several", "told"),
    [
        (["label:mass", "label:effusion"], False, "found label:mass, label:effusion; expected one column label"),
        (["label"], True, "found one column label; expected a column label:NAME for each finding"),
    ],
)
def test_labels_and_models_of_different_kinds_are_refused(manifest, columns, several, told):
    frame = pd.read_csv(manifest)[["image"]].assign(**dict.fromkeys(columns, "1"))
    source = open_source(frame, classes=FINDINGS, root=manifest.parent)
    with pytest.raises(UsageError, match=told):
        Intake(FINDINGS, several=several)(source, source.table())


def test_one_label_beside_several_is_refused(manifest):
    frame = pd.read_csv(manifest).assign(label="x")
    with pytest.raises(ManifestError, match="a column label beside label:mass, label:effusion"):
        open_source(frame, classes=FINDINGS, root=manifest.parent)


def test_a_dataset_gives_the_same_labels_as_a_table():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    vectors = [[1, 0], [-1, np.nan], [0, 1]]
    source = open_source([(image, np.array(vector)) for vector in vectors], classes=FINDINGS)
    table = source.table()
    assert table["label:mass"].tolist() == ["1", "-1", "0"]
    assert table["label:effusion"].tolist() == ["0", "", "1"]
    with pytest.raises(ManifestError, match="found 3 labels an item; expected 2"):
        open_source([(image, np.array([1, 0, 1]))], classes=FINDINGS).table()


def test_masks_of_a_dataset_are_united():
    image, mask = np.zeros((8, 8, 3), dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)
    one, two = mask.copy(), mask.copy()
    one[0, 0], two[1, 1], two[2, 2] = 1, 1, 255
    item = {"image": image, "label:mass": "1", "label:effusion": "0", "mask": one, "mask:mass": two}
    source = open_source([item], classes=FINDINGS)
    assert source.table()["mask:mass"].tolist() == ["given"]
    found = source.pixels(0).mask
    assert (found[0, 0], found[1, 1], found[2, 2], found[3, 3]) == (1, 1, 255, 0)
    assert union([None, None]) is None


def test_training_sets_are_of_findings_and_keep_the_unknown(manifest):
    sets = labelled_images(manifest, None, None, None, None, None, 0, "negative")
    assert (sets.kind, sets.classes) == ("multilabel", FINDINGS)
    assert sets.set_aside == {"label_value": 1}
    labels = torch.stack([label for part in (sets.train, sets.validation) for _, label in part])
    assert labels.shape == (5, 2)
    assert int(torch.isnan(labels).sum()) == 3


def test_nothing_usable_is_told(manifest):
    frame = pd.read_csv(manifest, dtype=str).assign(**{"label:mass": "x"})
    source = open_source(frame, classes=FINDINGS, root=manifest.parent)
    with pytest.raises(DataError, match="label_value"):
        Intake(FINDINGS, several=True)(source, source.table())
