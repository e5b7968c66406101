"""Speed of the single pass, as ratios measured side by side and interleaved in one run.

Usage::

    python benchmarks/explain.py [--rounds 9] [--batch 16] [--json FILE]

For each network: (a) one eager forward and backward, the reference; (b) Captum's Saliency and LayerGradCam and a
prediction pass, one after the other; (d) ours. Times are medians of the rounds; ratios are medians of the ratios within
a round, with their range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from captum.attr import LayerGradCam, Saliency
from torch import Tensor, nn

from figureground.audit.classify.networks import build_network
from figureground.audit.explain.layers import choose_layer
from figureground.audit.explain.single_pass import SinglePass


def forward_backward(model: nn.Module, images: Tensor) -> None:
    """(a) the least that any gradient method costs."""
    pixels = images.clone().requires_grad_()
    logits = model(pixels)
    torch.autograd.grad(logits.amax(1).sum(), pixels)


def captum_chain(model: nn.Module, images: Tensor, layer: nn.Module) -> None:
    """(b) prediction, saliency and Grad-CAM as separate calls."""
    with torch.no_grad():
        target = model(images).argmax(1)
    Saliency(model).attribute(images.clone().requires_grad_(), target=target)
    LayerGradCam(model, layer).attribute(images, target=target)


def contestants(model: nn.Module, images: Tensor) -> dict[str, Callable[[], None]]:
    """The three calls on one network."""
    name = choose_layer(model, images[:1])
    layer, explainer = dict(model.named_modules())[name], SinglePass(name)
    return {
        "forward+backward": lambda: forward_backward(model, images),
        "captum chain": lambda: captum_chain(model, images, layer),
        "single pass": lambda: (explainer(model, images), None)[1],
    }


def measure(calls: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds by contestant, interleaved; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    networks = {
        "small-cnn at 64": (build_network("small-cnn", 2), 64),
        "resnet18 at 64": (torchvision.models.resnet18(weights=None), 64),
        "resnet18 at 224": (torchvision.models.resnet18(weights=None), 224),
    }
    results = []
    for title, (network, size) in networks.items():
        seconds = measure(contestants(network.eval(), torch.rand(options.batch, 3, size, size)), options.rounds)
        for name, times in seconds.items():
            ratios = [own / reference for own, reference in zip(times, seconds["forward+backward"], strict=True)]
            row = {
                "network": title,
                "call": name,
                "median_ms": 1000 * statistics.median(times),
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
            }
            results.append(row)
            print(
                f"{title:18} {name:18} {row['median_ms']:9.1f} ms   {row['ratio']:.2f} x  "
                f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
