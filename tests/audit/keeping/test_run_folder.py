"""A run folder is private, complete or no result, and its removal takes nothing that is not its own."""

import hashlib
import json
import stat

import pandas as pd
import pytest

from figureground.audit.keeping import tables
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.run_folder import (
    LEDGER,
    SEAL,
    RunFolder,
    check_seal,
    read_ledger,
    read_seal,
    read_table,
)
from figureground.errors import IntegrityError, UsageError

LARGE = [2**53 + 1, 2**62 + 3, 2**63 - 1]
EXAMPLES = pd.DataFrame({"row_id": LARGE, "label": ["cat", "dog", "cat"], "site": ["01", "NA", "é"]})


def finished(path, **options):
    folder = RunFolder.create(path, **options)
    folder.write_table("examples.parquet", EXAMPLES, tables.EXAMPLES)
    folder.new_file("assets/0.webp").write_bytes(b"picture")
    folder.write_json("config.json", {"seed": 0})
    folder.seal()
    return folder


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }  # fmt: skip


def refused(kind, *args, **options):
    with pytest.raises(kind) as caught:
        RunFolder.create(*args, **options)
    return caught.value


def test_the_folder_is_private_even_if_it_was_there(tmp_path):
    for path in (tmp_path / "new" / "run", tmp_path / "old"):
        if path.name == "old":
            path.mkdir(mode=0o755)
        RunFolder.create(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    folder = RunFolder(tmp_path / "old")
    folder.new_file("assets/0.webp")
    assert stat.S_IMODE((folder.path / "assets").stat().st_mode) == 0o700


def test_a_file_stands_in_the_ledger_before_it_exists(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    target = folder.new_file("a.json")
    assert not target.exists()
    assert read_ledger(folder.path) == ["a.json"]
    folder.new_file("assets/b.webp")
    assert read_ledger(folder.path) == ["a.json", "assets/b.webp"]
    assert read_ledger(tmp_path) == []


def test_the_seal_is_last_and_holds_every_hash(tmp_path):
    folder = finished(tmp_path / "run")
    assert read_ledger(folder.path)[-1] == SEAL
    assert set(contents(folder.path)) == {*read_ledger(folder.path), LEDGER}
    sealed = read_seal(folder.path)
    assert sealed == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in contents(folder.path).items() if name not in (SEAL, LEDGER)
    }  # fmt: skip
    assert check_seal(folder.path) == file_sha256(folder.path / SEAL)


def test_the_same_run_has_the_same_seal(tmp_path):
    assert check_seal(finished(tmp_path / "a").path) == check_seal(finished(tmp_path / "b").path)


def test_an_unfinished_folder_is_no_result(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_json("config.json", {})
    for call in (read_seal, check_seal):
        with pytest.raises(UsageError, match="RUN_INCOMPLETE"):
            call(folder.path)


def test_a_file_that_the_ledger_names_but_nobody_wrote_cannot_be_sealed(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.new_file("never.json")
    with pytest.raises(FileNotFoundError):
        folder.seal()
    assert not (folder.path / SEAL).exists()


@pytest.mark.fault("F7")
@pytest.mark.parametrize("name", ["examples.parquet", "assets/0.webp", "config.json"])
def test_every_changed_or_missing_file_is_found(tmp_path, name):
    file = finished(tmp_path / "run").path / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    for spoil in (lambda: file.write_bytes(data), file.unlink):
        spoil()
        with pytest.raises(IntegrityError, match="RUN_ALTERED") as caught:
            check_seal(tmp_path / "run")
        assert caught.value.where == str(file)
        assert caught.value.exit_code == 6


def test_a_table_beside_the_sealed_ones_is_found(tmp_path):
    path = finished(tmp_path / "run").path
    (path / "predictions").mkdir()
    tables_of_another = path / "predictions" / "part-x.parquet"
    tables_of_another.write_bytes((path / "examples.parquet").read_bytes())
    with pytest.raises(IntegrityError, match=r"part-x\.parquet"):
        check_seal(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 7}', '{"files": null}', "\ud8ff"])
def test_a_broken_seal_is_an_alteration(tmp_path, text):
    path = finished(tmp_path / "run").path
    (path / SEAL).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(IntegrityError, match="RUN_ALTERED"):
        check_seal(path)


@pytest.mark.fault("F6")
def test_json_is_sorted_readable_and_never_nan(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_json("a.json", {"b": 1, "a": "é"})
    text = (folder.path / "a.json").read_text(encoding="utf-8")
    assert text.index('"a"') < text.index('"b"')
    assert "é" in text
    assert json.loads(text) == {"a": "é", "b": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        folder.write_json("b.json", {"a": float("nan")})


# --- overwriting ----------------------------------------------------------------------------------


@pytest.mark.fault("F10")
def test_an_earlier_run_stays_unless_told(tmp_path):
    path = finished(tmp_path / "run").path
    before = contents(path)
    error = refused(UsageError, path)
    assert (error.code, error.exit_code) == ("RUN_EXISTS", 2)
    assert contents(path) == before


def test_overwriting_empties_an_earlier_run(tmp_path):
    path = finished(tmp_path / "run").path
    RunFolder.create(path, overwrite=True)
    assert contents(path) == {LEDGER: b""}
    folder = RunFolder.create(path)
    folder.new_file("predictions/part-1.parquet").write_bytes(b"")
    folder.new_file("report.html")  # of a run that was killed
    RunFolder.create(path, overwrite=True)
    assert contents(path) == {LEDGER: b""}


@pytest.mark.fault("F10", better="With --overwrite, what is not ours is 6, a refusal, and nothing is touched.")
@pytest.mark.parametrize("stranger", ["notes.txt", "assets/mine.webp", "thesis/chapter.txt"])
def test_a_strangers_file_stops_everything(tmp_path, stranger):
    path = finished(tmp_path / "run").path
    (path / stranger).parent.mkdir(exist_ok=True)
    (path / stranger).write_text("mine")
    before = contents(path)
    error = refused(IntegrityError, path, overwrite=True)
    assert stranger.split("/")[0] in error.found
    assert contents(path) == before
    assert check_seal(path)


@pytest.mark.fault("F10")
def test_a_folder_without_a_ledger_is_not_ours(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    (path / "a.jpg").write_bytes(b"photo")
    assert "no ledger" in refused(IntegrityError, path, overwrite=True).found
    assert contents(path) == {"a.jpg": b"photo"}


def test_a_ledger_cannot_name_files_elsewhere(tmp_path):
    path = finished(tmp_path / "run").path
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("mine")
    with (path / LEDGER).open("a") as ledger:
        ledger.write(f"../outside.txt\n{outside}\n..\n.\n\nlink/a.txt\n../deep/a.txt\n")
    RunFolder.create(path, overwrite=True)
    assert contents(tmp_path) == {"outside.txt": b"mine", "deep/a.txt": b"mine", f"run/{LEDGER}": b""}


def test_links_inside_are_neither_followed_nor_removed(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "part-0.parquet").write_bytes(b"mine")
    path = finished(tmp_path / "run").path
    (path / "predictions").symlink_to(other)
    with (path / LEDGER).open("a") as ledger:
        ledger.write("predictions/part-0.parquet\n")
    refused(IntegrityError, path, overwrite=True)
    assert contents(other) == {"part-0.parquet": b"mine"}
    assert (path / "predictions").is_symlink()
    assert (path / SEAL).is_file()


def test_a_link_or_a_file_is_no_run_folder(tmp_path):
    path = finished(tmp_path / "run").path
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_text("mine")
    for name in ("link", "gone", "file"):
        refused(IntegrityError, tmp_path / name, overwrite=True)
    assert check_seal(path)
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_holds_us_or_the_inputs_is_refused(tmp_path, monkeypatch):
    path = finished(tmp_path / "run").path
    model = path / "model.ckpt"
    (path / "sub").mkdir()
    model.write_text("weights")
    (tmp_path / "to-model").symlink_to(model)
    for keep in (model, path, tmp_path / "to-model"):
        assert str(keep) in refused(IntegrityError, path, overwrite=True, keep=(keep,)).found
    for here in (path, path / "sub"):
        monkeypatch.chdir(here)
        refused(IntegrityError, path, overwrite=True)
    assert check_seal(path)


def test_inputs_beside_the_folder_or_around_it_are_no_reason(tmp_path):
    (tmp_path / "run-data").mkdir()
    assert RunFolder.create(tmp_path / "run", keep=(tmp_path / "run-data", tmp_path, tmp_path / "none")).path.is_dir()


@pytest.mark.fault("F10")
@pytest.mark.parametrize("make", [RunFolder.create, lambda path: RunFolder.opened(path).__enter__()])
def test_a_place_that_cannot_be_written_to_is_told(tmp_path, monkeypatch, make):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="RUN_UNWRITABLE") as caught:
        make(tmp_path / "file" / "run")
    assert caught.value.exit_code == 2
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr("os.access", lambda *_: False)  # a super-user may write everywhere
    with pytest.raises(UsageError, match="RUN_UNWRITABLE"):
        make(tmp_path / "closed")
    assert contents(tmp_path) == {"file": b"mine"}


# --- tables ---------------------------------------------------------------------------------------


def test_large_ids_survive_with_and_without_nulls(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    frame = pd.DataFrame({"row_id": LARGE, "donor_row_id": pd.array([LARGE[0], None, LARGE[2]], dtype="Int64")})
    folder.write_table("predictions.parquet", frame, tables.PREDICTIONS)
    found = read_table(folder.path, "predictions")
    assert found["row_id"].dtype == "int64"
    assert found["row_id"].tolist() == LARGE
    assert found["donor_row_id"].dtype == pd.Int64Dtype()
    assert found["donor_row_id"].tolist() == [LARGE[0], pd.NA, LARGE[2]]
    # Once more through a folder of its own: nothing is lost on the second way either.
    folder.write_table("gallery.parquet", found[["row_id", "donor_row_id"]], tables.GALLERY)
    assert read_table(folder.path, "gallery")["donor_row_id"].tolist() == [LARGE[0], pd.NA, LARGE[2]]


def test_text_and_attributes_survive(tmp_path):
    found = read_table(finished(tmp_path / "run").path, "examples")
    assert found["site"].tolist() == ["01", "NA", "é"]
    assert list(found.columns) == [*tables.EXAMPLES.names, "site"]


def test_parts_are_read_in_the_order_of_their_names(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    for part in (1, 0, 2):
        frame = pd.DataFrame({"row_id": [part]})
        folder.write_table(f"predictions/part-{part:05d}.parquet", frame, tables.PREDICTIONS)
    assert read_table(folder.path, "predictions")["row_id"].tolist() == [0, 1, 2]


def test_a_table_that_was_not_written_is_empty(tmp_path):
    found = read_table(RunFolder.create(tmp_path / "run").path, "tests")
    assert list(found.columns) == tables.TESTS.names
    assert len(found) == 0
