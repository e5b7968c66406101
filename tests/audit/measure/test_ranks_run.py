"""An audit on several ranks is the audit of one process, byte for byte; where a rank is lost, the run is gone on with.

Run as a script, this file is what a user's own is: every rank executes it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from figureground.api import run_audit
from figureground.audit.keeping import run_folder
from figureground.audit.keeping.journal import journals
from figureground.audit.measure import base, ranks, streaming
from figureground.datasets.planted import Planted

pytestmark = pytest.mark.slow
SHARD = 16
OUT_OF_A_RESOURCE = 5


class Small(nn.Module):
    """A classifier of a few hundred weights, the same every time, and slow where that is asked."""

    classes = ("coat", "pullover")

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.conv, self.head = nn.Conv2d(3, 6, 5, stride=4), nn.Linear(6, 2)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)

    def forward(self, x):
        time.sleep(float(os.environ.get("SLOW", "0")))
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


def script(data, out, devices):
    """What a user would write; ``devices`` 0: no ranks."""
    base.SHARD_ROWS = streaming.SHARD_ROWS = ranks.SHARD_ROWS = SHARD
    torch.set_num_threads(1)
    options = {"devices": devices, "accelerator": "cpu"} if devices else {}
    found = run_audit(
        Small(),
        data,
        out=out,
        cues=("background", "corner_top_left"),
        batch_size=8,
        resume=True,
        report=False,
        all=True,
        policy={"plain_rows": 20, "assay_redraws": 20, "placebo_draws": 50},
        **options,
    )
    print(found.path, found.verdict.status)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return Planted(association=0.5, split="test", per_label=45).write(tmp_path_factory.mktemp("ranks") / "data")


def arguments(pictures, out, devices):
    return [__file__, *map(str, (pictures, out, devices))]


def started(arguments, **env):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PL_"))}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=clean | {"OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    said, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return said


def evidence(path):
    """Bytes of every sealed file; of the document all but when it was."""
    found = {name: (path / name).read_bytes() for name in run_folder.read_seal(path)}
    document = json.loads(found.pop("audit.json"))
    document["audit"]["started"] = document["audit"]["ended"] = None
    return found | {"audit.json": document}


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    ended(started(arguments(pictures, out, 0)))
    return evidence(out)


def test_two_ranks_give_the_tables_of_one_process(pictures, whole, tmp_path):
    said = ended(started(arguments(pictures, tmp_path / "run", 2)))
    assert evidence(tmp_path / "run") == whole  # 6 shards and one of 10 rows, on two ranks
    assert len(set(said.splitlines())) == 1  # both ranks return the same result
    assert len(said.splitlines()) == 2


def test_torchrun_with_three_ranks_too(pictures, whole, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]
    ended(started([*launcher, *arguments(pictures, tmp_path / "run", 3)]))
    assert evidence(tmp_path / "run") == whole


def children(pid):
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def killed(pictures, out, number, victim):
    """Two ranks, of which one gets a signal after both have finished a shard; the process that was started."""
    process = started(arguments(pictures, out, 2), SLOW="0.5")
    deadline = time.monotonic() + 200
    while not (len(journals(out)) == 2 and '"measure-' in journals(out)[0].read_text()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (second,) = children(process.pid)
    os.kill((process.pid, second)[victim], number)
    return process, second


def gone(pid):
    status = Path(f"/proc/{pid}/status")
    try:
        return "\nState:\tZ" in status.read_text()
    except OSError:
        return True


@pytest.mark.parametrize("devices", [0, 3])
def test_a_lost_rank_ends_the_other_and_the_run_goes_on(pictures, whole, tmp_path, devices):
    out = tmp_path / "run"
    process, _ = killed(pictures, out, signal.SIGKILL, 1)
    _, told = process.communicate(timeout=60)  # the goal; a second as measured
    assert (process.returncode, "RANK_LOST rank 1" in told) == (OUT_OF_A_RESOURCE, True), told
    assert not (out / run_folder.SEAL).exists()
    ended(started(arguments(pictures, out, devices)))
    assert evidence(out) == whole
    assert {file.name for file in out.iterdir()} & {"JOURNAL", "JOURNAL-1", "JOURNAL-2", "LOCK", "HOLDER"} == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_the_second_rank_ends_with_the_first(pictures, tmp_path, number, code):
    process, second = killed(pictures, tmp_path / "run", number, 0)
    process.communicate(timeout=60)
    assert process.returncode == code
    deadline = time.monotonic() + 60
    while not gone(second):
        assert time.monotonic() < deadline
        time.sleep(0.1)


if __name__ == "__main__":
    script(sys.argv[1], sys.argv[2], int(sys.argv[3]))
