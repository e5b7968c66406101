"""Fuzz the pre-flight of checkpoints: torch archives and safetensors, from bytes to finite tensors.

    python benchmarks/fuzz/checkpoint.py -max_total_time=600

The first byte says how the rest is wrapped: a whole file, the pickle inside a valid archive (random bytes would hardly
ever have right checksums), or a header of safetensors of the right length.
"""

from __future__ import annotations

import io
import runpy
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save

from figureground.audit.classify.weights import read_weights

_VALUES = struct.pack("<6f", *range(6))


def target(data: bytes, folder: Path) -> None:
    """Read weights from a file, as ``--weights`` does; nothing in it may be executed."""
    kind, rest = data[:1], data[1:]
    path = folder / ("weights.safetensors" if kind in b"SH" else "weights.pt")
    path.write_bytes(_WRAPPED.get(kind, bytes)(rest))
    read_weights(path)


def _archive(pickled: bytes) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            ("data.pkl", pickled),
            ("byteorder", b"little"),
            ("data/0", _VALUES),
            ("version", b"3\n"),
        ):
            archive.writestr(f"archive/{name}", content)
    return stored.getvalue()


def _headed(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + _VALUES


_WRAPPED: dict[bytes, Callable[[bytes], bytes]] = {b"P": _archive, b"H": _headed}


def seeds() -> dict[str, bytes]:
    """Archives and safetensors of several makers, whole and as their inside."""
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    contents = {
        "plain": weights,
        "lightning": {"state_dict": weights, "hyper_parameters": {"lr": 0.1}, "epoch": 1},
        "instantiator": {"state_dict": weights, "hyper_parameters": {"_instantiator": "os.system"}},
        "module": torch.nn.Linear(3, 2),
        "half": {"b": torch.ones(3, dtype=torch.float16), "c": torch.tensor([True]), "d": torch.tensor([1 + 2j])},
        "sparse": {"s": torch.eye(2).to_sparse()},
    }
    found = {f"file-{name}": b"A" + _saved(content) for name, content in contents.items()}
    for name, content in contents.items():
        with zipfile.ZipFile(io.BytesIO(_saved(content))) as archive:
            found[f"pickle-{name}"] = b"P" + archive.read("archive/data.pkl")
    whole = save({"a.weight": weights["a.weight"]})
    header = whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]]
    return found | {"safetensors": b"S" + whole, "header": b"H" + header, "pointer": b"Aversion https://git-lfs\n"}


def _saved(content: object) -> bytes:
    stored = io.BytesIO()
    torch.save(content, stored)
    return stored.getvalue()


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("running.py")))["run"](target, seeds(), sys.argv)
