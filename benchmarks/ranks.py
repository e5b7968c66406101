"""Do two processes with one thread each keep up with the best that one process can do? Throughput of explaining.

    python benchmarks/ranks.py                        # ResNet-18 at 224, 1,024 pictures, 5 rounds
    python benchmarks/ranks.py --images 256 --size 64 --rounds 1

Every round runs, one after the other: one process with one thread, one process with a thread for each core, and two
ranks with one thread each, over the same files, to Parquet. Reading them at the door, and starting the processes, is
left out; handing the model and the list of rows to the second rank is not. The goal is 0.9 of the best single process.
Run it on an idle machine: two busy threads are what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

STAGE = "Explaining images"
GOAL = 0.9
CLASSES = ("cat", "dog")


class Measured(Exception):
    """The stage is over; nothing of the rest is run."""


class Clock:
    """A progress that keeps how long the stage took, on the first rank, and ends the audit after it."""

    def __init__(self) -> None:
        self.seconds = float("nan")

    @contextmanager
    def __call__(self, description: str, total: int, /) -> Iterator[Callable[[int], None]]:
        start = time.perf_counter()
        yield lambda _: None
        if description == STAGE:
            self.seconds = time.perf_counter() - start
            raise Measured


def child(folder: Path, out: Path, devices: int, asked: argparse.Namespace) -> None:
    """One setting in processes of its own; every rank runs this."""
    from torchvision.models import get_model

    import figureground as fg
    from figureground.datasets.transforms import Preprocess

    torch.manual_seed(0)
    model, clock = get_model(asked.arch, num_classes=len(CLASSES)).eval(), Clock()
    options: dict[str, Any] = {"devices": devices, "accelerator": "cpu"} if devices > 1 else {}
    try:
        fg.run_audit(
            model,
            folder / "manifest.csv",
            classes=CLASSES,
            transform=Preprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
            cues=["corner_top_left"],
            out=out / "run",
            all=True,
            report=False,
            progress=clock,
            **options,
        )
    except Measured:
        (out / "seconds").write_text(str(clock.seconds))


def pictures(folder: Path, n: int, side: int) -> None:
    """Coarse noise, each picture another."""
    rng, lines = np.random.default_rng(0), ["image,label"]
    for at in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BILINEAR).save(folder / f"{at:06d}.jpg", quality=90)
        lines.append(f"{at:06d}.jpg,{CLASSES[at % 2]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def seconds(folder: Path, devices: int, threads: int, given: list[str]) -> float:
    """Of the stage under one setting."""
    with tempfile.TemporaryDirectory(prefix="figureground-ranks-") as out:
        command = [sys.executable, __file__, *given, "--child", str(folder), out, str(devices)]
        subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, check=True, capture_output=True)
        return float((Path(out) / "seconds").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(Path(asked.child[0]), Path(asked.child[1]), int(asked.child[2]), asked)
        return
    cores = len(os.sched_getaffinity(0))
    settings = {"1 x 1": (1, 1), f"1 x {cores}": (1, cores), "2 x 1": (2, 1)}
    took: dict[str, list[float]] = {name: [] for name in settings}
    with tempfile.TemporaryDirectory(prefix="figureground-ranks-") as name:
        pictures(Path(name), asked.images, asked.size)
        for _ in range(asked.rounds):
            for setting, (devices, threads) in settings.items():
                took[setting].append(seconds(Path(name), devices, threads, ["--arch", asked.arch]))
    report(took, asked)


def report(took: dict[str, list[float]], asked: argparse.Namespace) -> None:
    """Images a second by setting (processes x threads), and the ratio, round by round."""
    alone = [name for name in took if name.startswith("1")]
    best = min(alone, key=lambda name: median(took[name]))
    ratios = [one / two for one, two in zip(took[best], took["2 x 1"], strict=True)]
    found = {
        "setting": f"{asked.arch} at {asked.size}, {asked.images} images, {asked.rounds} rounds",
        "images a second": {name: round(asked.images / median(times), 2) for name, times in took.items()},
        "spread": {
            name: [round(asked.images / t, 2) for t in (max(times), min(times))] for name, times in took.items()
        },
        "best alone": best,
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "goal": GOAL,
        "met": median(ratios) >= GOAL,
    }
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
