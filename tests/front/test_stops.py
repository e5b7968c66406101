"""Stopping a run from outside, and running it where there is no home, no network and no display."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from figureground.api import run_audit
from figureground.audit.classify.checkpoint import save_checkpoint
from figureground.audit.keeping import clock
from figureground.audit.keeping.journal import JOURNAL
from figureground.audit.keeping.result import AuditResult

pytestmark = pytest.mark.slow
#: The command line in a process of its own, in which no socket can be opened.
MAIN = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise RuntimeError(f"a socket was used: {event} {arguments}")
sys.addaudithook(refuse)
from figureground.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def checkpoint(shortcut_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("stops") / "model.ckpt"
    save_checkpoint(shortcut_model, path)
    return path


def command(checkpoint, data, out, *more):
    names = ("audit", checkpoint, data, "-o", out, "--cue", "background,corner_top_left,sharpness", *more)
    return [sys.executable, "-c", MAIN, *map(str, names)]


def bare(**more):
    """No home to write to, no display, another time zone and locale."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XDG_CACHE_HOME", "MPLCONFIGDIR")
    }
    return kept | {"HOME": "/proc/nowhere", "TZ": "Pacific/Chatham", "LC_ALL": "C"} | more


def shards(out):
    return (out / JOURNAL).read_text().count('"spent"') if (out / JOURNAL).exists() else 0


def started(arguments, out) -> subprocess.Popen[str]:
    """A process that has finished a shard."""
    before = shards(out)
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    # A shell's job in the background ignores Ctrl-C, and so would what these tests start.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(arguments, **pipes, text=True, env=bare(), preexec_fn=hears)
    deadline = time.monotonic() + 120
    while shards(out) == before:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.fault("G5", "G7")
def test_a_run_stops_and_goes_on(checkpoint, audit_manifest, shortcut_run, tmp_path):
    out = tmp_path / "run"
    stops = {signal.SIGINT: (130, "INTERRUPTED"), signal.SIGTERM: (143, "TERMINATED")}
    for number, (code, said) in stops.items():
        process = started(command(checkpoint, audit_manifest, out, "--resume"), out)
        process.send_signal(number)
        # Within ten seconds on an idle machine (2.0 s measured); nothing is timed in a test.
        _, told = process.communicate(timeout=90)
        assert process.returncode == code, told
        assert said in told
        assert "--resume" in told
        assert not (out / "COMPLETE.json").exists()
    done = subprocess.run(
        command(checkpoint, audit_manifest, out, "--resume"), capture_output=True, text=True, env=bare(), check=False
    )
    assert done.returncode == 1, done.stderr  # demonstrated
    run = AuditResult(out)
    for name, table in shortcut_run.tables.items():
        assert run.tables[name].equals(table), name


@pytest.mark.fault("G8")
def test_a_clock_that_runs_backwards_changes_nothing(checkpoint, audit_manifest, tmp_path, monkeypatch):
    def audited(name):
        return run_audit(
            checkpoint, audit_manifest, out=tmp_path / name, cues=["background"], images=False, report=False
        )

    plain = audited("plain")

    # Several threads ask for the time; counting is atomic.
    now, asked = time.time(), itertools.count(1)
    monkeypatch.setattr(time, "time", lambda: now - 3600.0 * next(asked))
    stamps = iter(["2026-10-25T02:59:59Z", "2026-10-25T02:00:00Z"])  # summer time ends, and the clock jumps back
    monkeypatch.setattr(clock, "stamp", lambda: next(stamps))
    found = audited("back")
    for name, table in plain.tables.items():
        assert found.tables[name].equals(table), name
    assert found.verdict == plain.verdict
