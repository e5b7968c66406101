"""Keep Lightning's advertisements and its advice on deliberate choices out of people's terminals."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C stay a ``KeyboardInterrupt``.

    Lightning answers it by ignoring the signal from then on and leaving with exit code 1, which would say that a cue
    was demonstrated.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stop


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Run a Trainer without its notices of devices and products; every other warning still comes through."""
    logs = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Small images in memory load faster in this process than through workers.
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            # Lightning 2.6 walks its loaders with a tree type that torch 2.14 is about to rename.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
