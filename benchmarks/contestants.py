"""What is compared in ``explain.py``: the ways to come by maps and their measures, each a call on one batch."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Saliency
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.classify.subject import Subject, as_subject
from figureground.audit.explain.layers import CamLayer, choose_layer
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.keeping.run_folder import RunFolder
from figureground.audit.measure.base import measure_images
from figureground.audit.progress import silent
from figureground.audit.stages.faster import faster
from figureground.datasets.datamodule import ExampleDataset, Row, RowReader
from figureground.datasets.sources import open_source
from figureground.datasets.transforms import Preprocess

REFERENCE = "(a) forward+backward"
CAPTUM = "(b-) Captum + prediction"
QUANTUS = "(b) Captum + Quantus"
GRAD_CAM = "(c) pytorch-grad-cam"
PLAIN = "(d-) ours, not optimised"
OURS = "(d) ours, explanation"
STAGE = "(e) ours, files to Parquet"
METRICS = ("AttributionLocalisation", "RelevanceRankAccuracy", "PointingGame")


@dataclass(frozen=True)
class Timed:
    """A call, and how many images it explains."""

    call: Callable[[], object]
    images: int


@dataclass(frozen=True, eq=False)
class Setting:
    """One network, and images of one size with their masks, in memory and as files."""

    network: nn.Module
    layer: CamLayer
    images: Tensor
    masks: np.ndarray
    folder: Path
    batches: int

    @classmethod
    def of(cls, network: nn.Module, size: int, batch: int, batches: int, folder: Path) -> Setting:
        rng = np.random.default_rng(0)
        masks = np.zeros((batch, size, size), np.uint8)
        for mask in masks:
            top, left = rng.integers(0, size // 2, 2)
            mask[top : top + size // 3, left : left + size // 3] = 1
        images = torch.from_numpy(rng.random((batch, 3, size, size), np.float32))
        return cls(network, choose_layer(network, images[:1]), images, masks, folder, batches)


def contestants(given: Setting) -> Mapping[str, Timed]:
    """All calls by name."""
    subject = as_subject(given.network, classes=_classes(given.network, given.images), transform=Preprocess())
    fast, one = faster(subject, given.layer, given.images[:4], True).subject, len(given.images)
    explain = SinglePass.at(given.layer)
    return {
        REFERENCE: Timed(lambda: _forward_backward(given.network, given.images), one),
        CAPTUM: Timed(lambda: _captum(given), one),
        QUANTUS: Timed(lambda: _quantus(given), one),
        GRAD_CAM: Timed(lambda: _pytorch_grad_cam(given), one),
        PLAIN: Timed(lambda: explain(given.network, given.images), one),
        OURS: Timed(lambda: explain(fast.module, given.images), one),
        STAGE: Timed(_stage(given, fast, explain), one * given.batches),
    }


def _forward_backward(model: nn.Module, images: Tensor) -> None:
    """The least that any gradient method costs."""
    pixels = images.clone().requires_grad_()
    torch.autograd.grad(model(pixels).amax(1).sum(), pixels)


def _captum(given: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, saliency and Grad-CAM as separate calls; target and maps ``[B, H, W]``."""
    with torch.no_grad():
        target = given.network(given.images).argmax(1)
    found = Saliency(given.network).attribute(given.images.clone().requires_grad_(), target=target).amax(1)
    layer = given.network.get_submodule(given.layer.name)
    cam = LayerGradCam(given.network, layer).attribute(given.images, target=target, relu_attributions=True)
    grown = F.interpolate(cam, size=given.images.shape[-2:], mode="bilinear")[:, 0]
    return target, found, grown.detach()


def _quantus(given: Setting) -> None:
    quantus = _needed("quantus")
    target, *maps = _captum(given)
    batch = {"x_batch": given.images.numpy(), "y_batch": target.numpy(), "s_batch": given.masks[:, None]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in maps:
            for name in METRICS:
                metric = getattr(quantus, name)(disable_warnings=True, display_progressbar=False)
                metric(model=given.network, a_batch=found.numpy()[:, None], **batch)


def _pytorch_grad_cam(given: Setting) -> None:
    with _needed("pytorch_grad_cam").GradCAM(given.network, [given.network.get_submodule(given.layer.name)]) as cam:
        cam(given.images.clone(), targets=None)
    _forward_backward(given.network, given.images)


def _needed(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(f'{name} is missing: pip install "figureground[bench]"') from error


def _stage(given: Setting, subject: Subject, explain: SinglePass) -> Callable[[], None]:
    """The stage of an audit that writes predictions and attributions, from files."""
    table = _written(given)
    rows = tuple(Row(number, number, subject.classes[0]) for number in range(len(table)))

    def run() -> None:
        out = given.folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        source = open_source(given.folder / "manifest.csv", classes=subject.classes)
        reader = RowReader(source, subject.preprocess, subject.classes)  # a new one keeps nothing in memory
        dataset = ExampleDataset(rows, reader)
        measure_images(subject, explain, dataset, RunFolder.create(out), len(given.images), silent)

    return run


def _written(given: Setting) -> pd.DataFrame:
    """Photographs as JPEG files, masks as PNG files, and their table."""
    lines: list[dict[str, Any]] = []
    size = given.images.shape[-1]
    rng = np.random.default_rng(1)
    for number in range(len(given.images) * given.batches):
        # Blurred noise: as large as a photograph's file, where noise itself would be several times that.
        coarse = Image.fromarray(rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(given.folder / f"{number}.jpg", quality=90)
        mask = given.masks[number % len(given.masks)] * 255
        Image.fromarray(mask).save(given.folder / f"{number}.png")
        lines.append({"image": f"{number}.jpg", "label": "0", "mask": f"{number}.png", "number": number})
    table = pd.DataFrame(lines)
    table.to_csv(given.folder / "manifest.csv", index=False)
    return table


def _classes(network: nn.Module, images: Tensor) -> list[str]:
    with torch.no_grad():
        return [str(number) for number in range(network(images[:1]).shape[1])]
