"""Write the figures of docs/recovery.md as the pack that reports show: what the tool finds where the answer is known.

    python scripts/recovery_pack.py --made 2026-11-25 --version 0.1.0

``--made`` is the day on which the benchmark was run, ``--version`` the version of the tool that ran it.
"""

from __future__ import annotations

import argparse
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "recovery.md"
PACK = ROOT / "src" / "figureground" / "reports" / "recovery.json"
_RELIANT = re.compile(r"- Cues with R\* of (0\.\d+) or more: (\d+) of (\d+) demonstrated by their name\.")
_WRONG = re.compile(r"- Models in which another cue was demonstrated beside or instead: (\d+) of (\d+)\.")
_CLEAN = re.compile(
    r"- Models with R\* below (0\.\d+) in every planted cue: (\d+) of (\d+) with any cue demonstrated\."
)
_PER_LABEL = re.compile(r"--per-label (\d+)")


def pack(page: str, made: date, version: str) -> dict[str, Any]:
    """The pack of a page; raises where one of its lines is not as the benchmark writes it."""
    reliant, named, asked = _found(_RELIANT, page)
    wrong, models = _found(_WRONG, page)
    clean, alarms, free = _found(_CLEAN, page)
    return {
        "tool_version": version,
        "made": made.isoformat(),
        "per_label": int(_found(_PER_LABEL, page)[0]),
        "reliant": float(reliant),
        "clean": float(clean),
        "named": {"k": int(named), "n": int(asked)},
        "wrong": {"k": int(wrong), "n": int(models)},
        "alarms": {"k": int(alarms), "n": int(free)},
    }


def _found(pattern: re.Pattern[str], page: str) -> tuple[str, ...]:
    match = pattern.search(page)
    if match is None:
        raise SystemExit(f"{PAGE}: no line like {pattern.pattern}")
    return match.groups()


def main() -> None:
    """Read the page, write the pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made", type=date.fromisoformat, required=True)
    parser.add_argument("--version", required=True)
    given = parser.parse_args()
    found = pack(PAGE.read_text(encoding="utf-8"), given.made, given.version)
    PACK.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
