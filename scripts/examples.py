"""Rebuild ``docs/examples``: the demo's reports in every language, and what changed between its two models.

python scripts/examples.py [--runs FOLDER]      # or make examples; runs the demo where no finished one is named
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import figureground as fg
from figureground.reports.catalogue import languages

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
MODELS = ("shortcut", "balanced")


def rendered(runs: Path) -> list[Path]:
    """Every page of two finished runs, written anew."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    pages = [
        fg.render_report(runs / model, out=EXAMPLES / f"{model}.{lang}.html", lang=lang)
        for model in MODELS
        for lang in languages()
    ]
    compared = [EXAMPLES / f"comparison.{lang}.html" for lang in languages()]
    for lang, page in zip(languages(), compared, strict=True):
        fg.compare_runs(runs / MODELS[0], runs / MODELS[1], out=page, lang=lang)
    return [*pages, *compared]


def main() -> None:
    """Print what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="folder with the finished runs shortcut and balanced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        runs = options.runs
        if runs is None:
            runs = Path(made) / "demo"
            fg.run_demo(runs)
        for page in rendered(runs):
            print(f"{page}: {page.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
