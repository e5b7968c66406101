"""Batches through a module into shards: nothing lost, nothing crossed, gradients possible."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from figureground.audit.keeping.journal import Journal
from figureground.audit.keeping.run_folder import RunFolder, read_ledger
from figureground.audit.measure.stream import ShardStream

SCHEMA = pa.schema([("row_id", pa.int64()), ("value", pa.float64()), ("slope", pa.float64())])


class Numbers(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return {"row_id": torch.tensor(2**62 + index), "x": torch.tensor(float(index))}


class Square(nn.Module):
    def forward(self, x):
        return x**2


def step(module, items):
    x = items["x"].clone().requires_grad_()
    value = module(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    frame = pd.DataFrame(
        {
            "row_id": items["row_id"].numpy(),
            "value": value.detach().double().numpy(),
            "slope": slope.double().numpy(),
        }
    )
    return {"numbers": frame, "twice": frame.assign(value=2 * frame["value"])}


def streamed(folder, steps, batches=([0, 1], [2], [3, 4], [5, 6])):
    spent = []

    def counted(module, items):
        steps.append(len(items["x"]))
        spent.append(10 * len(items["x"]))
        return step(module, items)

    stream = ShardStream(folder, {"numbers": SCHEMA, "twice": SCHEMA}, "test", spent)
    stream(Square(), counted, Numbers(), batches, [0, 0, 1, 4][: len(batches)], lambda _: None)
    return sum(spent)


@pytest.mark.parametrize("spoil", ["truncated", "empty", "flipped", "missing", "nothing"])
def test_a_damaged_shard_is_done_again_and_no_other(tmp_path, spoil, caplog):
    streamed(RunFolder.create(tmp_path / "whole"), [])
    folder, steps = RunFolder.create(tmp_path / "run"), []
    streamed(folder, steps, [[0, 1], [2], [3, 4]])
    shard = folder.path / "twice" / "part-test-00001.parquet"
    data = bytearray(shard.read_bytes())
    if spoil == "flipped":
        data[len(data) // 2] ^= 1
    if spoil != "nothing":
        shard.write_bytes({"truncated": data[: len(data) // 2], "flipped": bytes(data)}.get(spoil, b""))
    if spoil == "missing":
        shard.unlink()
    again = []
    assert streamed(RunFolder(folder.path, Journal.read(folder.path)), again) == 70  # finished shards count as well
    assert again == ([2] if spoil == "nothing" else [2, 2])
    for name in ("numbers", "twice"):
        for file in (tmp_path / "whole" / name).iterdir():
            assert (folder.path / name / file.name).read_bytes() == file.read_bytes()
    assert ("part-test-00001.parquet: not as it was written; it is done again" in caplog.text) == (spoil != "nothing")


@pytest.fixture
def run(tmp_path):
    folder, steps = RunFolder.create(tmp_path / "run"), []
    stream = ShardStream(folder, {"numbers": SCHEMA, "twice": SCHEMA}, "test")
    stream(Square(), step, Numbers(), [[0, 1], [2], [3, 4], [5, 6]], [0, 0, 1, 4], steps.append)
    return folder, steps


def test_every_row_lands_once_in_the_shard_of_its_batch(run):
    folder, steps = run
    found = {path.name: pd.read_parquet(path) for path in sorted((folder.path / "numbers").iterdir())}
    rows = {name: (frame["row_id"] - 2**62).tolist() for name, frame in found.items()}
    assert rows == {
        "part-test-00000.parquet": [0, 1, 2],
        "part-test-00001.parquet": [3, 4],
        "part-test-00004.parquet": [5, 6],
    }
    every = pd.concat(found.values())
    assert every["value"].tolist() == [0, 1, 4, 9, 16, 25, 36]
    assert every["slope"].tolist() == [0, 2, 4, 6, 8, 10, 12]  # gradients reach the input inside predict
    assert steps == [2, 1, 2, 2]


def test_every_table_of_a_step_is_written_and_in_the_ledger(run):
    folder, _ = run
    twice = pd.concat(pd.read_parquet(path) for path in sorted((folder.path / "twice").iterdir()))
    assert twice["value"].tolist() == [0, 2, 8, 18, 32, 50, 72]
    written = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*.parquet")}
    assert set(read_ledger(folder.path)) == written
