"""Parts of a run, measured apart, make the tables of one process, byte for byte; half a run is not judged."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from figureground.api import run_audit
from figureground.audit import run_folder, taking_over
from figureground.audit.journal import JOURNAL, Journal, as_ranges
from figureground.audit.measure import base, suite
from figureground.audit.measure.stream import ShardStream
from figureground.audit.merging import merge_parts, scanned
from figureground.audit.parts import Part, PartDone
from figureground.audit.tables import SCHEMAS
from figureground.cli import app
from figureground.datasets.planted import Planted
from figureground.errors import IntegrityError, UsageError

SHARD = 16
CUES = ("background", "corner_top_left")


class Small(nn.Module):
    """A classifier of a few hundred weights, the same every time."""

    classes = ("coat", "pullover")

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv, self.head = nn.Conv2d(3, 6, 5, stride=4), nn.Linear(6, 2)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return Planted(association=0.5, split="test", per_label=20).write(tmp_path_factory.mktemp("parts") / "data")


@pytest.fixture(scope="module", autouse=True)
def _small_shards():
    with pytest.MonkeyPatch.context() as patch:
        for module in (base, suite):
            patch.setattr(module, "SHARD_ROWS", SHARD)
        yield


def audited(pictures, out, **options):
    settings = {"cues": CUES, "batch_size": 8, "report": False, "model": Small()} | options
    return run_audit(settings.pop("model"), pictures, out=out, **settings)


def part(pictures, out, number, total, **options):
    """What a part says when it can do no more."""
    with pytest.raises(PartDone) as done:
        audited(pictures, out, shard=(number, total), **options)
    return str(done.value)


def evidence(path: Path):
    """Bytes of every sealed file; of the document all but when it was."""
    found = {name: (path / name).read_bytes() for name in run_folder.read_seal(path)}
    document = json.loads(found.pop("audit.json"))
    document["audit"]["started"] = document["audit"]["ended"] = None
    return found | {"audit.json": document}


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    return audited(pictures, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def rounds(pictures, tmp_path_factory):
    """Two parts, started again and again until nothing is left; what they said, and the shards that they computed."""
    out, counts, said = tmp_path_factory.mktemp("rounds") / "run", Counter(), []
    write = ShardStream.write

    def counted(self, shard, *rest):
        counts[self.prefix, shard] += 1
        write(self, shard, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardStream, "write", counted)
        while len(said) < 12 and not (len(said) >= 2 and all("no more" in one for one in said[-2:])):
            said.append(part(pictures, out, 1 + len(said) % 2, 2))
    return out, said, counts


@pytest.fixture
def parts(rounds, tmp_path):
    """A copy that may be spoiled."""
    return Path(shutil.copytree(rounds[0].with_name("run.parts"), tmp_path / "run.parts"))


def test_parts_make_the_run_of_one_process(pictures, whole, rounds, tmp_path):
    out, said, counts = rounds
    merged = merge_parts([out.with_name("run.parts")], out=tmp_path / "merged")
    assert set(counts.values()) == {1}  # no shard twice
    assert sum(merged.shards.values()) == len(counts) == len(list((whole.path / "predictions").iterdir()))
    assert merged.rows == {name: len(whole.tables[name]) for name in ("predictions", "attributions")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardStream, "write", None)  # nothing is left to be computed
        resumed = audited(pictures, merged.path, resume=True)
    assert evidence(resumed.path) == evidence(whole.path)
    assert "shards of measure fall to the parts 2" in said[0]


def test_a_part_ends_with_0_and_says_what_is_next(rounds):
    _, said, _ = rounds
    assert len(said) <= 6  # three stages, each of two parts
    assert re.search(r"fix: figureground merge .*run.parts -o RUN, then the same audit", said[-1])
    assert PartDone.exit_code == 0


def test_a_finished_run_is_returned_to_every_part(pictures, whole, tmp_path):
    done = Path(shutil.copytree(whole.path, tmp_path / "run"))
    assert audited(pictures, done, shard=(2, 3)).path == done


def test_missing_parts_are_told_and_nothing_is_merged(pictures, rounds, parts, tmp_path):
    shutil.rmtree(parts / "part-1-of-2")
    for file in [*(parts / "part-2-of-2").rglob("part-measure-00000.parquet")]:
        file.unlink()
    journal = parts / "part-2-of-2" / JOURNAL
    journal.write_text("".join(x for x in journal.read_text().splitlines(True) if '"measure-00000"' not in x))
    with pytest.raises(UsageError, match=r"PARTS_MISSING.*1 shards missing \(measure: 1\): measure-00000") as caught:
        merge_parts([parts], out=tmp_path / "merged")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "merged").exists()


def test_a_run_of_which_parts_are_missing_is_computed_if_one_asks(pictures, whole, tmp_path):
    out = tmp_path / "run"
    part(pictures, out, 2, 2)
    with pytest.raises(UsageError, match="PARTS_MISSING"):
        merge_parts([tmp_path / "run.parts"], out=out)
    merged = merge_parts([tmp_path / "run.parts" / "part-2-of-2"], out=out, partial=True)
    assert (merged.missing, merged.shards) == (2, {"measure": 1})
    assert evidence(audited(pictures, out, resume=True).path) == evidence(whole.path)


def test_parts_of_other_runs_are_refused(pictures, parts, tmp_path):
    part(pictures, tmp_path / "other", 1, 2, seed=7)
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*settings seed"):
        merge_parts([parts, tmp_path / "other.parts"], out=tmp_path / "merged")


def test_parts_that_read_other_pictures_are_refused(parts, tmp_path):
    journal = parts / "part-2-of-2" / JOURNAL
    line = next(json.loads(x) for x in journal.read_text().splitlines() if '"examples.parquet"' in x)
    line["files"]["examples.parquet"] = "0" * 64
    journal.write_text(journal.read_text() + json.dumps(line) + "\n")
    with pytest.raises(UsageError, match="PART_DATA"):
        merge_parts([parts], out=tmp_path / "merged")


def test_a_damaged_shard_is_taken_from_the_part_that_has_it_whole(parts, tmp_path):
    file = next((parts / "part-1-of-2").rglob("part-measure-00001.parquet"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    merged = merge_parts([parts], out=tmp_path / "merged")
    assert merged.missing == 0


@pytest.mark.parametrize("name", ["../../outside.parquet", "/etc/hosts", "config.json"])
def test_a_journal_names_nothing_but_shards(parts, tmp_path, name):
    journal = Journal.read(parts / "part-1-of-2")
    journal.finished("measure-00000", {name: "0" * 64})
    with pytest.raises(IntegrityError, match="PART_ALTERED") as caught:
        merge_parts([parts], out=tmp_path / "merged")
    assert caught.value.exit_code == 6


def test_a_row_in_two_shards_is_told(parts, tmp_path, monkeypatch):
    both = [next((parts / "part-1-of-2").rglob(f"predictions/part-measure-0000{n}.parquet")) for n in (0, 1)]
    for folder in parts.iterdir():
        journal = Journal.read(folder)
        files = dict(journal.told("measure-00001").files)
        name = "predictions/part-measure-00001.parquet"
        (folder / name).unlink()
        shutil.copyfile(both[0], folder / name)
        files[name] = taking_over.file_sha256(folder / name)
        journal.finished("measure-00001", files)
    with pytest.raises(IntegrityError, match="PART_ROWS.*an earlier shard has"):
        merge_parts([parts], out=tmp_path / "merged")


def test_a_merge_that_was_stopped_goes_on_also_without_links(parts, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(taking_over.os, "link", stopped)
        merge_parts([parts], out=tmp_path / "merged")

    def none(*_):
        raise OSError

    monkeypatch.setattr(taking_over.os, "link", none)
    merged = merge_parts([parts], out=tmp_path / "merged")
    assert merged.missing == 0
    copies = [*merged.path.rglob("part-*.parquet")]
    assert len(copies) > 4
    assert {file.stat().st_nlink for file in copies} == {1}


def test_rows_are_counted_without_their_columns(parts):
    for file in (parts / "part-1-of-2").rglob("part-*.parquet"):
        table = pq.read_table(file, columns=["row_id"])
        found = scanned(file, SCHEMAS[file.parent.name])
        assert found.n == len(table)
        assert (found.first, found.last) == (min(table["row_id"].to_pylist()), max(table["row_id"].to_pylist()))


@pytest.mark.parametrize(("shard", "options"), [((0, 2), {}), ((3, 2), {}), ((1, 2), {"time": "30s"})])
def test_what_is_no_part_is_refused(pictures, tmp_path, shard, options):
    with pytest.raises(UsageError, match="^SHARD "):
        audited(pictures, tmp_path / "run", shard=shard, **options)
    with pytest.raises(UsageError, match="^SHARD "):
        run_audit(Small(), pictures, shard=(1, 2))
    with pytest.raises(UsageError, match="^SHARD "):
        audited(pictures, tmp_path / "run", shard=(1, 2), devices=2)


@pytest.mark.parametrize("total", [1, 2, 3, 7, 64])
def test_every_shard_falls_to_one_part(total, tmp_path):
    parts = [Part.of(tmp_path / "run", (number, total)) for number in range(1, total + 1)]
    assert len({one.path for one in parts}) == total
    for shard in range(200):
        assert sum(one.owner(shard) == one.number for one in parts) == 1


def test_the_command_line_merges(parts, tmp_path):
    done = CliRunner().invoke(app, ["merge", str(parts), "-o", str(tmp_path / "merged")])
    assert done.exit_code == 0, done.output
    assert re.search(r"shards of 2 parts; \d+ rows of attributions, \d+ rows of predictions", done.output)
    assert "--resume, without --shard" in done.output
    assert pd.Series(Path(tmp_path / "merged" / "predictions").iterdir()).size > 3


def test_ranges_are_short():
    assert as_ranges([]) == []
    assert as_ranges([5, 4, 9, 4]) == [[4, 5], [9, 9]]
