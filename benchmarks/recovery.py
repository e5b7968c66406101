"""Does the audit name the right cue? Trains models with a planted cue and audits them as anybody's.

    python benchmarks/recovery.py --family corner_tag --association 0.95 --seed 0 --out recovery.jsonl
    python benchmarks/recovery.py --out recovery.jsonl        # 13 families x 3 associations x 3 seeds
    python benchmarks/recovery.py --keep models --train-only  # train and measure the truth, audit later
    python benchmarks/recovery.py --out recovery.jsonl --table docs/recovery.md     # write the table, run nothing

One line of JSON per model: the generator's own effect of each planted cue (R*), and the state and effect of every
cue. A line that is already there is not computed again. ``--keep`` stores models with their truth, so that a changed
audit can be measured again on the same models.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

import figureground as fg
from figureground.audit.classify.train import TrainConfig
from figureground.audit.selftest.truth import directional_effect
from figureground.datasets.planted_cues import FAMILIES, PlantedCue
from figureground.datasets.transforms import Preprocess

HALF = (0.5, 0.5, 0.5)
#: Test garments are shared by audit and truth; their scenes are not, because the seeds differ.
TRUTH_SEED, AUDIT_SEED = 7_000, 5_000

#: The grid and the plain interventions on fewer images; neither names a planted cue.
LIGHT = {"grid_rows": 40, "plain_rows": 20}


@dataclass(frozen=True)
class Case:
    """One model with a planted cue."""

    family: str
    association: float
    seed: int
    epochs: int

    @property
    def name(self) -> str:
        return f"{self.family}-{self.association:g}-{self.seed}"

    def truth_data(self) -> PlantedCue:
        return PlantedCue(self.family, 0.5, "test", TRUTH_SEED + self.seed, repeats=3)


def prepared(case: Case, keep: Path) -> tuple[Path, dict[str, list[float]]]:
    """The case's checkpoint and its R* by cue, from ``keep`` or made now."""
    model, known = keep / f"{case.name}.ckpt", keep / f"{case.name}.json"
    if not known.exists():
        with tempfile.TemporaryDirectory() as folder:
            train = PlantedCue(case.family, case.association, "train", case.seed).write(Path(folder) / "train")
            config = TrainConfig(seed=case.seed, epochs=case.epochs)
            trained = fg.train_classifier(train, out=model, preprocess=Preprocess(mean=HALF, std=HALF), config=config)
        fresh = case.truth_data()
        truths = [directional_effect(trained, trained.preprocess, fresh, cue) for cue in range(len(fresh.named))]
        found = {
            cue: [round(t.estimate, 3), round(t.standard_error, 3)] for cue, t in zip(fresh.named, truths, strict=True)
        }
        known.write_text(json.dumps(found))
    return model, json.loads(known.read_text())


def one(case: Case, per_label: int, keep: Path, policy: dict[str, int]) -> dict[str, object]:
    start = time.perf_counter()
    model, truth = prepared(case, keep)
    trained = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        planted = PlantedCue(case.family, 0.5, "test", AUDIT_SEED + case.seed, per_label=per_label)
        data = planted.write(Path(name) / "audit")
        run = fg.run_audit(
            model, data, out=Path(name) / "run", report=False, images=False, seed=case.seed, policy=policy
        )
        document = run.document
    return {
        "family": case.family,
        "association": case.association,
        "seed": case.seed,
        "accuracy": document.performance.overall.estimate,
        "truth": truth,
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
    parser.add_argument(
        "--keep", type=Path, help="Folder of trained models with their truth; default: a temporary one."
    )
    parser.add_argument("--light", action="store_true", help=f"Policy {LIGHT}: a third less to compute.")
    parser.add_argument("--table", type=Path, help="Write the lines of --out between the markers of this file.")
    parser.add_argument("--train-only", action="store_true", help="Fill --keep and audit nothing.")
    given = parser.parse_args()
    if given.table:
        return write_table(given.out, given.table)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        keep = given.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        run(given, keep)
    return None


#: The generator's own effect from which a cue must be named, and below which naming it is a false alarm.
RELIANT, CLEAN = 0.30, 0.03


def write_table(lines: Path, page: Path) -> None:
    """Put the tables between ``<!-- table -->`` and ``<!-- end of table -->``."""
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    found.sort(key=lambda line: (list(FAMILIES).index(line["family"]), -line["association"], line["seed"]))
    head, _, rest = page.read_text().partition("<!-- table -->")
    _, _, tail = rest.partition("<!-- end of table -->")
    page.write_text(f"{head}<!-- table -->\n{table(found)}\n<!-- end of table -->{tail}")


def table(lines: list[dict[str, Any]]) -> str:
    rows = ["| planted | association | seed | R* | demonstrated | wrong or missed |", "|---|---|---|---|---|---|"]
    rows += [_row(line) for line in lines]
    return "\n".join([*_totals(lines), "", *rows])


def _totals(lines: list[dict[str, Any]]) -> list[str]:
    asked = [(line, cue) for line in lines for cue, truth in line["truth"].items() if truth[0] >= RELIANT]
    named = sum(_state(line, cue) == "demonstrated" for line, cue in asked)
    wrong = sum(bool(_wrong(line)) for line in lines)
    clean = [line for line in lines if all(truth[0] < CLEAN for truth in line["truth"].values())]
    alarms = sum(bool(_shown(line)) for line in clean)
    return [
        f"- Cues with R* of {RELIANT:.2f} or more: {named} of {len(asked)} demonstrated by their name.",
        f"- Models in which another cue was demonstrated beside or instead: {wrong} of {len(lines)}.",
        f"- Models with R* below {CLEAN:.2f} in every planted cue: {alarms} of {len(clean)} with any cue demonstrated.",
    ]


def _row(line: dict[str, Any]) -> str:
    missed = [
        f"missed {cue}: {_state(line, cue)} ({', '.join(line['cues'][cue][3])})"
        for cue, truth in line["truth"].items()
        if truth[0] >= RELIANT and _state(line, cue) != "demonstrated"
    ]
    faults = [f"wrong: {', '.join(_wrong(line))}"] if _wrong(line) else []
    truths = ", ".join(f"{truth[0]:.2f}" for truth in line["truth"].values())
    cells = (line["family"], line["association"], line["seed"], truths, ", ".join(_shown(line)) or "none")
    return f"| {' | '.join(map(str, cells))} | {'; '.join([*missed, *faults]) or '-'} |"


def _state(line: dict[str, Any], cue: str) -> str:
    return str(line["cues"][cue][0])


def _shown(line: dict[str, Any]) -> list[str]:
    return [cue for cue in line["cues"] if _state(line, cue) == "demonstrated"]


def _wrong(line: dict[str, Any]) -> list[str]:
    """Demonstrated cues that were not planted, or were planted and are not used."""
    return [cue for cue in _shown(line) if line["truth"].get(cue, [0.0])[0] < CLEAN]


def run(given: argparse.Namespace, keep: Path) -> None:
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["family"], line["association"], line["seed"]) for line in lines}
    for seed, association, family in product(given.seed, given.association, given.family):
        case = Case(family, association, seed, given.epochs)
        if given.train_only:
            print(case.name, prepared(case, keep)[1], flush=True)
        elif (family, association, seed) not in done:
            line = one(case, given.per_label, keep, LIGHT if given.light else {})
            with given.out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            shown = [cue for cue, found in line["cues"].items() if found[0] == "demonstrated"]
            print(case.name, line["truth"], "demonstrated:", shown, line["seconds"], flush=True)


if __name__ == "__main__":
    main()
