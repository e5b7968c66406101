"""Make the pictures of the README and of docs/ again, from two finished runs of the demo.

python scripts/pictures.py [--runs FOLDER]      # or make pictures; runs the demo where no finished one is named

Needs Playwright (pip install 'figureground[test]') and Chromium, on the path or named in FIGUREGROUND_CHROMIUM.
Every picture is a screenshot of a page as it is written, cut at an element of the page and brought to a palette.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

import figureground as fg
from figureground.reports.twins.print import browser

DOCS = Path(__file__).resolve().parents[1] / "docs"
#: No picture may weigh more.
MOST_BYTES = 200_000
_COLOURS = (192, 128, 96, 64, 48, 32, 16)


@dataclass(frozen=True)
class Shot:
    """A picture of a part of a page: from the top of one element to the foot of another."""

    name: str
    page: str
    first: str
    last: str
    width: int = 1280


SHOTS = (
    Shot("report", "report.en.html", ".cover", ".cover", 1100),
    Shot("report.fr", "report.fr.html", ".cover", ".cover", 1100),
    Shot("gallery", "report.en.html", "#cases", "#cases .case >> nth=3", 1100),
    Shot("gallery.fr", "report.fr.html", "#cases", "#cases .case >> nth=3", 1100),
    Shot("comparison", "comparison.en.html", ".cover", ".cover", 1100),
    Shot("sheet", "sheet.en.html", ".cover", ".tiles", 1100),
)


def written(runs: Path, folder: Path) -> None:
    """The pages that are shown, under the names that :data:`SHOTS` knows."""
    for lang in ("en", "fr"):
        fg.render_report(runs / "shortcut", out=folder / f"report.{lang}.html", lang=lang)
    fg.compare_runs(runs / "shortcut", runs / "balanced", out=folder / "comparison.en.html")
    picture, model = _first_picture(runs)
    sheets = folder / "sheets"
    fg.explain(model, [picture], masks=[picture.parents[1] / "masks" / picture.name], out=sheets)
    (sheets / "sheet-1.en.html").rename(folder / "sheet.en.html")


def _first_picture(runs: Path) -> tuple[Path, Path]:
    """A picture of the demo's audited data, the first by name, and the model that was trained on the shortcut."""
    pictures = sorted(runs.glob("data/*/audit/images/*.png"))
    model = runs / "shortcut.ckpt"
    if not pictures or not model.is_file():
        raise SystemExit(f"{runs}: no data and checkpoint of the demo are beside its runs; leave --runs out")
    return pictures[0], model


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        yield opened
        opened.close()


def taken(shot: Shot, folder: Path, opened: Any) -> bytes:
    """The picture as a PNG with as many colours as its weight allows."""
    page = opened.new_page(viewport={"width": shot.width, "height": 1000})
    page.goto((folder / shot.page).as_uri())
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    top, last = page.locator(shot.first).first.bounding_box(), page.locator(shot.last).first.bounding_box()
    height = last["y"] + last["height"] - top["y"]
    clip = {"x": 0, "y": top["y"], "width": shot.width, "height": height}
    content = page.screenshot(clip=clip, full_page=True)
    page.close()
    return small(content)


def small(content: bytes) -> bytes:
    """The same picture with the most colours at which it is not too heavy."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    for colours in _COLOURS:
        buffer = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise SystemExit(f"a picture of {image.size} weighs more than {MOST_BYTES} bytes at {_COLOURS[-1]} colours")


def main() -> None:
    """Print what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="folder of figureground demo, with its data and checkpoints")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, _chromium() as opened:
        folder, runs = Path(made), options.runs
        if runs is None:
            runs = folder / "demo"
            fg.run_demo(runs)
        written(runs, folder)
        for shot in SHOTS:
            target = DOCS / f"{shot.name}.png"
            target.write_bytes(taken(shot, folder, opened))
            print(f"{target}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
