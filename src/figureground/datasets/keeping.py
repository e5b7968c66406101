"""The most recent items in memory, in blocks that are allocated once.

Thousands of tensors that come and go between others leave holes in the heap: over 20,000 images they took another
27 KB each that nobody used. Here every kept item has a place in one block for each of its fields.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

Item = dict[str, Any]
_Path = tuple[str, ...]


class KeptItems:
    """A mapping from positions to items, of as many as fit into ``limit`` bytes; the oldest make room.

    Items are mappings of tensors, or of mappings of tensors. All have the shapes of the first; one that differs is
    not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: OrderedDict[int, int] = OrderedDict()
        self._blocks: dict[_Path, Tensor] = {}
        self._empty: Item = {}
        self._capacity = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __reduce__(self) -> tuple[type[KeptItems], tuple[int]]:
        return KeptItems, (self._limit,)  # another process begins with nothing

    def get(self, position: int) -> Item | None:
        """A copy of the item; None where it is not kept. What was asked for is the most recent."""
        place = self._places.get(position)
        if place is None:
            return None
        self._places.move_to_end(position)
        item: Item = {name: dict(value) for name, value in self._empty.items()}
        for path, block in self._blocks.items():
            inside = item
            for name in path[:-1]:
                inside = inside[name]
            inside[path[-1]] = block[place].clone()
        return item

    def put(self, position: int, item: Item) -> None:
        """Keep a copy of an item."""
        fields = dict(_fields(item))
        if not self._blocks:
            self._allocate(item, fields)
        if not self._capacity or not self._fits(fields):
            return
        place = self._place(position)
        for path, value in fields.items():
            self._blocks[path][place] = value
        self._places[position] = place

    def _allocate(self, item: Item, fields: Mapping[_Path, Tensor]) -> None:
        # The system gives memory only where it is written to, so that few rows take little.
        self._capacity = self._limit // max(1, sum(value.nbytes for value in fields.values()))
        self._blocks = {path: torch.empty(self._capacity, *v.shape, dtype=v.dtype) for path, v in fields.items()}
        self._empty = {name: {} for name, value in item.items() if isinstance(value, Mapping)}

    def _fits(self, fields: Mapping[_Path, Tensor]) -> bool:
        return fields.keys() == self._blocks.keys() and all(
            value.shape == self._blocks[path].shape[1:] and value.dtype == self._blocks[path].dtype
            for path, value in fields.items()
        )

    def _place(self, position: int) -> int:
        if position in self._places:
            return self._places.pop(position)
        return len(self._places) if len(self._places) < self._capacity else self._places.popitem(last=False)[1]


def _fields(item: Mapping[str, Any], before: _Path = ()) -> Iterator[tuple[_Path, Tensor]]:
    for name, value in item.items():
        if isinstance(value, Mapping):
            yield from _fields(value, (*before, name))
        else:
            yield (*before, name), value
