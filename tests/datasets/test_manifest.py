"""Tables are read as they were typed; what cannot be read exactly is refused with its row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figureground.datasets.manifest import (
    as_strings,
    find_manifest,
    levels_of,
    name_columns,
    read_manifest,
    reading_of,
)
from figureground.errors import ManifestError


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "manifest.csv"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def refused(call, *args):
    with pytest.raises(ManifestError) as caught:
        call(*args)
    return caught.value


@pytest.mark.fault("E5", "E6")
def test_nothing_is_coerced(tmp_path):
    cells = ["NA", "N/A", "null", "None", "nan", "", "01234", "1e5", "9007199254740993", "True", " x"]
    text = "image,label,site\n" + "".join(f"{n}.png,cat,{cell}\n" for n, cell in enumerate(cells))
    frame = read_manifest(csv(tmp_path, text))
    assert frame["site"].tolist() == cells
    assert all(isinstance(value, str) for value in frame.to_numpy().ravel())


@pytest.mark.fault("E2")
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_bom_line_ends_quotes_and_blank_lines(tmp_path, ends):
    text = ends.join(["image, label ,note", 'a.png,cat,"one, two"', "", 'b.png,"c""at","line', 'break"', ""])
    frame = read_manifest(csv(tmp_path, text, "utf-8-sig"))
    assert list(frame.columns) == ["image", "label", "note"]
    assert frame["note"].tolist() == ["one, two", f"line{ends}break"]
    assert frame["label"].tolist() == ["cat", 'c"at']


@pytest.mark.fault("E3")
@pytest.mark.parametrize("row", ["a.png", "a.png,cat,x", "a.png,cat,"])
def test_every_row_has_the_fields_of_the_header(tmp_path, row):
    error = refused(read_manifest, csv(tmp_path, f"image,label\nz.png,cat\n{row}\n"))
    assert (error.code, error.where) == ("MANIFEST_WIDTH", f"{tmp_path / 'manifest.csv'}:3")
    assert error.found == f"{row.count(',') + 1} fields"


def test_the_row_number_is_the_line_in_an_editor(tmp_path):
    error = refused(read_manifest, csv(tmp_path, 'image,label\n\na.png,"c\nat"\n\nb.png\n'))
    assert error.where.endswith(":6")


@pytest.mark.fault("E3")
def test_an_open_quote_does_not_swallow_the_rows_below(tmp_path):
    error = refused(read_manifest, csv(tmp_path, 'image,label,site\na.png,cat,x\nb.png,cat,"x\nc.png,dog,y\n'))
    assert (error.code, error.where[-2:]) == ("MANIFEST_QUOTES", ":3")
    error = refused(read_manifest, csv(tmp_path, 'image,label\n"a".png,cat\n'))
    assert (error.code, error.where[-2:]) == ("MANIFEST_QUOTES", ":2")


@pytest.mark.fault("E3")
def test_a_nul_is_refused_with_its_line(tmp_path):
    error = refused(read_manifest, csv(tmp_path, "image,label\na.png,cat\nb\0.png,dog\n"))
    assert (error.code, error.where[-2:], error.exit_code) == ("MANIFEST_QUOTES", ":3", 2)
    assert "NUL" in error.found


def test_an_endless_field_is_refused(tmp_path):
    error = refused(read_manifest, csv(tmp_path, "image,label\n" + "x" * 200_000 + ",cat\n"))
    assert error.code == "MANIFEST_QUOTES"


@pytest.mark.fault("E4")
@pytest.mark.parametrize("header", ["image,label,label", "image,label, label"])
def test_a_header_names_each_column_once(tmp_path, header):
    error = refused(read_manifest, csv(tmp_path, f"{header}\na.png,cat,dog\n"))
    assert error.code == "MANIFEST_HEADER"
    assert "'label'" in error.found


@pytest.mark.fault("E2")
@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_delimiter_is_read_and_recorded_where_every_row_fits(tmp_path, mark):
    text = f'image{mark}label{mark}note\na.png{mark}cat{mark}1,5\n"b{mark}.png"{mark}dog{mark}2,5\n'
    found = read_manifest(csv(tmp_path, text))
    assert found.to_numpy().tolist() == [["a.png", "cat", "1,5"], [f"b{mark}.png", "dog", "2,5"]]
    assert reading_of(found).startswith("separated by ")
    error = refused(read_manifest, csv(tmp_path, f"{text}c.png{mark}cat\n"))
    assert error.code == "MANIFEST_DELIMITER"
    assert "commas" in error.fix


@pytest.mark.fault("E2")
def test_what_spreadsheets_write_is_read_and_recorded_and_other_encodings_are_refused(tmp_path):
    found = read_manifest(csv(tmp_path, "image;label\na.png;J\u00e4ger\n", "cp1252"))
    assert found["label"].tolist() == ["J\u00e4ger"]
    assert reading_of(found) == "Windows-1252, separated by semicolons"
    assert reading_of(read_manifest(csv(tmp_path, "image,label\na.png,J\u00e4ger\n", "utf-8-sig"))) is None
    (tmp_path / "odd.csv").write_bytes(b"image,label\na.png,\x81\n")
    error = refused(read_manifest, tmp_path / "odd.csv")
    assert (error.code, error.exit_code) == ("MANIFEST_ENCODING", 2)
    assert "offset 18" in error.found
    error = refused(read_manifest, csv(tmp_path, "image,label\n", "utf-16"))
    assert (error.code, "UTF-16" in error.found) == ("MANIFEST_ENCODING", True)


@pytest.mark.fault("E1")
@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_refused(tmp_path, text):
    assert refused(read_manifest, csv(tmp_path, text)).code == "MANIFEST_EMPTY"


@pytest.mark.fault("E1")
def test_where_a_manifest_is_found(tmp_path):
    assert refused(find_manifest, tmp_path).code == "MANIFEST_MISSING"
    parquet = tmp_path / "manifest.parquet"
    parquet.touch()
    assert find_manifest(tmp_path) == parquet
    path = csv(tmp_path, "image,label\n")
    assert find_manifest(tmp_path) == path
    assert find_manifest(path) == path
    assert refused(find_manifest, tmp_path / "none.csv").where == str(tmp_path / "none.csv")


@pytest.mark.fault("E15")
def test_parquet_gives_what_its_csv_twin_gives(tmp_path):
    frame = pd.DataFrame(
        {
            "image": ["a.png", "b.png", "c.png"],
            "label": pd.Categorical(["cat", "dog", "cat"], categories=["cat", "dog", "eel"]),
            "id": pd.array([9007199254740993, None, 7], dtype="Int64"),
            "site": ["NA", None, "01"],
            "seen": [True, False, True],
            "weight": [0.5, np.nan, 2.25],
        }
    )
    frame.to_parquet(tmp_path / "manifest.parquet")
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    twin = read_manifest(tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.parquet"), twin)
    assert twin["id"].tolist() == ["9007199254740993", "", "7"]


@pytest.mark.fault("E15")
def test_dictionaries_long_strings_and_named_indices_of_parquet_are_columns_like_any_other(tmp_path):
    sites = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["north", "south", "west"]))
    table = pa.table({"image": pa.array(["a.png", "b.png"], pa.large_string()), "label": ["cat", "dog"], "site": sites})
    pq.write_table(table, tmp_path / "plain.parquet")
    pandas = table.to_pandas().set_index(["image", "site"])
    pandas.to_parquet(tmp_path / "indexed.parquet")
    pandas.to_csv(tmp_path / "twin.csv")
    twin = read_manifest(tmp_path / "twin.csv")
    for name in ("plain", "indexed"):
        found = read_manifest(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(found[twin.columns], twin)
    assert levels_of(read_manifest(tmp_path / "plain.parquet")) == {"site": ("north", "south", "west")}


def test_declared_levels_follow_their_columns():
    frame = as_strings(pd.DataFrame({"image": ["a"], "diagnosis": ["x"], "scanner": pd.Categorical(["A"], ["A", "B"])}))
    named = name_columns(frame, {"label": "diagnosis", "environment": "scanner"}, "DataFrame")
    assert levels_of(named) == {"scanner": ("A", "B"), "environment": ("A", "B")}
    moved = name_columns(frame, {"label": "diagnosis", "cluster": "scanner"}, "DataFrame")
    assert levels_of(moved) == {"cluster": ("A", "B")}


@pytest.mark.fault("E4", better="Blanks around a name in the header of a CSV file are no part of it.")
def test_a_missing_column_is_told_with_the_nearest_name(tmp_path):
    for near in ("Label", "lable", " label "):
        frame = pd.DataFrame({"image": ["a.png"], near: ["cat"]})
        error = refused(name_columns, as_strings(frame), {}, "DataFrame")
        assert (error.code, error.exit_code) == ("MANIFEST_COLUMN", 2)
        assert repr(near) in error.found
        assert f"did you mean {near!r}?" in error.fix
        assert f"--column 'label={near}'" in error.fix
        assert "label" in name_columns(as_strings(frame), {"label": near}, "DataFrame")
    assert "did you mean" not in refused(name_columns, pd.DataFrame({"image": ["a"], "x": ["b"]}), {}, "").fix
    assert "label" in name_columns(read_manifest(csv(tmp_path, "image, label\na.png,cat\n")), {}, "")


def test_what_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "manifest.parquet"
    path.write_text("image,label\n")
    assert refused(read_manifest, path).code == "MANIFEST_PARQUET"


def test_missing_values_of_a_frame_become_empty():
    frame = pd.DataFrame({"a": [None, np.nan, pd.NA, pd.NaT, "NA", 7, 7.5]}, dtype=object)
    assert as_strings(frame)["a"].tolist() == ["", "", "", "", "NA", "7", "7.5"]


def test_a_frame_with_two_columns_of_one_name_is_refused():
    assert refused(as_strings, pd.DataFrame([[1, 2]], columns=["a", "a"])).code == "MANIFEST_HEADER"
    assert refused(as_strings, pd.DataFrame([[1, 2]], columns=[1, "1"])).code == "MANIFEST_HEADER"


FRAME = pd.DataFrame({"file": ["a.png"], "species": ["cat"], "place": ["hill"], "trap": ["7"]})


def test_columns_take_the_names_of_their_roles():
    named = name_columns(FRAME, {"image": "file", "label": "species", "environment": "place"}, "t")
    assert named.to_dict("records") == [
        {"image": "a.png", "label": "cat", "environment": "hill", "place": "hill", "trap": "7"}
    ]
    assert list(FRAME.columns) == ["file", "species", "place", "trap"]


def test_one_column_can_have_two_roles_and_names_can_change_places():
    named = name_columns(FRAME, {"image": "file", "label": "species", "key": "trap", "cluster": "trap"}, "t")
    assert (named["key"].item(), named["cluster"].item(), "trap" in named) == ("7", "7", False)
    swapped = FRAME.rename(columns={"file": "label", "species": "image"})
    named = name_columns(swapped, {"image": "label", "label": "image"}, "t")
    assert (named["image"].item(), named["label"].item()) == ("a.png", "cat")


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"image": "file"}, "MANIFEST_COLUMN"),
        ({"image": "nothing", "label": "species"}, "MANIFEST_COLUMN"),
        ({"image": "file", "label": "species", "place": "environment"}, "MANIFEST_ROLE"),
    ],
)
def test_wrong_mappings_are_refused(columns, code):
    assert refused(name_columns, FRAME, columns, "t").code == code


def test_a_region_can_be_mapped():
    named = name_columns(FRAME, {"image": "file", "label": "species", "region:tag": "trap"}, "t")
    assert named["region:tag"].tolist() == ["7"]


cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_writing_and_reading_is_the_identity(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("m") / "manifest.csv"
    frame = pd.DataFrame([("a.png", *row) for row in rows], columns=["image", "label", "site"], dtype=object)
    # Lone carriage returns are the CSV writer's to quote.
    with path.open("w", encoding="utf-8", newline="") as stream:
        frame.to_csv(stream, index=False, quoting=1, lineterminator="\r\n")
    assert read_manifest(path).to_numpy().tolist() == frame.to_numpy().tolist()


def test_damaged_words_about_the_types_of_a_parquet_file_are_told(tmp_path):
    # Found by benchmarks/fuzz/manifest.py.
    table = pa.Table.from_pandas(pd.DataFrame({"image": ["a.png"], "label": ["cat"]}))
    words = table.schema.metadata[b"pandas"].replace(b"numpy_type", b"numpx_type")
    pq.write_table(table.replace_schema_metadata({b"pandas": words}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="MANIFEST_PARQUET"):
        read_manifest(tmp_path / "m.parquet")


def test_cells_of_a_parquet_file_that_are_no_words_are_told(tmp_path):
    # Found by benchmarks/fuzz/manifest.py.
    pd.DataFrame({"image": ["abc.png"], "label": ["cat"]}).to_parquet(tmp_path / "m.parquet", compression=None)
    data = (tmp_path / "m.parquet").read_bytes()
    (tmp_path / "m.parquet").write_bytes(data.replace(b"abc.png", b"ab\x99.png"))
    with pytest.raises(ManifestError, match="MANIFEST_PARQUET"):
        read_manifest(tmp_path / "m.parquet")
