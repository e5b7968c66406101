"""Parts of a run, measured apart, make the tables of one process, byte for byte; half a run is not judged."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from figureground.api import run_audit
from figureground.audit.dividing import parts
from figureground.audit.dividing.merging import merge_parts
from figureground.audit.dividing.parts import Part, PartDone
from figureground.audit.keeping import run_folder
from figureground.audit.keeping.journal import as_ranges
from figureground.audit.measure import base, streaming
from figureground.audit.measure.stream import ShardStream
from figureground.audit.stages import causal
from figureground.datasets.planted import Planted
from figureground.errors import UsageError

SHARD = 16
CUES = ("background", "corner_top_left", "sharpness")


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
        for module in (base, streaming, parts):
            patch.setattr(module, "SHARD_ROWS", SHARD)
        # So small a network moves too little for the last stage, which is to be there.
        patch.setattr(causal, "to_hold", lambda *_: [("background", "corner_top_left")])
        patch.setattr(causal, "moving", lambda *_: {"sharpness": ("grass", "gravel")})
        yield


def audited(pictures, out, **options):
    policy = {"plain_rows": 20, "assay_redraws": 20, "placebo_draws": 50}
    settings = {"cues": CUES, "batch_size": 8, "report": False, "model": Small(), "policy": policy} | options
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


@pytest.mark.slow
def test_parts_make_the_run_of_one_process(pictures, whole, rounds, tmp_path):
    out, said, counts = rounds
    merged = merge_parts([out.with_name("run.parts")], out=tmp_path / "merged")
    assert set(counts.values()) == {1}  # no shard twice
    streams = {"measure", "plain", "background", "masked", "held-masked", "dose"}
    assert set(merged.shards) == {name for name, _ in counts} == streams
    assert sum(merged.shards.values()) == len(counts) == len(list((whole.path / "predictions").iterdir()))
    assert merged.rows == {name: len(whole.tables[name]) for name in ("predictions", "attributions")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardStream, "write", None)  # nothing is left to be computed
        resumed = audited(pictures, merged.path, resume=True)
    assert evidence(resumed.path) == evidence(whole.path)
    assert "shards of door fall to the parts 2" in said[0]
    assert "shards of measure fall to the parts 1" in said[1]  # the second went on with what the first had read


@pytest.mark.slow
def test_a_part_ends_with_0_and_says_what_is_next(rounds):
    _, said, _ = rounds
    assert len(said) <= 8  # four stages, each of two parts
    assert re.search(r"fix: figureground merge .*run.parts -o RUN, then the same audit", said[-1])
    assert PartDone.exit_code == 0


@pytest.mark.slow
def test_a_finished_run_is_returned_to_every_part(pictures, whole, tmp_path):
    done = Path(shutil.copytree(whole.path, tmp_path / "run"))
    assert audited(pictures, done, shard=(2, 3)).path == done


@pytest.mark.slow
def test_a_run_of_which_parts_are_missing_is_computed_if_one_asks(pictures, whole, tmp_path):
    out = tmp_path / "run"
    part(pictures, out, 2, 2)
    with pytest.raises(UsageError, match="PARTS_MISSING"):
        merge_parts([tmp_path / "run.parts"], out=out)
    merged = merge_parts([tmp_path / "run.parts" / "part-2-of-2"], out=out, partial=True)
    assert (merged.missing, merged.shards) == (0, {})
    assert evidence(audited(pictures, out, resume=True).path) == evidence(whole.path)


@pytest.mark.slow
def test_a_part_beside_those_of_another_run_is_refused(pictures, rounds):
    out = rounds[0]
    with pytest.raises(UsageError, match=r"RESUME_DIFFERS.*settings seed"):
        audited(pictures, out, shard=(3, 3), seed=7)
    shutil.rmtree(out.with_name("run.parts") / "part-3-of-3")


@pytest.mark.parametrize(("shard", "options"), [((0, 2), {}), ((3, 2), {}), ((1, 2), {"time": "30s"})])
def test_what_is_no_part_is_refused(pictures, tmp_path, shard, options):
    with pytest.raises(UsageError, match=r"^SHARD "):
        audited(pictures, tmp_path / "run", shard=shard, **options)
    with pytest.raises(UsageError, match=r"^SHARD "):
        run_audit(Small(), pictures, shard=(1, 2))
    with pytest.raises(UsageError, match=r"^SHARD "):
        audited(pictures, tmp_path / "run", shard=(1, 2), devices=2)


@pytest.mark.parametrize("total", [1, 2, 3, 7, 64])
def test_every_shard_falls_to_one_part(total, tmp_path):
    every = [Part.of(tmp_path / "run", (number, total)) for number in range(1, total + 1)]
    assert len({one.path for one in every}) == total
    for shard in range(200):
        assert sum(one.owner(shard) == one.number for one in every) == 1


def test_ranges_are_short():
    assert as_ranges([]) == []
    assert as_ranges([5, 4, 9, 4]) == [[4, 5], [9, 9]]
