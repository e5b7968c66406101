"""Draw the README's first picture from a run: one row of the gallery, unchanged, on its own level, on the other.

Usage::

    python scripts/readme_pair.py runs/demo/shortcut docs/pair.png

The row is the first of rule ``swap_changed``, so the picture is chosen by the same rule as in the report.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from figureground.audit.keeping.result import AuditResult

SIDE, GAP, FOOT, EDGE = 320, 24, 64, 6
INK, CALM, ALARM = "#1b2733", "#5a6672", "#b04a00"
PANELS = ("original", "own_level", "other_level")


def draw(result: AuditResult, rank: int = 1) -> Image.Image:
    """The three panels side by side, with level and answer under each."""
    rows = result.gallery[(result.gallery["rule"] == "swap_changed") & (result.gallery["rank"] == rank)].set_index(
        "panel"
    )
    canvas = Image.new("RGB", (3 * SIDE + 4 * GAP, SIDE + 2 * GAP + FOOT), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(20)
    first = rows.loc["original", "predicted"]
    for place, panel in enumerate(PANELS):
        row, left = rows.loc[panel], GAP + place * (SIDE + GAP)
        changed = row["predicted"] != first
        if changed:
            pen.rectangle((left - EDGE, GAP - EDGE, left + SIDE + EDGE - 1, GAP + SIDE + EDGE - 1), fill=ALARM)
        picture = Image.open(io.BytesIO(result.asset(row["asset"])))
        canvas.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, GAP))
        what = {"original": "as it was", "own_level": "other"}.get(panel, "on")
        title = f"{row['caption_level']}, {what}" if panel == "original" else f"{what} {row['caption_level']}"
        pen.text((left, GAP + SIDE + 12), title, CALM, font)
        pen.text(
            (left, GAP + SIDE + 38), f"“{row['predicted']}” {row['probability']:.0%}", ALARM if changed else INK, font
        )
    return canvas


if __name__ == "__main__":
    run, target = map(Path, sys.argv[1:3])
    target.parent.mkdir(exist_ok=True)
    draw(AuditResult(run), int(sys.argv[3]) if len(sys.argv) > 3 else 1).save(target, optimize=True)
