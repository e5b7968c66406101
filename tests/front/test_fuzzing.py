"""The fuzzing harnesses: each takes its own seeds, and a few changes to them, without a stranger's exception."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz"
RUNNING = runpy.run_path(str(FUZZ / "running.py"))


def changed(seeds: dict[str, bytes], times: int) -> list[bytes]:
    rng, given = np.random.default_rng(0), list(seeds.values())
    found = list(given)
    for number in rng.integers(len(given), size=times):
        data = bytearray(given[number])
        for at in rng.integers(1, len(data), size=3):
            data[at] = rng.integers(256)
        found.append(bytes(data))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["manifest", "configuration", "masks", "checkpoint"])
def test_a_harness_holds_for_its_seeds_and_for_damage_to_them(name: str, tmp_path: Path) -> None:
    harness: dict[str, Any] = runpy.run_path(str(FUZZ / f"{name}.py"))
    seeds = harness["seeds"]()
    assert {RUNNING["once"](harness["target"], data, tmp_path) for data in changed(seeds, 40)} == {None}


def test_a_harness_tells_a_strangers_exception(tmp_path: Path) -> None:
    def broken(data: bytes, folder: Path) -> None:
        raise KeyError(str(data) + str(folder))

    assert RUNNING["once"](broken, b"", tmp_path) == "KeyError"
