"""Does it hold at size? Time, memory and what is left open, over a million rows and a hundred thousand images.

    python benchmarks/soak.py L1                      # check a manifest of 1,000,000 rows
    python benchmarks/soak.py L2                      # audit 100,000 images of 64x64 with a tiny network; with L7
    python benchmarks/soak.py L5                      # a report from 1,000,000 rows of results
    python benchmarks/soak.py L6                      # one damaged picture in 100,000
    python benchmarks/soak.py L1 --rows 10000         # a smaller size, to try it

Each prints what it measured and the goals that it missed; at the full size a missed goal ends it with 1. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Saliency
from PIL import Image
from torch import nn

import figureground as fg
from figureground import api
from figureground.audit.keeping import tables
from figureground.audit.keeping.run_folder import RunFolder, read_seal, read_table
from figureground.datasets.transforms import Preprocess

WATCHING = runpy.run_path(str(Path(__file__).with_name("watching.py")))
FULL = {"L1": 1_000_000, "L2": 100_000, "L5": 1_000_000, "L6": 100_000}
CLASSES, SIDE = ("cat", "dog"), 64
#: Links to one file that the file system allows, with room to spare.
LINKS = 30_000
Found = dict[str, Any]
#: Stages that every picture passes through.
STREAMS = ("Explaining images", "Swapping backgrounds")


def l1(rows: int, folder: Path) -> Found:
    """The command ``check`` on a table whose files are links to small pictures; one is missing."""
    table = _stubs(rows, folder)
    (folder / "images" / "0000" / "0000007.png").unlink()
    run = WATCHING["timed"](["-m", "figureground", "check", str(table)])
    ledger = next((line for line in run.said.splitlines() if line.startswith("rows:")), run.said[-500:])
    found = {**_took(run), "ledger": ledger}
    closes = ledger == f"rows: {rows} given = {rows - 1} ok + 1 set aside + 0 filtered"
    return found | {"missed": _missed(time=run.seconds <= 90, memory=run.peak <= 1536, ledger=closes and run.code == 3)}


def l2(rows: int, folder: Path) -> Found:
    """Explain and swap all pictures; the first part against a loop of Captum over the same pictures."""
    table, model = _pictures(rows, folder), tiny()
    watch = WATCHING["Watch"](every=max(rows // 100, 64), modules=(model,))
    with watch.sampling():
        stages = _audited(model, table, folder / "run", watch)
    bare = _captum(model, table, min(rows, 4_000))
    ours = stages["Explaining images"] / rows
    # The cache of decoded rows is full after some 9,400 of them.
    after = min(10_000, rows // 2)
    slopes, spread = {name: watch.slope(after, name) for name in STREAMS}, watch.spread(after)
    return {
        "seconds by stage": {name: round(value, 1) for name, value in stages.items()},
        "ms an image, explained": round(1000 * ours, 2),
        "ms an image, Captum loop": round(1000 * bare, 2),
        "throughput against Captum": round(bare / ours, 2),
        "KB an image after the first": {name: round(slope, 3) for name, slope in slopes.items()},
        "peak PSS MB": round(watch.peak),
        "spread": spread,
        "missed": _missed(
            throughput=bare / ours >= 0.8,
            slope=max(slopes.values()) <= 0.5,
            memory=watch.peak <= 4096,
            open=max(spread.values()) <= 2,
        ),
    }


def l5(rows: int, folder: Path) -> Found:
    """Render a run whose tables of images and of results were multiplied to that many rows each."""
    small = fg.run_audit(
        tiny(), _pictures(240, folder), out=folder / "small", cues=["background"], report=False, all=True, **SAID
    )
    big = _multiplied(small.path, folder / "big", rows)
    out = folder / "report.html"
    run = WATCHING["timed"](["-m", "figureground", "report", str(big), "-o", str(out)])
    size = out.stat().st_size / 1e6 if out.is_file() else float("nan")
    counted = {name: len(read_table(big, name)) for name in ("examples", "attributions", "predictions")}
    return {
        "rows": counted,
        **_took(run),
        "HTML MB": round(size, 2),
        "said": run.said[-300:] if run.code else "",
        "missed": _missed(time=run.seconds <= 60, memory=run.peak <= 2048, size=size <= 15, exit=run.code == 0),
    }


def l6(rows: int, folder: Path) -> Found:
    """The same audit with one picture cut short: one row is set aside, and every other row is as it was."""
    table = _pictures(rows, folder)
    runs = {}
    for name in ("whole", "damaged"):
        start = time.perf_counter()
        fg.run_audit(
            tiny(), table, out=folder / name, cues=["corner_top_left"], report=False, all=True, images=False, **SAID
        )
        runs[name] = time.perf_counter() - start
        victim = folder / "images" / f"{rows // 2:07d}.png"
        victim.write_bytes(victim.read_bytes()[:60])
    return _compared(folder, runs, victim.name)


def _compared(folder: Path, runs: dict[str, float], victim: str) -> Found:
    whole, damaged = (read_table(folder / name, "examples").set_index("row_id") for name in runs)
    bad = damaged[damaged["status"] == "quarantined"]
    kept = damaged.index[damaged["status"] == "ok"]
    keys, numbers = ["row_id", "method", "sign", "mask_variant"], ["background_share", "ldr"]
    maps = [read_table(folder / name, "attributions").sort_values(keys, kind="stable") for name in runs]
    same = [table[table["row_id"].isin(kept)][numbers].to_numpy(dtype=float) for table in maps]
    far = float(np.nanmax(np.abs(same[0] - same[1]))) if same[0].shape == same[1].shape else float("nan")
    slower = runs["damaged"] / runs["whole"] - 1
    return {
        "set aside": bad[["path", "reason"]].values.tolist(),
        "largest difference of the others": far,
        "seconds": {name: round(value, 1) for name, value in runs.items()},
        "slower": round(slower, 3),
        "missed": _missed(
            one=bad["path"].tolist() == [f"images/{victim}"], others=far <= 1e-5, rows=len(whole) == len(damaged)
        ),
    }


class Ticks:
    """Seconds of each stage, and every image of the streaming stages told to a watch."""

    def __init__(self, watch: Any) -> None:
        self.watch, self.seconds = watch, {}

    @contextmanager
    def __call__(self, description: str, total: int, /) -> Iterator[Callable[[int], None]]:
        start = time.perf_counter()
        self.watch.stage = description
        yield self.watch.step if description in STREAMS else (lambda _: None)
        self.seconds[description.split(":")[0]] = time.perf_counter() - start


def _audited(model: nn.Module, table: Path, out: Path, watch: Any) -> dict[str, float]:
    ticks = Ticks(watch)
    policy = {"passes": 1, "assay_redraws": 20, "placebo_draws": 50}
    api.run_audit(
        model,
        table,
        out=out,
        cues=["background"],
        policy=policy,
        report=False,
        all=True,
        images=False,
        progress=ticks,
        **SAID,
    )
    return ticks.seconds


SAID = {"classes": CLASSES, "transform": Preprocess(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))}


def tiny() -> nn.Module:
    """Some 1,300 parameters."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 2)).eval()


def _captum(model: nn.Module, table: Path, rows: int) -> float:
    """Seconds an image of the loop that people write: read, predict, Saliency, LayerGradCam, background share."""
    frame = pd.read_csv(table, nrows=rows)
    saliency, cam = Saliency(model), LayerGradCam(model, model[2])
    start = time.perf_counter()
    for at in range(0, rows, 64):
        part = frame.iloc[at : at + 64]
        images = torch.stack([_tensor(table.parent / name) for name in part["image"]])
        masks = torch.stack([_tensor(table.parent / name)[0] > 0 for name in part["mask"]])
        target = model(images).argmax(dim=1)
        maps = saliency.attribute(images, target=target).abs().amax(dim=1), cam.attribute(images, target=target)
        large = nn.functional.interpolate(maps[1].relu(), size=images.shape[-2:], mode="bilinear")[:, 0]
        for found in (maps[0], large.detach()):
            ((found * ~masks).sum(dim=(1, 2)) / found.sum(dim=(1, 2)).clamp_min(1e-12)).tolist()
    return (time.perf_counter() - start) / rows


def _tensor(path: Path) -> torch.Tensor:
    picture = Image.open(path).convert("RGB")
    return (torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255 - 0.5) / 0.25


def _stubs(rows: int, folder: Path) -> Path:
    """A manifest, and its files as links to small pictures: a thousand a folder."""
    small = folder / "small.png"
    for at in range(rows):
        if at % LINKS == 0:
            small = folder / f"small-{at}.png"
            Image.new("L", (8, 8), at % 256).save(small)
        if at % 1000 == 0:
            (folder / "images" / f"{at // 1000:04d}").mkdir(parents=True)
        os.link(small, folder / "images" / f"{at // 1000:04d}" / f"{at:07d}.png")
    _masks(folder, 8)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "mask", "environment", "site", "sex", "age", "cluster"])
        for at in range(rows):
            writer.writerow(
                [f"images/{at // 1000:04d}/{at:07d}.png", CLASSES[at % 2], f"masks/{at % 100}.png", *_attributes(at)]
            )
    return folder / "manifest.csv"


def _attributes(at: int) -> Sequence[object]:
    return (("snow", "sand")[(at // 2) % 2], f"s{at % 7}", "MF"[at // 3 % 2], 20 + at % 60, f"p{at // 4}")


def _pictures(rows: int, folder: Path) -> Path:
    """Pictures of a bright square on one of two grounds, all different; a hundred masks for all of them."""
    shutil.rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    _masks(folder, SIDE)
    rng = np.random.default_rng(0)
    lines = []
    for at in range(rows):
        label, (ground, *others) = CLASSES[at % 2], _attributes(at)
        values = np.full((SIDE, SIDE, 3), (90, 110, 130) if ground == "snow" else (130, 110, 90), np.uint8)
        values[::8, ::8] = rng.integers(0, 256, (8, 8, 3))
        top, left = divmod(at % 100, 10)
        values[3 * top + 8 : 3 * top + 28, 3 * left + 8 : 3 * left + 28] = 230 if label == "cat" else 30
        Image.fromarray(values).save(folder / "images" / f"{at:07d}.png", compress_level=1)
        lines.append([f"images/{at:07d}.png", label, f"masks/{at % 100}.png", ground, *others])
    names = ["image", "label", "mask", "environment", "site", "sex", "age", "cluster"]
    pd.DataFrame(lines, columns=names).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def _masks(folder: Path, side: int) -> None:
    (folder / "masks").mkdir(exist_ok=True)
    for number in range(100):
        top, left = divmod(number, 10)
        values = np.zeros((side, side), np.uint8)
        if side == SIDE:
            values[3 * top + 8 : 3 * top + 28, 3 * left + 8 : 3 * left + 28] = 255
        else:
            values[2:6, 2:6] = 255
        Image.fromarray(values).save(folder / "masks" / f"{number}.png")


def _multiplied(small: Path, big: Path, rows: int) -> Path:
    """A sealed run whose tables of rows have so many each, repeated under new ids; all other files as they were."""
    folder = RunFolder.create(big)
    several = ("examples", "attributions", "predictions", "strata", "scores")
    for name in several:
        part = read_table(small, name)
        parts = [_again(name, part, turn) for turn in range(-(-rows // max(len(part), 1)))]
        written = f"{name}.parquet" if (small / f"{name}.parquet").is_file() else f"{name}/part-all-00000.parquet"
        folder.write_table(written, pd.concat(parts or [part], ignore_index=True).head(rows), tables.SCHEMAS[name])
    for name in read_seal(small):
        if name.split("/")[0].removesuffix(".parquet") not in several:
            shutil.copyfile(small / name, folder.new_file(name))
    folder.seal()
    return big


def _again(name: str, part: pd.DataFrame, turn: int) -> pd.DataFrame:
    """The rows once more, under other ids; of the examples also as other files of other people."""
    part = part.assign(row_id=part["row_id"] ^ (turn << 20))
    if name != "examples":
        return part
    paths = f"{turn:05d}/" + part["path"].astype(str)
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    return part.assign(path=paths, sha256=hashes, cluster=f"{turn:05d}-" + part["cluster"].astype(str))


def _took(run: Any) -> Found:
    return {
        "seconds": round(run.seconds, 1),
        "of the processor": round(run.busy, 1),
        "peak MB": round(run.peak),
        "exit": run.code,
    }


def _missed(**goals: bool) -> list[str]:
    return [name for name, met in goals.items() if not met]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", choices=sorted(FULL))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = given.rows or FULL[given.test]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        found = {"L1": l1, "L2": l2, "L5": l5, "L6": l6}[given.test](rows, Path(name))
    for key, value in found.items():
        print(f"{key}: {value}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"test": given.test, "rows": rows, **found}, indent=1))
    return int(bool(found["missed"]) and rows >= FULL[given.test])


if __name__ == "__main__":
    sys.exit(main())
