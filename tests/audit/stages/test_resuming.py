"""A run that was stopped goes on, with the same result, and never with another model, other data or other settings."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from figureground.api import run_audit
from figureground.audit.keeping import run_folder
from figureground.audit.keeping.journal import JOURNAL, Journal
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.keeping.run_lock import HOLDER, LOCK, locked
from figureground.audit.measure import base, streaming
from figureground.audit.measure.stream import ShardStream
from figureground.datasets.planted import Planted
from figureground.datasets.transforms import Preprocess
from figureground.errors import UsageError

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


class Stopped(Exception):
    """In place of a power cut."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    out = tmp_path_factory.mktemp("resume") / "data"
    return Planted(association=0.5, split="test", per_label=20).write(out)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    for module in (base, streaming):
        monkeypatch.setattr(module, "SHARD_ROWS", SHARD)


def audited(pictures, out, **options):
    settings = {"cues": CUES, "batch_size": 8, "report": False, "model": Small()} | options
    return run_audit(settings.pop("model"), pictures, out=out, **settings)


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for module in (base, streaming):
            patch.setattr(module, "SHARD_ROWS", SHARD)
        return audited(pictures, tmp_path_factory.mktemp("whole") / "run")


def stop_after(monkeypatch, shards):
    """The stream writes so many shards, and is then cut off before the next is noted."""
    written, write = [], ShardStream.write

    def limited(self, *arguments):
        if len(written) == shards:
            raise Stopped
        written.append(1)
        write(self, *arguments)

    monkeypatch.setattr(ShardStream, "write", limited)


def begun(pictures, out, shards, **options):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, shards)
        with pytest.raises(Stopped):
            audited(pictures, out, **options)
    return out


def evidence(path: Path):
    """Bytes of every sealed file; of the document all but when it was."""
    found = {name: (path / name).read_bytes() for name in run_folder.read_seal(path)}
    document = json.loads(found.pop("audit.json"))
    document["audit"]["started"] = document["audit"]["ended"] = None
    return found | {"audit.json": document}


def shards_written(monkeypatch):
    counts, write = Counter(), ShardStream.write

    def counted(self, *arguments):
        counts[self.prefix] += 1
        write(self, *arguments)

    monkeypatch.setattr(ShardStream, "write", counted)
    return counts


def test_a_resumed_run_is_the_run_that_was_never_stopped(pictures, whole, tmp_path, monkeypatch):
    out = begun(pictures, tmp_path / "run", shards=4)
    assert (out / JOURNAL).is_file()
    counts = shards_written(monkeypatch)
    resumed = audited(pictures, out, resume=True)
    assert evidence(resumed.path) == evidence(whole.path)
    whole_shards = len(list((whole.path / "predictions").iterdir()))
    assert sum(counts.values()) == whole_shards - 4  # what was whole is not done again
    left = {entry.name for entry in out.iterdir()} - {entry.name for entry in whole.path.iterdir()}
    assert left == set()
    assert not list(out.rglob("*.part"))


@pytest.mark.fault("A19")
def test_another_model_is_not_mixed_in(pictures, tmp_path):
    out = begun(pictures, tmp_path / "run", shards=2)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*model sha256") as caught:
        audited(pictures, out, resume=True, model=Small(seed=4))
    assert caught.value.exit_code == 2
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(("options", "named"), [({"seed": 1}, "settings"), ({"policy": {"power": 0.9}}, "policy")])
def test_other_settings_are_not_mixed_in(pictures, tmp_path, options, named):
    out = begun(pictures, tmp_path / "run", shards=1)
    with pytest.raises(UsageError, match=f"RESUME_DIFFERS.*{named}"):
        audited(pictures, out, resume=True, **options)


def test_changed_pictures_are_not_mixed_in(pictures, tmp_path):
    data = shutil.copytree(pictures.parent, tmp_path / "data")
    out = begun(data / pictures.name, tmp_path / "run", shards=1)
    first = sorted(data.rglob("*.png"))[0]
    others = [file for file in sorted(data.rglob("*.png")) if file.read_bytes() != first.read_bytes()]
    shutil.copyfile(others[0], first)
    with pytest.raises(UsageError, match="RESUME_DATA"):
        audited(data / pictures.name, out, resume=True)


def test_a_finished_run_is_returned_and_another_refused(pictures, whole, monkeypatch):
    counts = shards_written(monkeypatch)
    before = (whole.path / run_folder.SEAL).stat().st_mtime_ns
    assert audited(pictures, whole.path, resume=True).path == whole.path
    assert not counts
    assert (whole.path / run_folder.SEAL).stat().st_mtime_ns == before
    frame = pd.read_csv(pictures, dtype=str, keep_default_na=False)
    others = {
        "settings": {"seed": 5},
        "model sha256": {"model": Small(seed=4)},
        "preprocessing": {"transform": Preprocess(mean=(0.1, 0.1, 0.1))},
        "data": {"data": frame, "root": pictures.parent},
    }
    for named, options in others.items():
        with pytest.raises(UsageError, match=rf"RESUME_DIFFERS.*{named}"):
            audited(options.pop("data", pictures), whole.path, resume=True, **options)


def test_rows_that_changed_are_other_rows_though_no_picture_did(pictures, tmp_path):
    frame = pd.read_csv(pictures, dtype=str, keep_default_na=False)
    out = begun(frame, tmp_path / "run", shards=1, root=pictures.parent)
    turned = frame.assign(label=frame["label"].iloc[::-1].to_numpy())
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*table sha256"):
        audited(turned, out, resume=True, root=pictures.parent)


def test_another_part_of_the_output_is_another_run(pictures, tmp_path):
    class Two(Small):
        def forward(self, x):
            found = super().forward(x)
            return {"first": found, "second": -found}

    out = begun(pictures, tmp_path / "run", shards=1, model=Two(), output_key="first")
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*output Picked second"):
        audited(pictures, out, resume=True, model=Two(), output_key="second")


def test_a_function_cannot_be_shown_to_be_the_same(pictures, tmp_path):
    model = Small().eval()
    known = {"model": lambda x: model(x), "classes": Small.classes}
    out = begun(pictures, tmp_path / "run", shards=1, **known)
    with pytest.raises(UsageError, match="RESUME_UNKNOWN"):
        audited(pictures, out, resume=True, **known)


def test_without_the_word_a_run_that_was_begun_is_left_alone(pictures, tmp_path):
    out = begun(pictures, tmp_path / "run", shards=1)
    with pytest.raises(UsageError, match=r"RUN_EXISTS.*--resume to go on"):
        audited(pictures, out)
    assert (out / JOURNAL).is_file()


def test_what_fits_into_a_time_is_asked_once(tmp_path):
    first, again = Journal.read(tmp_path), None
    assert first.recall("fits", lambda: 70) == 70
    again = Journal.read(tmp_path)
    assert again.recall("fits", lambda: 12) == 70


def test_a_line_that_was_cut_off_says_nothing(tmp_path):
    journal = Journal.read(tmp_path)
    journal.recall("fits", lambda: 7)
    journal.finished("x", {})
    with (tmp_path / JOURNAL).open("a") as stream:
        stream.write('{"name": "y", "fil')
    again = Journal.read(tmp_path)
    assert (again.done("x") is not None, again.done("y")) == (True, None)
    again.finished("z", {})  # its line is lost in the cut one: done again, never half
    assert Journal.read(tmp_path).done("z") is None
    again.finished("w", {})
    assert Journal.read(tmp_path).done("w") is not None


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.fault("G6")
def test_a_second_writer_is_told_who_holds_the_folder(pictures, tmp_path):
    out = begun(pictures, tmp_path / "run", shards=1)
    with locked(out):
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(UsageError, match=rf"RUN_LOCKED.*process {os.getpid()} on") as caught:
                audited(pictures, out, **options)
            assert caught.value.exit_code == 2
    assert not (out / LOCK).exists()
    assert not (out / HOLDER).exists()


def _hold(path, ready):
    with locked(path):
        ready.set()
        time.sleep(60)


@pytest.mark.fault("G6")
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(UsageError, match=f"process {holder.pid} on"), locked(tmp_path):
        pass
    holder.kill()
    holder.join()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / HOLDER).read_text()


def test_nothing_is_put_into_somebody_elses_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(Exception, match=r"RUN_EXISTS|RUN_FOLDER"), RunFolder.opened(tmp_path, **options):
            pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


# --- kill -9 --------------------------------------------------------------------------------------


def _run(pictures, out):
    torch.set_num_threads(1)
    audited(pictures, out, resume=True, report=True)


def killed_at(pictures, out, seconds):
    """Start or resume in a process of its own, and kill it; True where it had ended before."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(pictures, out))
    process.start()
    process.join(seconds)
    if process.exitcode is not None:
        assert process.exitcode == 0
        return True
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return False


@pytest.mark.slow
def test_thirty_kills_and_the_same_bytes(pictures, whole, tmp_path):
    """Six runs, each killed five times in a row: while reading, streaming, judging, drawing or rendering."""
    started = time.monotonic()
    _run(pictures, tmp_path / "timed")
    full = time.monotonic() - started
    rng, kills, number = random.Random(20261128), 0, 0  # noqa: S311  (moments, not secrets)
    while kills < 30:
        out, number = tmp_path / f"run-{number}", number + 1
        for _ in range(5):
            ended = killed_at(pictures, out, rng.uniform(0.02, 1.0) * full)
            kills += not ended
            if ended:
                break
        _run(pictures, out)
        assert evidence(out) == evidence(whole.path)
        assert (out / "report.en.html").is_file()
        names = {entry.name for entry in out.rglob("*")}
        assert not {name for name in names if name.endswith(".part")} | (names & {JOURNAL, LOCK, HOLDER})
        shutil.rmtree(out)
        assert number < 40
