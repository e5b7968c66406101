"""Finished shards of several folders in one: whole, once, and nothing that is no shard."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from figureground.audit.dividing import merging, taking_over
from figureground.audit.dividing.merging import merge_parts, scanned
from figureground.audit.dividing.parts import STREAMED
from figureground.audit.dividing.same_run import DECLARED, EXAMPLES
from figureground.audit.keeping.files import file_sha256
from figureground.audit.keeping.journal import JOURNAL, Journal
from figureground.audit.keeping.run_folder import RunFolder, read_ledger, read_table
from figureground.audit.keeping.tables import SCHEMAS
from figureground.cli import app
from figureground.errors import IntegrityError, UsageError

#: Shards of a stream, rows of each; the last one is short.
ROWS = {0: (3, 4, 5), 1: (7, 9), 2: (11,)}
TABLES = ("attributions", "predictions")


def table(name, ids):
    """Rows of which nothing is known but which they are."""
    columns = [
        pa.array(ids, field.type) if field.name == "row_id" else pa.nulls(len(ids), field.type)
        for field in SCHEMAS[name]
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[name])


def write(folder, shard, ids):
    names = {name: folder.new_file(f"{name}/part-measure-{shard:05d}.parquet") for name in TABLES}
    for name, file in names.items():
        pq.write_table(table(name, ids), file)
    files = {file.relative_to(folder.path).as_posix(): file_sha256(file) for file in names.values()}
    folder.journal.finished(f"measure-{shard:05d}", files, spent=len(ids))


@pytest.fixture
def parts(tmp_path):
    """Two parts that came to the end: the first did the shards 0 and 2, the second 1."""
    beside = tmp_path / "run.parts"
    for number in (1, 2):
        folder = RunFolder.create(beside / f"part-{number}-of-2")
        folder.write_json(DECLARED, {"model sha256": "a", "settings": {"seed": 0}})
        folder.journal.finished(EXAMPLES, {EXAMPLES: "d" * 64})
        folder.journal.plan("measure", ROWS)
        for shard, ids in ROWS.items():
            if shard % 2 == number - 1:
                write(folder, shard, ids)
        folder.journal.recall(STREAMED, lambda: 1)
    return beside


def changed(file, find, by):
    """A text file with the lines that hold ``find`` replaced."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(by if find in line else line for line in lines))


def test_what_is_merged_can_be_gone_on_with(parts, tmp_path):
    merged = merge_parts([parts], out=tmp_path / "merged")
    assert (merged.parts, merged.shards, merged.missing) == (2, {"measure": 3}, 0)
    assert merged.rows == {"attributions": 6, "predictions": 6}
    assert read_table(merged.path, "predictions")["row_id"].tolist() == [3, 4, 5, 7, 9, 11]
    journal = Journal.read(merged.path)
    assert [journal.done(f"measure-0000{shard}").spent for shard in ROWS] == [3, 2, 1]
    assert journal.told(EXAMPLES).files == {EXAMPLES: "d" * 64}
    for name in ("predictions/part-measure-00001.parquet", DECLARED):
        assert name in read_ledger(merged.path)
    assert merge_parts(sorted(parts.iterdir()), out=tmp_path / "again").rows == merged.rows


def test_parts_are_left_as_they_were(parts, tmp_path):
    before = {file: file.read_bytes() for file in parts.rglob("*") if file.is_file()}
    merge_parts([parts], out=tmp_path / "merged")
    assert {file: file.read_bytes() for file in parts.rglob("*") if file.is_file()} == before


def test_parts_that_stopped_before_the_end_are_told(parts, tmp_path):
    for part in parts.iterdir():
        changed(part / JOURNAL, STREAMED, "")
    with pytest.raises(UsageError, match=r"PARTS_MISSING.*stopped before the last stage"):
        merge_parts([parts], out=tmp_path / "merged")
    assert merge_parts([parts], out=tmp_path / "merged", partial=True).missing == 0


def test_what_holds_no_part_is_refused(tmp_path, parts):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"^PART .*no JOURNAL"):
        merge_parts([tmp_path / "empty"], out=tmp_path / "merged")
    (parts / "part-1-of-2" / DECLARED).unlink()
    with pytest.raises(UsageError, match=r"^PART .*no declared\.json"):
        merge_parts([parts], out=tmp_path / "merged")


def test_parts_of_different_runs_are_refused(parts, tmp_path):
    (parts / "part-2-of-2" / DECLARED).write_text('{"model sha256": "a", "settings": {"seed": 1}}')
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*settings seed"):
        merge_parts([parts], out=tmp_path / "merged")


@pytest.mark.parametrize("forgotten", [True, False])
def test_missing_shards_are_told(parts, tmp_path, forgotten):
    """Not finished, or finished and lost since."""
    part = parts / "part-2-of-2"
    for file in part.rglob("part-measure-00001.parquet"):
        file.unlink()
    if forgotten:
        changed(part / JOURNAL, '"measure-00001"', "")
    with pytest.raises(UsageError, match=r"PARTS_MISSING.*1 shards missing \(measure: 1\): measure-00001;") as caught:
        merge_parts([parts], out=tmp_path / "merged")
    assert caught.value.exit_code == 2
    merged = merge_parts([parts], out=tmp_path / "merged", partial=True)
    assert (merged.missing, merged.shards) == (1, {"measure": 2})
    assert read_table(merged.path, "predictions")["row_id"].tolist() == [3, 4, 5, 11]


def test_a_shard_that_two_parts_have_is_there_once_and_taken_where_it_is_whole(parts, tmp_path):
    write(RunFolder(parts / "part-1-of-2", Journal.read(parts / "part-1-of-2")), 1, ROWS[1])
    file = parts / "part-1-of-2" / "predictions" / "part-measure-00001.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    merged = merge_parts([parts], out=tmp_path / "merged")
    assert (merged.missing, merged.rows["predictions"]) == (0, 6)
    assert read_table(merged.path, "predictions")["row_id"].tolist() == [3, 4, 5, 7, 9, 11]


def test_parts_that_read_other_pictures_are_refused(parts, tmp_path):
    Journal.read(parts / "part-2-of-2").finished(EXAMPLES, {EXAMPLES: "e" * 64})
    with pytest.raises(UsageError, match="PART_DATA"):
        merge_parts([parts], out=tmp_path / "merged")


@pytest.mark.parametrize(
    "name", ["../../predictions/part-measure-00000.parquet", "/etc/hosts", "config.json", "predictions/../x.parquet"]
)
def test_a_journal_names_nothing_but_shards(parts, tmp_path, name):
    Journal.read(parts / "part-1-of-2").finished("measure-00000", {name: "0" * 64})
    with pytest.raises(IntegrityError, match="PART_ALTERED") as caught:
        merge_parts([parts], out=tmp_path / "merged")
    assert caught.value.exit_code == 6


def test_a_link_is_no_shard(parts, tmp_path):
    file = parts / "part-1-of-2" / "predictions" / "part-measure-00000.parquet"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="PART_ALTERED"):
        merge_parts([parts], out=tmp_path / "merged")


@pytest.mark.parametrize("ids", [(2,), (5, 6), (8, 4)])
def test_a_row_in_two_shards_is_told(parts, tmp_path, ids):
    folder = parts / "part-2-of-2"
    write(RunFolder(folder, Journal.read(folder)), 1, ids)
    with pytest.raises(IntegrityError, match=r"PART_ROWS.*an earlier shard has"):
        merge_parts([parts], out=tmp_path / "merged")


def test_other_columns_are_told(parts, tmp_path):
    folder = parts / "part-2-of-2"
    write(RunFolder(folder, Journal.read(folder)), 1, ROWS[1])
    name = "predictions/part-measure-00001.parquet"
    pq.write_table(table("predictions", ROWS[1]).drop_columns(["dose"]), folder / name)
    files = Journal.read(folder).told("measure-00001").files | {name: file_sha256(folder / name)}
    Journal.read(folder).finished("measure-00001", files)
    with pytest.raises(IntegrityError, match=r"PART_ROWS.*columns"):
        merge_parts([parts], out=tmp_path / "merged")


def test_a_merge_that_was_stopped_goes_on_also_without_links(parts, tmp_path, monkeypatch):
    link, made = taking_over.os.link, []

    def stopped(*files):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(1)
        link(*files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taking_over.os, "link", stopped)
        with pytest.raises(KeyboardInterrupt):
            merge_parts([parts], out=tmp_path / "merged")

    def none(*_):
        raise OSError

    monkeypatch.setattr(taking_over.os, "link", none)
    merged = merge_parts([parts], out=tmp_path / "merged")
    assert (merged.missing, merged.rows["predictions"]) == (0, 6)
    assert not list(merged.path.rglob("*.part"))
    links = [file.stat().st_nlink for file in merged.path.rglob("part-*.parquet")]
    assert (len(links), links.count(1)) == (6, 4)  # one shard was whole before


def test_rows_are_counted_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "BATCH_ROWS", 7)
    for ids in ([], [4], list(range(10, 63)), [9, 2**62, 3]):
        pq.write_table(table("predictions", ids), tmp_path / "x.parquet", row_group_size=5)
        found = scanned(tmp_path / "x.parquet", SCHEMAS["predictions"])
        assert (found.n, found.first, found.last) == (len(ids), min(ids, default=-1), max(ids, default=-1))


def test_the_command_line_merges(parts, tmp_path):
    out = tmp_path / "merged"
    done = CliRunner().invoke(app, ["merge", str(parts), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "3 shards of 2 parts; 6 rows of attributions, 6 rows of predictions" in done.output
    assert "--resume, without --shard" in done.output
    assert CliRunner().invoke(app, ["merge", str(parts), "-o", str(out), "--overwrite"]).exit_code == 0
