"""A table of attributes joined by key: many rows to one entry, nothing coerced, never a row more."""

import pandas as pd
import pytest

from figureground.datasets.intake import MISSING, Intake
from figureground.datasets.joining import Attributes
from figureground.datasets.manifest import levels_of
from figureground.datasets.sources import open_source
from figureground.errors import ManifestError, UsageError


def rows(*patients):
    return pd.DataFrame({"image": [f"{n}.png" for n in range(len(patients))], "patient": patients}, dtype=object)


def entries(tmp_path, text):
    path = tmp_path / "patients.csv"
    path.write_text(text)
    return path


def refused(call, *args):
    with pytest.raises(ManifestError) as caught:
        call(*args)
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.fault("E8")
def test_many_rows_find_one_entry_and_keys_are_strings(tmp_path):
    given = Attributes.read(entries(tmp_path, "patient,sex\n07,F\n7,M\n9007199254740993,NA\n"), "patient")
    table = rows("7", "07", "7", "7.0", "", "9007199254740993")
    joined = given(table, "data")
    assert joined["sex"].tolist() == ["M", "F", "M", "", "", "NA"]
    assert len(joined) == len(table)
    assert joined["image"].tolist() == table["image"].tolist()
    record = given.record(table)
    assert (record["matched"], record["unmatched"], record["unused"], record["entries"]) == (4, 2, 0, 3)
    assert record["columns"] == ["sex"]
    assert len(record["sha256"]) == 64


@pytest.mark.fault("E8")
def test_keys_that_are_numbers_in_a_frame_are_what_a_person_would_type():
    given = Attributes.read(
        pd.DataFrame({"patient": [7, 8], "site": pd.Categorical(["x", "y"], list("xyz"))}), "patient"
    )
    joined = given(rows("7", "8"), "data")
    assert joined["site"].tolist() == ["x", "y"]
    assert levels_of(joined) == {"site": ("x", "y", "z")}
    assert given.record(rows("7"))["sha256"] is None


@pytest.mark.fault("E8")
def test_a_key_of_two_entries_and_an_empty_one_are_refused_with_their_row(tmp_path):
    error = refused(Attributes.read, entries(tmp_path, "patient,sex\n1,F\n2,M\n1,F\n"), "patient")
    assert (error.code, error.where[-10:]) == ("ATTRIBUTES_KEY", ":4:patient")
    assert "'1'" in error.found
    error = refused(Attributes.read, entries(tmp_path, "patient,sex\n1,F\n,M\n"), "patient")
    assert (error.code, error.where[-10:]) == ("ATTRIBUTES_KEY", ":3:patient")


@pytest.mark.fault("E8")
def test_tables_that_do_not_fit_together_are_refused(tmp_path):
    path = entries(tmp_path, "patient,sex,image\n1,F,a\n")
    error = refused(Attributes.read, path, "patients")
    assert error.fix == "did you mean --on patient?"
    given = Attributes.read(path, "patient")
    assert refused(given, rows("1"), "data").code == "ATTRIBUTES_COLUMN"
    assert refused(given, rows("1").rename(columns={"patient": "id"}), "data").where == "data"
    error = refused(Attributes.read(entries(tmp_path, "patient,sex\n01,F\n"), "patient"), rows("1", "2"), "data")
    assert (error.code, error.found) == ("ATTRIBUTES_MATCH", "no key that data has: '01' here, '1', '2' there")
    for given, on in ((path, None), (None, "patient")):
        with pytest.raises(UsageError, match="--attributes FILE --on COLUMN"):
            Attributes.read(given, on)
    assert Attributes.read(None, None) is None


@pytest.mark.fault("E8")
def test_rows_without_an_entry_are_a_group_of_their_own(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,label,patient\na.png,cat,1\nb.png,dog,2\nc.png,cat,3\n")
    given = Attributes.read(entries(tmp_path, "patient,sex\n1,F\n3,\n"), "patient")
    source = open_source(tmp_path, classes=("cat", "dog"), attributes=given)
    known = Intake(("cat", "dog")).candidates(source.table(), source.where)
    assert known["sex"].tolist() == ["F", MISSING, MISSING]
    assert source.joined["unmatched"] == 1
