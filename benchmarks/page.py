"""How large is the report, and how soon does a browser show it?

    python benchmarks/page.py cases                   # an audit that stores 60 worst and 60 random cases of 224 px
    python benchmarks/page.py rows                    # a run of 1,000,000 rows and 200 subgroups, in Chromium
    python benchmarks/page.py handing                 # the same run handed over: editions, comparison, other formats
    python benchmarks/page.py rows --rows 10000 --keep FOLDER

Each prints what it measured and the goals that it missed; at the full size a missed goal ends it with 1. ``rows`` needs
Playwright and a Chromium that is named in CHROMIUM or found.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import figureground as fg
from figureground.datasets.planted import Planted

SOAK = runpy.run_path(str(Path(__file__).with_name("soak.py")))
FULL, SIZE = 1_000_000, 224
LANGS, ROUNDS = ("en", "fr"), 5
MOST_CASES, MOST_ROWS, PAINT = 3e6, 15e6, 3.0
Found = dict[str, Any]
#: Milliseconds since the navigation began; the last one is taken once style and layout of the whole page are done.
SHOWN = """
async () => {
  const whole = () => new Promise(done => requestAnimationFrame(() => setTimeout(() => {
    const height = document.documentElement.scrollHeight; done([performance.now(), height]) })));
  const painted = new Promise(done => new PerformanceObserver(list => list.getEntries().forEach(one =>
    one.name === 'first-contentful-paint' && done(one.startTime))).observe({type: 'paint', buffered: true}));
  const [laid, height] = await whole(), [load] = performance.getEntriesByType('navigation');
  return {paint: await painted, load: load.loadEventEnd, layout: laid, height}
}
"""


def cases(folder: Path, _rows: int) -> Found:
    """Bytes of the page of an audit with ``--cases 60``, pictures of 224 px, in both languages and layouts."""
    table = _large_pictures(folder)
    run = fg.run_audit(
        SOAK["tiny"](),
        table,
        out=folder / "run",
        cues=["background"],
        cases=60,
        report=False,
        classes=("coat", "pullover"),
        transform=SOAK["SAID"]["transform"],
    )
    sizes = {lang: fg.render_report(run.path, lang=lang).stat().st_size for lang in LANGS}
    stored = run.gallery[run.gallery["rule"].isin(["worst", "random"])]
    spread = fg.render_report(run.path, layout="folder", out=folder / "spread")
    return {
        "cases": len(stored[["rule", "row_id"]].drop_duplicates()),
        "pictures": sorted(set(map(_side, (run.path / "assets").glob("*.webp")))),
        "MB, one file": {lang: round(size / 1e6, 2) for lang, size in sizes.items()},
        "MB, page of the folder": round(spread.stat().st_size / 1e6, 2),
        "MB, the whole folder": round(_bytes(spread.parent) / 1e6, 2),
        "missed": _missed(size=max(sizes.values()) <= MOST_CASES),
    }


def rows(folder: Path, n: int) -> Found:
    """Bytes of the page of a large run, and how soon Chromium shows it from disk."""
    big = _big(folder, n)
    pages = {"single": folder / "report.html", "folder": folder / "spread" / "report.en.html"}
    fg.render_report(big, out=pages["single"])
    fg.render_report(big, layout="folder", out=pages["folder"].parent)
    sizes = {"single": pages["single"].stat().st_size, "folder": _bytes(pages["folder"].parent)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        times = {name: [_opened(browser, page) for _ in range(ROUNDS)] for name, page in pages.items()}
        browser.close()
    slowest = max(one["paint"] for found in times.values() for one in found) / 1000
    return {
        "subgroups": sum(len(group.levels) for group in fg.load_run(big).document.data.groups),
        "MB": {name: round(size / 1e6, 2) for name, size in sizes.items()},
        "pixels high": times["single"][0]["height"],
        **{
            f"{key}, {name}, ms": _spread([one[key] for one in found])
            for name, found in times.items()
            for key in ("paint", "load", "layout")
        },
        "missed": _missed(size=max(sizes.values()) <= MOST_ROWS, paint=slowest <= PAINT),
    }


def handing(folder: Path, n: int) -> Found:
    """Seconds, memory and bytes of everything that is handed over of a large run."""
    big = _big(folder, n)
    commands = {edition: ["bundle", str(big), "--edition", edition] for edition in ("public", "regulator", "internal")}
    commands |= {"compare": ["compare", str(big), str(big)]}
    commands |= {name: ["report", str(big), "--format", name] for name in ("csv", "junit", "card", "docx")}
    return {name: _handed(folder / f"out-{name}", command) for name, command in commands.items()} | {"missed": []}


def _handed(out: Path, command: list[str]) -> Found:
    if command[0] == "compare":
        out = out.with_suffix(".html")
    run = SOAK["WATCHING"]["timed"](["-m", "figureground", *command, "-o", str(out)])
    if run.code not in (0, 1, 3):
        raise SystemExit(run.said)
    return SOAK["_took"](run) | {"MB": round(_bytes(out) / 1e6, 2)}


def _big(folder: Path, n: int) -> Path:
    """A run of so many rows; with ten attributes of twenty levels beside those of the soak test."""
    if (folder / "big").is_dir():
        return folder / "big"
    table = SOAK["_pictures"](480, folder)
    frame = pd.read_csv(table)
    for at in range(10):
        frame[f"reader {at}"] = [f"r{(row * 7 + at * 3) // (at + 1) % 20:02d}" for row in range(len(frame))]
    frame.to_csv(table, index=False)
    small = fg.run_audit(
        SOAK["tiny"](), table, out=folder / "small", cues=["background"], report=False, all=True, **SOAK["SAID"]
    )
    path: Path = SOAK["_multiplied"](small.path, folder / "big", n)
    return path


def _large_pictures(folder: Path) -> Path:
    """The planted data, its pictures with the grain of a photograph at 224 px: noise takes most of a file's bytes."""
    table = Planted(association=0.5, split="test", per_label=80).write(folder / "data")
    frame = pd.read_csv(table)
    rng = np.random.default_rng(0)
    for name in frame["image"]:
        picture = Image.open(table.parent / name).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        grain = rng.normal(0, 6, (SIZE, SIZE, 1))
        Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8)).save(table.parent / name)
    for name in frame["mask"].dropna().unique():
        mask = Image.open(table.parent / name)
        mask.resize((SIZE, SIZE), Image.Resampling.NEAREST).save(table.parent / name)
    return table


def _opened(browser: Browser, page: Path) -> dict[str, float]:
    """One cold opening: a context of its own has no cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri(), wait_until="load")
    found: dict[str, float] = tab.evaluate(SHOWN)
    context.close()
    return found


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def _side(file: Path) -> int:
    with Image.open(file) as image:
        return max(image.size)


def _bytes(path: Path) -> int:
    files: Iterator[Path] = iter([path]) if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _spread(values: list[float]) -> str:
    low, middle, high = (round(float(found)) for found in np.quantile(values, (0, 0.5, 1)))
    return f"{middle} ({low} to {high})"


def _missed(**goals: bool) -> list[str]:
    return [name for name, met in goals.items() if not met]


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cases", "rows", "handing"))
    parser.add_argument("--rows", type=int, default=FULL)
    parser.add_argument("--keep", type=Path, help="folder to work in; the large run in it is used again")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as name:
        folder = given.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        found = {"cases": cases, "rows": rows, "handing": handing}[given.what](folder, given.rows)
    for key, value in found.items():
        print(f"{key}: {value}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"what": given.what, "rows": given.rows, **found}, indent=1))
    return int(bool(found["missed"]) and given.rows >= FULL)


if __name__ == "__main__":
    sys.exit(main())
