"""Memory, open files, threads and hooks of a running process, followed from inside (Linux)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


@dataclass
class Watch:
    """Follows the process tree; ``step`` is called with the number of images done."""

    every: int = 1000
    modules: Sequence[object] = ()
    points: list[tuple[int, float]] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    stage: str = ""
    counts: list[tuple[int, int, int]] = field(default_factory=list)
    done: int = 0
    peak: float = 0.0

    def step(self, n: int) -> None:
        before, self.done = self.done, self.done + n
        if before // self.every != self.done // self.every:
            self.points.append((self.done, pss_kb(os.getpid()) / 1024))
            self.stages.append(self.stage)
            self.counts.append((_entries("fd"), _entries("task"), sum(map(hooks, self.modules))))

    def slope(self, after: int, stage: str) -> float:
        """KB of PSS an image, by least squares over the points of a stage from ``after`` images on."""
        tagged = zip(self.points, self.stages, strict=True)
        late = [point for point, its in tagged if point[0] >= after and its == stage]
        if len(late) < 3:
            return float("nan")
        done, memory = np.array(late).T
        return float(np.polyfit(done, memory * 1024, 1)[0])

    def spread(self, after: int = 0) -> dict[str, int]:
        """Largest minus smallest number of open files, threads and hooks."""
        late = [count for point, count in zip(self.points, self.counts, strict=True) if point[0] >= after]
        found = np.ptp(np.array(late), axis=0) if late else [0, 0, 0]
        return dict(zip(("open files", "threads", "hooks"), map(int, found), strict=True))

    @contextmanager
    def sampling(self, seconds: float = 0.5) -> Iterator[None]:
        """Keep the peak up to date meanwhile."""
        stop = threading.Event()
        thread = threading.Thread(target=self._sample, args=(stop, seconds), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _sample(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds):
            self.peak = max(self.peak, sum(pss_kb(pid) for pid in tree(os.getpid())) / 1024)


def pss_kb(pid: int) -> int:
    """Proportional set size in KB; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(found for child in children for found in tree(int(child)))]


def hooks(module: object) -> int:
    """Hooks on a module and all below it."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, name)) for part in module.modules() for name in names)


def _entries(name: str) -> int:
    return len(list(Path(f"/proc/self/{name}").iterdir()))


class Timed(NamedTuple):
    """What a command took: seconds on the clock and of the processor, peak resident MB, exit code, output."""

    seconds: float
    busy: float
    peak: float
    code: int
    said: str


def timed(arguments: Sequence[str]) -> Timed:
    """Run a command of this interpreter."""
    code = "import resource,subprocess,sys; done=subprocess.run(sys.argv[1:]);"
    code += "used=resource.getrusage(resource.RUSAGE_CHILDREN);"
    code += "sys.stderr.write(f'PEAK {used.ru_maxrss} {used.ru_utime+used.ru_stime}');sys.exit(done.returncode)"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *arguments], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    told, used = done.stderr.rsplit("PEAK ", 1)
    peak, busy = map(float, used.split())
    return Timed(seconds, busy, peak / 1024, done.returncode, done.stdout + told)
