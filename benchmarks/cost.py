"""What does the default suite cost? Forward-equivalents per image, by stage, and seconds.

    python benchmarks/cost.py                    # 800 and 5,000 images, as a table
    python benchmarks/cost.py --images 800 --json cost.json

A forward and backward pass counts as three forward passes. The audited model relies on its planted cue, so that the
stages that run only where something is found run as well.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

import figureground as fg
from figureground.audit.classify.train import TrainConfig
from figureground.datasets.planted_cues import PlantedCue
from figureground.datasets.transforms import Preprocess

HALF = (0.5, 0.5, 0.5)
#: Test garments of each label; more pictures are further scenes of the same garments, which then are clusters.
GARMENTS = 400


def measured(model: Path, family: str, images: int, folder: Path) -> dict[str, object]:
    repeats = -(-images // (2 * GARMENTS))
    per_label = images // (2 * repeats)
    data = PlantedCue(family, 0.5, "test", 5_000, per_label=per_label, repeats=repeats).write(folder / f"data-{images}")
    start = time.perf_counter()
    run = fg.run_audit(model, data, out=folder / f"run-{images}", report=False, images=False, all=True)
    cost = run.document.audit.cost
    assert cost is not None
    return {
        "family": family,
        "images": cost.images,
        "per_image": round(cost.per_image, 1),
        "stages": {stage.stage: round(stage.forward_equivalents / cost.images, 1) for stage in cost.stages},
        "seconds": round(time.perf_counter() - start),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="*", type=int, default=[800, 5000])
    parser.add_argument("--family", default="background_texture")
    parser.add_argument("--model", type=Path, help="A checkpoint of that family; default: trained now.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model or trained(given.family, folder)
        lines = [measured(model, given.family, images, folder) for images in given.images]
    for line in lines:
        print(f"{line['images']} images: {line['per_image']} a picture, {line['seconds']} s; {line['stages']}")
    if given.json:
        given.json.write_text(json.dumps(lines, indent=1))


def trained(family: str, folder: Path) -> Path:
    out = folder / "model.ckpt"
    train = PlantedCue(family, 0.95, "train", 0).write(folder / "train")
    fg.train_classifier(train, out=out, preprocess=Preprocess(mean=HALF, std=HALF), config=TrainConfig(epochs=8))
    return out


if __name__ == "__main__":
    main()
