"""Rows read in other processes are the same rows; a file that ends its process is found, and no other row is lost."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass, replace

import pandas as pd
import pytest

from figureground.datasets import reading
from figureground.datasets.intake import Intake
from figureground.datasets.planted import Planted
from figureground.datasets.reading import CRASHED, Reading
from figureground.datasets.sources import TableSource, open_source
from figureground.errors import DataError, ManifestError

CLASSES = ("coat", "pullover")


@dataclass(frozen=True)
class Killing:
    """Ends its process at some positions, as a decoder that writes where it must not."""

    bad: frozenset[int]

    def __call__(self, position):
        if position in self.bad:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"status": "ok", "sha256": str(position)}


@dataclass(frozen=True)
class KillingSource(TableSource):
    victim: str = ""

    def pixels(self, position):
        if self.frame["image"][position] == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().pixels(position)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    out = tmp_path_factory.mktemp("reading") / "data"
    return Planted(association=0.5, split="test", per_label=12).write(out)


def taken(manifest, how, source=None):
    source = source or open_source(manifest, classes=CLASSES)
    return Intake(CLASSES, reading=how)(source, source.table()).frame


@pytest.mark.fault("G2")
def test_each_crash_is_found_and_every_other_row_read(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 16)
    bad = frozenset({3, 37, 38})
    found = dict(Reading(2, "fork")(Killing(bad), range(60)))
    assert sorted(found) == list(range(60))
    assert {position for position, one in found.items() if one == CRASHED} == bad
    assert all(found[position]["sha256"] == str(position) for position in set(range(60)) - bad)


@pytest.mark.fault("G2")
def test_a_crash_is_a_row_set_aside_in_the_table(manifest):
    whole = taken(manifest, Reading())
    source = open_source(manifest, classes=CLASSES)
    victim = source.frame["image"][5]
    killing = KillingSource(source.kind, source.where, source.frame, source.root, victim=victim)
    found = taken(manifest, Reading(1, "fork"), killing)
    bad = found[found["status"] == "quarantined"]
    assert bad[["image", "reason"]].to_numpy().tolist() == [[victim, "worker_crash"]]
    said = ["reason", "detail"]  # missing in both, and None in one of them
    same = [frame.drop(bad.index).drop(columns=said) for frame in (found, whole)]
    pd.testing.assert_frame_equal(*same, check_dtype=False)


@pytest.mark.fault("G9", better="one pandas and one numpy are at hand; the others are a recipe in .github/workflows")
@pytest.mark.parametrize("how", [Reading(2, "fork"), pytest.param(Reading(2, "spawn"), marks=pytest.mark.slow)])
def test_spawned_and_forked_processes_give_the_same_table(manifest, how):
    pd.testing.assert_frame_equal(taken(manifest, how), taken(manifest, Reading()))


@pytest.mark.fault(
    "G3", better="nothing passes through shared memory; without room for a lock, rows are read in-process"
)
def test_where_no_process_can_be_had_rows_are_read_in_this_one(manifest, monkeypatch, caplog):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reading, "ProcessPoolExecutor", full)
    pd.testing.assert_frame_equal(taken(manifest, Reading(2, "fork")), taken(manifest, Reading()))
    assert "WORKERS cannot be started" in caplog.text


def test_what_cannot_be_handed_over_is_read_in_this_one(manifest, caplog):
    class Local(TableSource):  # as a class of a notebook's cell
        pass

    source = open_source(manifest, classes=CLASSES)
    local = Local(source.kind, source.where, source.frame, source.root)
    pd.testing.assert_frame_equal(taken(manifest, Reading(2), local), taken(manifest, Reading()))
    assert "cannot be handed to other processes" in caplog.text


@pytest.mark.parametrize("error", [DataError, ManifestError])
def test_an_error_of_a_worker_is_the_error_of_the_run(error):
    task = replace(Raising(error))
    with pytest.raises(error, match="CODE here"):
        list(Reading(1, "fork")(task, range(3)))


@dataclass(frozen=True)
class Raising:
    error: type

    def __call__(self, position):
        raise self.error("CODE", "here", found="a", expected="b", fix="c")
