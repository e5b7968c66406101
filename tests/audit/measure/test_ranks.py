"""What is told of ranks by the environment, and who samples, changes no row: an audit takes its rows itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.stream import ShardStream

SCHEMA = pa.schema([("row_id", pa.int64())])
LAUNCHERS = {
    "torchrun": {
        "WORLD_SIZE": "4",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29511",
        "TORCHELASTIC_RUN_ID": "x",
    },
    "slurm": {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_NAME": "audit",
        "SLURM_JOB_ID": "7",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS_PER_NODE": "4",
        "SLURM_NNODES": "1",
    },
}


class Rows(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"row_id": torch.tensor(100 + index)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.fault(
    "B20", better="an audit is one process and takes its rows itself: no rank and no sampler can drop one"
)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_of_four_ranks_takes_no_row_away(launcher, tmp_path, monkeypatch):
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    folder = RunFolder.create(tmp_path / "run")
    stream = ShardStream(folder, {"numbers": SCHEMA}, "all")
    stream(
        nn.Identity(),
        lambda _, items: {"numbers": pd.DataFrame({"row_id": items["row_id"].numpy()})},
        Rows(),
        [[0, 1], [2]],
        [0, 0],
        lambda _: None,
    )
    assert pd.read_parquet(folder.path / "numbers")["row_id"].tolist() == [100, 101, 102]
    assert not torch.distributed.is_initialized()


@pytest.mark.fault("B20")
def test_a_sampler_that_pads_is_not_asked():
    """Of a data module the dataset is taken and not its loader, whose sampler shows an index twice."""
    import pytorch_lightning as pl

    from figureground.datasets.lightning_data import dataset_of

    class Padded(pl.LightningDataModule):
        def test_dataloader(self):
            sampler = DistributedSampler(Rows(), num_replicas=2, rank=1)
            assert len(list(sampler)) * 2 > len(Rows())
            return DataLoader(Rows(), sampler=sampler)

    assert len(dataset_of(Padded())) == 3


def explained(rank, port, out):
    """Maps of a caller inside either mode, alone (port 0) or as one of two ranks."""
    torch.set_num_threads(1)
    if port:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    net = Net().eval()
    images, found = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(1)), {}
    for name, context in (("inference", torch.inference_mode), ("no_grad", torch.no_grad)):
        with context():
            maps = SinglePass("conv")(net, images).maps
        found |= {f"{name}-{method}-{sign}": heat.numpy() for (method, sign), heat in maps.items()}
    np.savez(out, **found)


@pytest.mark.slow
@pytest.mark.fault("B19")
def test_gradients_are_the_same_alone_and_beside_another_rank(tmp_path):
    places = [(0, 0), (0, 29512), (1, 29512)]
    files = [tmp_path / f"{at}.npz" for at in range(3)]
    processes = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(port), str(file)])
        for (rank, port), file in zip(places, files, strict=True)
    ]
    assert [process.wait(timeout=200) for process in processes] == [0, 0, 0]
    alone, *ranks = (dict(np.load(file)) for file in files)
    for name, heat in alone.items():
        assert heat.any(), name
        np.testing.assert_allclose(heat, alone[name.replace("no_grad", "inference")], rtol=1e-6, atol=1e-8)
        for rank in ranks:
            np.testing.assert_allclose(rank[name], heat, rtol=1e-6, atol=1e-8)


if __name__ == "__main__":
    explained(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
