"""What a table is refused for before a file is opened, and what may be dropped of it."""

import pandas as pd
import pytest
from PIL import Image

from figureground.datasets.intake import Intake
from figureground.datasets.refusals import check_known
from figureground.datasets.sampling import ClusterDraw
from figureground.datasets.sources import TableSource, open_source
from figureground.errors import ManifestError

CLASSES = ("cat", "dog")


@pytest.fixture
def root(tmp_path):
    for n in range(4):
        Image.new("RGB", (6, 5), (n, 0, 0)).save(tmp_path / f"{n}.png")
    return tmp_path


def read(rows, root, columns=("image", "label", "site"), **options):
    frame = pd.DataFrame(rows, columns=list(columns)[: len(rows[0])], dtype=object)
    source = TableSource("dataframe", "DataFrame", frame, root)
    return Intake(CLASSES, **options)(source, source.table())


def refused(rows, root, **options):
    with pytest.raises(ManifestError) as caught:
        read(rows, root, **options)
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.fault("E1")
def test_a_header_alone_is_refused(root):
    (root / "manifest.csv").write_text("image,label\n")
    source = open_source(root, classes=CLASSES)
    with pytest.raises(ManifestError, match="no rows"):
        Intake(CLASSES)(source, source.table())


@pytest.mark.fault("E7")
def test_a_picture_that_is_named_twice_is_refused(root):
    rows = [("0.png", "cat", "x"), ("1.png", "dog", "y"), ("./0.png", "cat", "x"), (str(root / "0.png"), "cat", "x")]
    error = refused(rows, root)
    assert (error.code, error.where) == ("ROW_REPEATED", "DataFrame:4:image")
    assert error.found.startswith("2 rows")
    assert "--dedupe" in error.fix


@pytest.mark.fault("E7")
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_copies_are_dropped_and_counted_where_that_is_asked_for(root, order):
    rows = [("0.png", "cat", "x"), ("1.png", "dog", "y"), ("./0.png", "cat", "x"), (str(root / "0.png"), "cat", "x")]
    found = read([rows[at] for at in order], root, dedupe=True)
    assert found.usable["path"].sort_values().tolist() == ["0.png", "1.png"]
    assert found.frame["reason"].value_counts().to_dict() == {"row_repeated": 2}
    assert set(found.frame["status"]) == {"ok", "filtered"}
    once = read(rows[:2], root)
    columns = ["row_id", "path", "label", "site", "sha256"]
    pd.testing.assert_frame_equal(found.usable[columns], once.usable[columns])


@pytest.mark.fault("E7")
def test_copies_take_no_part_in_a_draw(root):
    rows = [(f"{n % 4}.png", "cat", "x") for n in range(12)]
    found = read(rows, root, dedupe=True, sample=ClusterDraw(0, None, max_rows=3))
    assert found.frame["reason"].value_counts().to_dict() == {"row_repeated": 8, "sampled_out": 1}
    assert found.usable["path"].is_unique


@pytest.mark.fault("E7", better="Copies that contradict each other are refused even with `--dedupe`.")
def test_rows_of_one_picture_that_differ_are_never_dropped(root):
    error = refused([("0.png", "cat", "x"), ("1.png", "dog", "y"), ("0.png", "dog", "x")], root, dedupe=True)
    assert (error.code, error.where) == ("ROW_CONTRADICTS", "DataFrame:2:label")
    assert "'cat' in row 2, 'dog' in row 4" in error.found


def test_the_same_picture_in_another_split_is_no_repetition(root):
    rows = [("0.png", "cat", "test"), ("0.png", "cat", "train")]
    found = read(rows, root, columns=("image", "label", "split"))
    assert found.frame["reason"].tolist().count("split:train") == 1


@pytest.mark.fault("E11")
def test_labels_that_no_class_has_are_refused_with_their_first_rows(root):
    error = refused([("0.png", "cat"), ("1.png", "1"), ("2.png", "eel"), ("3.png", "1")], root)
    assert (error.code, error.where) == ("LABEL_UNKNOWN", "DataFrame:3:label")
    assert error.found == "'1' (2 rows, first 3), 'eel' (1 rows, first 4)"
    assert "cat, dog" in error.expected


@pytest.mark.fault("E11")
def test_indices_in_place_of_names_are_not_guessed():
    with pytest.raises(ManifestError, match="no order is guessed"):
        check_known(pd.Series(["0", "1", ""]), CLASSES, "table")
    check_known(pd.Series(["cat", "", "dog"]), CLASSES, "table")
    with pytest.raises(ManifestError, match="and 2 more"):
        check_known(pd.Series(list("abcdefg")), CLASSES, "table")
