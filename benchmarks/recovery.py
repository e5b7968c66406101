"""Does the audit name the right cue? Trains models with a planted cue and audits them as anybody's.

    python benchmarks/recovery.py --family corner_tag --association 0.95 --seed 0 --out recovery.jsonl
    python benchmarks/recovery.py --out recovery.jsonl        # 13 families x 3 associations x 3 seeds

One line of JSON per model: the generator's own effect of each planted cue (R*), and the state and effect of every
cue. A line that is already there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path

import torch

import figureground as fg
from figureground.audit.classify.train import TrainConfig
from figureground.audit.selftest.truth import directional_effect
from figureground.datasets.planted_cues import FAMILIES, PlantedCue
from figureground.datasets.transforms import Preprocess

HALF = (0.5, 0.5, 0.5)
#: Test garments are shared by audit and truth; their scenes are not, because the seeds differ.
TRUTH_SEED, AUDIT_SEED = 7_000, 5_000


def one(family: str, association: float, seed: int, per_label: int, epochs: int) -> dict[str, object]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = PlantedCue(family, association, "train", seed).write(folder / "train")
        model = fg.train_classifier(
            train, preprocess=Preprocess(mean=HALF, std=HALF), config=TrainConfig(seed=seed, epochs=epochs)
        )
        fresh = PlantedCue(family, 0.5, "test", TRUTH_SEED + seed, repeats=3)
        truths = [directional_effect(model, model.preprocess, fresh, cue) for cue in range(len(fresh.named))]
        trained = time.perf_counter()
        planted = PlantedCue(family, 0.5, "test", AUDIT_SEED + seed, per_label=per_label)
        run = fg.run_audit(model, planted.write(folder / "audit"), report=False, images=False, seed=seed)
        document = run.document
    return {
        "family": family,
        "association": association,
        "seed": seed,
        "accuracy": document.performance.overall.estimate,
        "truth": {
            cue: [round(t.estimate, 3), round(t.standard_error, 3)] for cue, t in zip(fresh.named, truths, strict=True)
        },
        "cues": {
            cue.cue: [
                cue.status,
                cue.estimate,
                cue.ci_low,
                [reason.key for reason in cue.reasons],
                [[other.by, round(other.share, 2)] for other in cue.explained],
            ]
            for cue in document.verdict.cues
        },
        "cost_per_image": document.audit.cost.per_image if document.audit.cost else None,
        "seconds": [round(trained - start, 1), round(time.perf_counter() - trained, 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="*", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--association", nargs="*", type=float, default=[0.95, 1.0, 0.5])
    parser.add_argument("--seed", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--per-label", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("recovery.jsonl"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["family"], line["association"], line["seed"]) for line in lines}
    for seed, association, family in product(given.seed, given.association, given.family):
        if (family, association, seed) not in done:
            line = one(family, association, seed, given.per_label, given.epochs)
            with given.out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            shown = [cue for cue, found in line["cues"].items() if found[0] == "demonstrated"]
            print(family, association, seed, line["truth"], "demonstrated:", shown, line["seconds"], flush=True)


if __name__ == "__main__":
    main()
