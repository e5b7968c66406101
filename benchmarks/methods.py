"""Cost of the attribution methods that take passes of their own, beside Captum's own calls.

Usage::

    python benchmarks/methods.py [--rounds 5] [--batch 8] [--json FILE]

For each method: forward-equivalents for one image as `docs/methods.md` states them, and milliseconds for one image of
ours (logits and saliency come with it), of Captum's call with the same settings and its own defaults for batching, and
of one eager forward pass; medians of interleaved rounds, the ratio of the two with its range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torchvision
from captum.attr import FeatureAblation, GradientShap, IntegratedGradients, NoiseTunnel, Occlusion, Saliency
from torch import Tensor, nn

from figureground.audit.classify.networks import build_network
from figureground.audit.explain.registry import explainer_for
from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import BY_NAME

OPTIONS = MethodOptions()


def captum_calls(model: nn.Module, images: Tensor) -> dict[str, Callable[[], object]]:
    """Each method as Captum's documentation calls it, with our settings."""
    with torch.no_grad():
        target = model(images).argmax(1)
    base, size = images.mean((2, 3), keepdim=True).expand_as(images), images.shape[-1]
    window = (3, OPTIONS.side(size), OPTIONS.side(size))
    cells = torch.arange(size) // window[1]
    grid = cells[:, None] * OPTIONS.cells + cells
    ablate = {"baselines": base, "target": target}
    return {
        "integrated_gradients": partial(
            IntegratedGradients(model).attribute, images, base, target, n_steps=OPTIONS.steps
        ),
        "smoothgrad": partial(
            NoiseTunnel(Saliency(model)).attribute, images, nt_samples=OPTIONS.samples, target=target, abs=False
        ),
        "gradient_shap": partial(
            GradientShap(model).attribute, images, base, n_samples=OPTIONS.samples, stdevs=0.15, target=target
        ),
        "occlusion": partial(
            Occlusion(model).attribute, images, sliding_window_shapes=window, strides=window, **ablate
        ),
        "feature_ablation": partial(FeatureAblation(model).attribute, images, feature_mask=grid[None, None], **ablate),
    }


def seconds_of(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds by name, interleaved; the first round warms up and does not count."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name] += [time.perf_counter() - start] if number else []
    return found


def compare(network: str, model: nn.Module, images: Tensor, rounds: int) -> list[dict[str, object]]:
    """One line for each method."""
    lines = []
    for method, captum in captum_calls(model, images).items():
        ours = partial(explainer_for([method], options=OPTIONS), model, images)
        forward = torch.no_grad()(partial(model, images))
        seconds = seconds_of({"ours": ours, "captum": captum, "forward": forward}, rounds)
        each = {name: 1000 * statistics.median(values) / len(images) for name, values in seconds.items()}
        ratios = [a / b for a, b in zip(seconds["ours"], seconds["captum"], strict=True)]
        size = images.shape[-1]
        cost = BY_NAME[method].cost(OPTIONS, size, size)
        lines.append(
            {"network": network, "size": size, "method": method, "forward_equivalents": cost, "ms": each,
             "of_captum": statistics.median(ratios), "range": [min(ratios), max(ratios)]}
        )  # fmt: skip
    return lines


def told(line: dict[str, object]) -> str:
    """A row of the table."""
    each, low_high = line["ms"], line["range"]
    assert isinstance(each, dict)
    assert isinstance(low_high, list)
    return (
        f"| {line['network']}, {line['size']} px | {line['method']} | {line['forward_equivalents']:g} "
        f"| {each['ours']:.1f} | {each['captum']:.1f} | {each['forward']:.2f} "
        f"| {line['of_captum']:.2f} ({low_high[0]:.2f}-{low_high[1]:.2f}) |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(0)
    networks = {
        "small CNN": build_network("small-cnn", 5),
        "ResNet-18": torchvision.models.resnet18(weights=None, num_classes=5),
    }
    lines = []
    print("| network | method | forward-equivalents | ours, ms | Captum, ms | one forward, ms | ours / Captum |")
    print("|---|---|---|---|---|---|---|")
    for name, model in networks.items():
        images = torch.rand(asked.batch, 3, 64, 64)
        for line in compare(name, model.eval(), images, asked.rounds):
            print(told(line), flush=True)
            lines.append(line)
    if asked.json:
        asked.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
