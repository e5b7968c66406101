"""Smaller batches where memory does not suffice: the same rows, in more steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from figureground.audit.measure.overlapping import Pending, settled
from figureground.errors import ResourceError

Tables = Mapping[str, pd.DataFrame]
#: A step may go on with a batch in a thread of its own while the next one is in the network.
Step = Callable[[nn.Module, dict[str, Any]], Tables | Pending[Tables]]
#: How allocators say that they have no more; torch raises a plain RuntimeError on the CPU.
_EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")


@dataclass
class BackingOff:
    """A step that halves a batch for which memory does not suffice, down to one image.

    Attributes
    ----------
    step : callable
        A batch to tables. Its ``unanswered(items)``, where it has one, gives the rows of an image for which memory does
        not suffice even alone; without it such an image ends the run, which can be gone on with.
    spent : list of int
        Where the step enters its forward passes; those of a batch that was given up are taken out again.
    size : int or None
        Images at once that are known to fit; None: nothing is known.
    """

    step: Step
    spent: list[int] = field(default_factory=list)
    size: int | None = None

    def __call__(self, module: nn.Module, items: dict[str, Any]) -> Tables | Pending[Tables]:
        """Tables of a batch, or what they are being computed by."""
        n = len(items["row_id"])
        if self.size is None or n <= self.size:
            found = self._tried(module, items)
            if isinstance(found, Pending):
                found.instead = lambda error: self._instead(error, module, items)
            if found is not None:
                return found
            # Outside the except block: what was raised no longer keeps tensors alive.
            return self._smaller(module, items)
        return self._in_parts(module, items, self.size)

    def _instead(self, error: BaseException, module: nn.Module, items: dict[str, Any]) -> Tables:
        """Where memory did not suffice after the network: the batch again, in parts."""
        if not is_exhausted(error):
            raise error
        return self._smaller(module, items)

    def _smaller(self, module: nn.Module, items: dict[str, Any]) -> Tables:
        n = len(items["row_id"])
        if n == 1:
            return self._unanswered(items)
        self.size = n // 2
        return self._in_parts(module, items, self.size)

    def _in_parts(self, module: nn.Module, items: dict[str, Any], size: int) -> Tables:
        n = len(items["row_id"])
        parts = [settled(self(module, part)) for part in split_items(items, max(1, min(size, n - 1)))]
        return {name: _joined([part[name] for part in parts]) for name in parts[0]}

    def _tried(self, module: nn.Module, items: dict[str, Any]) -> Tables | Pending[Tables] | None:
        before = len(self.spent)
        try:
            return self.step(module, items)
        except (MemoryError, RuntimeError) as error:
            if not is_exhausted(error):
                raise
        del self.spent[before:]
        return None

    def _unanswered(self, items: dict[str, Any]) -> Tables:
        told = getattr(self.step, "unanswered", None)
        if told is None:
            raise ResourceError(
                "OUT_OF_MEMORY",
                f"row_id {int(items['row_id'][0])}",
                found="too little memory for a single image and its donors",
                expected="room for one",
                fix="audit on a larger machine with --resume, or with a smaller --resize",
            )
        found: Tables = told(items)
        return found


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _EXHAUSTED)


def split_items(items: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """A batch in parts of at most ``size`` images."""
    n = len(items["row_id"])
    parts = [torch.arange(start, min(start + size, n)) for start in range(0, n, size)]
    return [take_items(items, part) for part in parts]


def take_items(items: Mapping[str, Any], keep: Tensor) -> dict[str, Any]:
    """The items of a batch at ``keep``: bool ``[B]``, or int64 positions."""
    return {name: take_items(value, keep) if isinstance(value, dict) else value[keep] for name, value in items.items()}


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
