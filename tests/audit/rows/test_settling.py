"""What the model gives no usable answer to is set aside and counted; the others' numbers stay as they are."""

from __future__ import annotations

import errno
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from figureground.api import run_audit
from figureground.audit.keeping import files
from figureground.audit.keeping.files import published
from figureground.datasets.planted import Planted
from figureground.errors import DataError, ResourceError

CUES = ["background"]


class Bright(nn.Module):
    """Gives an infinite output for images brighter than a value; or has no memory for the image of that brightness."""

    classes = ("coat", "pullover")

    def __init__(self, above: float = float("inf"), *, exhausts: bool = False) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 5, stride=4), nn.Linear(6, 2)
        generator = torch.Generator().manual_seed(3)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)
        self.above, self.exhausts = above, exhausts

    def forward(self, x):
        logits = self.head(torch.relu(self.conv(x)).mean((2, 3)))
        mean = x.mean((1, 2, 3))
        if self.exhausts and bool(((mean - self.above).abs() < 1e-6).any()):
            raise RuntimeError("CUDA out of memory")
        return torch.where((mean > self.above)[:, None] & (not self.exhausts), torch.inf, logits)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    out = tmp_path_factory.mktemp("settling") / "data"
    return Planted(association=0.5, split="test", per_label=16).write(out)


def brightness(pictures):
    from PIL import Image

    files = sorted((pictures.parent).rglob("*.png"))
    shown = [file for file in files if "mask" not in file.name and "mask" not in file.parent.name]
    return sorted(np.asarray(Image.open(file).convert("RGB")).mean() / 255 for file in shown)


def audited(model, pictures, out):
    return run_audit(model, pictures, out=out, cues=CUES, batch_size=8, images=False, report=False)


@pytest.mark.fault("B10")
def test_an_infinite_output_sets_the_row_aside_and_changes_no_other(pictures, tmp_path):
    values = brightness(pictures)
    above = (values[-3] + values[-4]) / 2
    found, plain = audited(Bright(above), pictures, tmp_path / "a"), audited(Bright(), pictures, tmp_path / "b")
    bad = found.examples[found.examples["status"] == "quarantined"]
    assert bad["reason"].tolist() == ["nonfinite_output"] * 3
    data = found.document.data
    assert (data.given, data.ok, data.quarantined_by_reason) == (32, 29, {"nonfinite_output": 3})
    base = [run.predictions[run.predictions["intervention"] == "none"].set_index("row_id") for run in (found, plain)]
    assert base[0].loc[bad["row_id"], "predicted"].isna().all()
    others = base[0].index.difference(bad["row_id"])
    for row in others:
        assert np.array_equal(base[0].loc[row, "logits"], base[1].loc[row, "logits"])
    causal = found.predictions[found.predictions["intervention"] == "swap"]
    assert not set(causal["row_id"]) & set(bad["row_id"])
    assert not set(causal["donor_row_id"]) & set(bad["row_id"])
    assert found.document.performance.overall.n == 29


def test_where_no_output_is_finite_nothing_is_concluded(pictures, tmp_path):
    with pytest.raises(Exception, match=r"no finite row|NO_ANSWERS") as caught:
        audited(Bright(-1.0), pictures, tmp_path / "run")
    assert caught.value.exit_code == 4
    from figureground.audit.rows.settling import settled

    run = audited(Bright(), pictures, tmp_path / "b")
    base = run.predictions[run.predictions["intervention"] == "none"].assign(status="not_finite")
    from figureground.datasets.intake import Examples

    with pytest.raises(DataError, match=r"nonfinite_output \(32\)"):
        settled(Examples(run.examples.assign(detail=None), (), (), clusters_given=False), base)


@pytest.mark.slow
@pytest.mark.fault("G1")
def test_an_image_without_room_is_set_aside(pictures, tmp_path):
    values = brightness(pictures)
    found = audited(Bright(values[-1], exhausts=True), pictures, tmp_path / "a")
    bad = found.examples[found.examples["status"] == "quarantined"]
    assert bad["reason"].tolist() == ["out_of_memory"]
    plain = audited(Bright(), pictures, tmp_path / "b")
    logits = [
        run.predictions[run.predictions["intervention"] == "none"].set_index("row_id")["logits"]
        for run in (found, plain)
    ]
    for row in set(plain.examples["row_id"]) - set(bad["row_id"]):
        np.testing.assert_allclose(logits[0][row], logits[1][row], rtol=1e-5, atol=1e-6)


@pytest.mark.fault("G4")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path, code):
    target = tmp_path / "a.json"
    target.write_text("old")

    def fail():
        with published(target) as draft:
            draft.write_text("half")
            raise OSError(code, "full")

    with pytest.raises(ResourceError, match=r"DISK_FULL.*--resume") as caught:
        fail()
    assert caught.value.exit_code == 5
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert target.read_text() == "old"


@pytest.mark.slow
@pytest.mark.fault("G4")
def test_a_real_limit_on_file_sizes_stops_the_run_and_it_goes_on(pictures, tmp_path):
    """At every write: with room for more and more bytes a file, the run ends later, until it has ended well."""
    out, soft, hard = tmp_path / "run", *resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    stopped = []
    try:
        for limit in (0, 400, 6_000, 20_000, 60_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                run_audit(Bright(), pictures, out=out, cues=CUES, batch_size=8, images=False, report=False, resume=True)
            except ResourceError as error:
                stopped.append(Path(error.where).name)
                assert not (out / "COMPLETE.json").exists()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert len(set(stopped)) >= 3
    resumed = run_audit(Bright(), pictures, out=out, cues=CUES, batch_size=8, images=False, report=False, resume=True)
    plain = audited(Bright(), pictures, tmp_path / "plain")
    for name in ("examples", "predictions", "attributions", "subgroups", "tests"):
        assert resumed.tables[name].equals(plain.tables[name])
    assert not list(out.rglob(f"*{files.UNFINISHED}"))
