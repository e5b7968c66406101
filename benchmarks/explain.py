"""Speed of the explanations, side by side and interleaved in one run.

    python benchmarks/explain.py [--rounds 7] [--batch 16] [--network NAME]... [--json FILE]     # or make bench

(a)  the eager forward and backward alone, the reference
(b-) Captum's Saliency and LayerGradCam and a prediction pass
(b)  the same, and Quantus' AttributionLocalisation, RelevanceRankAccuracy and PointingGame on both maps
(c)  pytorch-grad-cam's GradCAM and a saliency pass
(d-) ours on the model as it is; (d) ours on its faster copy: prediction, saliency and Grad-CAM
(e)  ours, the whole measuring stage: from files on disk to Parquet

Times are medians over the rounds of milliseconds an image, with their range; ratios are medians of the ratios within a
round. Two torch threads for everybody. (b) and (c) need `pip install "figureground[bench]"`.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision

from figureground.audit.classify.networks import build_network

C: Any = runpy.run_path(str(Path(__file__).with_name("contestants.py")))
#: By name: how it is built, size of the images, times the batch, batches of the whole stage.
NETWORKS: Mapping[str, tuple[Any, int, int, int]] = {
    "resnet18 at 224": (lambda: torchvision.models.resnet18(weights=None), 224, 1, 3),
    "resnet50 at 224": (lambda: torchvision.models.resnet50(weights=None), 224, 1, 3),
    "resnet18 at 64": (lambda: torchvision.models.resnet18(weights=None), 64, 4, 8),
    "small-cnn at 64": (lambda: build_network("small-cnn", 2), 64, 4, 8),
}
Seconds = dict[str, list[float]]


def measured(calls: Mapping[str, Any], rounds: int) -> Seconds:
    """Seconds an image by contestant, interleaved; a first round warms up and does not count."""
    found: Seconds = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, timed in calls.items():
            start = time.perf_counter()
            timed.call()
            if number:
                found[name].append((time.perf_counter() - start) / timed.images)
    return found


def ratio(seconds: Seconds, over: str, under: str) -> float:
    """Median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(seconds[C[over]], seconds[C[under]], strict=True))


def goals(network: str, seconds: Seconds) -> list[dict[str, Any]]:
    """The goals of this network and whether they are met; there are none for small images."""
    if not network.endswith("224"):
        return []
    found = [
        ("(d) of (a)'s time, at most", ratio(seconds, "OURS", "REFERENCE"), 0.65, -1),
        ("(d) times as fast as Captum, at least", ratio(seconds, "CAPTUM", "OURS"), 2.7, 1),
        ("(d) times as fast as (b), at least", ratio(seconds, "QUANTUS", "OURS"), 4.5, 1),
        ("(d) times as fast as (c), at least", ratio(seconds, "GRAD_CAM", "OURS"), 4.0, 1),
        ("(e) of (d)'s throughput, at least", ratio(seconds, "OURS", "STAGE"), 0.85, 1),
    ]
    return [
        {"network": network, "goal": name, "wanted": wanted, "found": value, "met": sign * (value - wanted) >= 0}
        for name, value, wanted, sign in found
    ]


def lines(network: str, seconds: Seconds) -> list[dict[str, Any]]:
    """One line a contestant."""
    return [
        {
            "network": network,
            "call": name,
            "median_ms": 1000 * statistics.median(times),
            "low_ms": 1000 * min(times),
            "high_ms": 1000 * max(times),
            "ratio": statistics.median(a / b for a, b in zip(times, seconds[C["REFERENCE"]], strict=True)),
        }
        for name, times in seconds.items()
    ]


def compared(network: str, rounds: int, batch: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines and goals of one network, printed as they come."""
    build, size, times, batches = NETWORKS[network]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        given = C["Setting"].of(build().eval(), size, batch * times, batches, Path(folder))
        seconds = measured(C["contestants"](given), rounds)
    found, wanted = lines(network, seconds), goals(network, seconds)
    for line in found:
        spread = f"{line['low_ms']:.2f} to {line['high_ms']:.2f}"
        print(f"{network:16} {line['call']:27} {line['median_ms']:8.2f} ms ({spread:>17})  {line['ratio']:.2f} x (a)")
    for one in wanted:
        print(
            f"{network:16} {one['goal']:38} {one['wanted']:.2f}: {one['found']:.2f} {'met' if one['met'] else 'MISSED'}"
        )
    sys.stdout.flush()
    return found, wanted


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16, help="images at once at 224; four times as many at 64")
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    both = [compared(name, options.rounds, options.batch) for name in options.network or NETWORKS]
    load = {"before": round(before, 1), "after": round(os.getloadavg()[0], 1)}
    print(f"load {load['before']} before, {load['after']} after; torch {torch.__version__}, {options.threads} threads")
    if options.json:
        results = [line for found, _ in both for line in found]
        told = {"load": load, "rounds": options.rounds, "results": results, "goals": [g for _, w in both for g in w]}
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
