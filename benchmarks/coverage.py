"""Simulated coverage of every interval that a verdict rests on; writes the tables of ``docs/statistics.md``.

Usage::

    python benchmarks/coverage.py [--quick] [--replications N] [--processes 2] [--print]

Every data set has clusters of images, the real draw of donors, and a known effect. ``--print`` shows the tables and
leaves the document alone; ``--quick`` is the short form that a test holds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parent))  # last, so that this file's name hides no installed package

from simulated import contrasts, implants, singles
from simulated.worlds import DESIGNS

CLUSTERS = (8, 15, 30, 60)
DOCUMENT = Path(__file__).parents[1] / "docs" / "statistics.md"
START, END = "<!-- coverage: start -->", "<!-- coverage: end -->"
#: Nominal level of every interval; of tests, the share that may err.
NOMINAL = {
    "effect": 0.95,
    "specific effect": 0.95,
    "effect, log-odds": 0.95,
    "family, all at once": 0.95,
    "family, the largest": 0.95,
    "halves": 0.90,
    "equivalence, decisions": 0.90,
    "equivalence, probabilities": 0.90,
    "subgroup (a third of the clusters)": 0.95,
    "share, logit-t": 0.95,
    "log density ratio, t": 0.95,
    "proportion, Wilson": 0.95,
    "weighted proportion, Wilson": 0.95,
    "AUROC, t": 0.95,
    "performance gap, t": 0.95,
}
SIZES = {
    "TOST size, decisions": 0.05,
    "TOST size, log-odds": 0.05,
    "false alarm, no effect": 0.05,
    "placebo, p <= 0.05": 0.05,
    "Holm, any false alarm": 0.05,
    "Benjamini-Yekutieli, false discoveries": 0.05,
}
#: Changes this rare leave too few events for any interval: their coverage is shown apart.
RARE = {"0.02 and 0.02", "0.02"}


def jobs(replications: int, quick: bool) -> Iterator[tuple[int, str, Callable[[], list[tuple[str, str, float, int]]]]]:
    """Every cell: clusters, design, and what computes it."""
    plans = 4 if quick else max(5, min(20, replications // 100))
    for groups, design in product((30,) if quick else CLUSTERS, DESIGNS):
        copies = max(replications // plans, 1)
        yield groups, design, partial(collect, contrasts.contrast_cell, groups, design, plans, copies)
        family = max(replications // 4 // plans, 1)
        yield groups, design, partial(collect, contrasts.family_cell, groups, design, plans, family)
        yield groups, design, partial(collect, singles.single_cell, groups, design, max(replications // 2, 1))
        yield groups, design, partial(collect, singles.gap_cell, groups, design, max(replications // 10, 1))
        if groups >= 30:
            chance = max(replications // 4 // plans, 1)
            yield groups, design, partial(collect, singles.placebo_cell, groups, design, plans, chance)
    yield 0, "", partial(collect, singles.families, replications)
    for groups in (30,) if quick else (30, 60, 120):
        yield groups, "", partial(collect, implants.assay_cell, groups, max(replications // 20, 1))


def collect(call: Callable[..., Iterator[tuple[str, str, float, int]]], *values: object) -> list[tuple]:
    """All of a cell's results, as a list that can travel between processes."""
    return list(call(*values))


def run(replications: int, quick: bool = False, processes: int = 1) -> pd.DataFrame:
    """One row per interval, clusters, design and outcome: ``hits`` of ``n`` data sets."""
    cells = list(jobs(replications, quick))
    if processes > 1:
        with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
            found = list(pool.map(_call, [cell[2] for cell in cells]))
    else:
        found = [_call(cell[2]) for cell in cells]
    rows = [
        {"clusters": groups, "design": design, "name": name, "outcome": outcome, "hits": hits, "n": n}
        for (groups, design, _), results in zip(cells, found, strict=True)
        for name, outcome, hits, n in results
    ]
    keys = ["name", "clusters", "design", "outcome"]
    table = pd.DataFrame(rows).groupby(keys, as_index=False)[["hits", "n"]].sum()
    return table.assign(share=table["hits"] / table["n"], rare=table["outcome"].isin(RARE))


def _call(job: Callable[[], list[tuple]]) -> list[tuple]:
    return job()


def lines(table: pd.DataFrame, names: dict[str, float]) -> Iterator[str]:
    """A Markdown table: by interval and clusters, coverage in every design, lowest cell, and rare changes."""
    yield "| | nominal | clusters | " + " | ".join(DESIGNS) + " | lowest to highest | rare changes | error |"
    yield "|---|---|---|" + "---|" * (len(DESIGNS) + 3)
    for name, level in names.items():
        for groups, part in table[table["name"] == name].groupby("clusters"):
            yield f"| {name} | {level:.0%} | {groups or ''} | " + " | ".join(_cells(part, level)) + " |"


def assay_lines(table: pd.DataFrame) -> Iterator[str]:
    """A Markdown table of the assay's claim: predicted power and what fresh data sets show."""
    yield "| assay | independent images | " + " | ".join(f"reliance {size:g}" for size in implants.SIZES) + " | error |"
    yield "|---|---|" + "---|" * (len(implants.SIZES) + 1)
    for (name, groups), part in table[table["name"].str.startswith("assay")].groupby(["name", "clusters"]):
        shares = part.set_index("outcome")["share"]
        shown = " | ".join(f"{100 * shares[f'{size:g}']:.0f}" for size in implants.SIZES)
        yield f"| {name} | {groups} | {shown} | ± {100 / part['n'].min() ** 0.5:.0f} |"


def _cells(part: pd.DataFrame, level: float) -> Iterator[str]:
    usual, rare = part[~part["rare"]], part[part["rare"]]
    for design in DESIGNS:
        yield _pooled(usual[usual["design"].isin([design, ""])])
    yield f"{100 * usual['share'].min():.1f} to {100 * usual['share'].max():.1f}"
    yield _pooled(rare)
    yield f"± {196 * (level * (1 - level) / part['n'].min()) ** 0.5:.1f}"


def _pooled(part: pd.DataFrame) -> str:
    return f"{100 * part['hits'].sum() / part['n'].sum():.1f}" if len(part) else "–"


def report(table: pd.DataFrame, command: str, seconds: float) -> str:
    """What stands between the markers of the document."""
    stamp = f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {seconds:.0f} s; numbers in per cent."
    note = (
        "A design's column pools its outcomes; `lowest to highest` is over single cells (design and outcome), and "
        "`error` two standard errors of one cell at the nominal level. `rare changes`: 2 % of answers under both "
        "arms, or a rate of 2 %. `–`: not simulated, or no donors can be drawn from so few clusters."
    )
    parts = [
        START,
        "",
        stamp,
        note,
        "",
        *lines(table, NOMINAL),
        "",
        *lines(table, SIZES),
        "",
        *assay_lines(table),
        "",
        END,
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--print", action="store_true", dest="only_print")
    given = parser.parse_args()
    started = time.monotonic()
    table = run(given.replications, given.quick, given.processes)
    command = f"python benchmarks/coverage.py{' --quick' * given.quick} --replications {given.replications}"
    text = report(table, command, time.monotonic() - started)
    if given.only_print:
        print(text)
        return
    whole = DOCUMENT.read_text(encoding="utf-8")
    before, after = whole.split(START)[0], whole.split(END)[1]
    DOCUMENT.write_text(before + text + after, encoding="utf-8")


if __name__ == "__main__":
    main()
