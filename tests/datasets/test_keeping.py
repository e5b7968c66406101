"""The most recent items stay, whole and apart from those that were given; the oldest make room."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from figureground.datasets.keeping import KeptItems


def item(value: int, side: int = 4) -> dict[str, object]:
    return {
        "image": torch.full((3, side, side), float(value)),
        "label": torch.tensor(value),
        "regions": {"tag": torch.full((side, side), value % 2 == 0)},
    }


BYTES = 3 * 16 * 4 + 8 + 16


def same(one: object, other: dict[str, object]) -> bool:
    assert isinstance(one, dict)
    return bool(
        one.keys() == other.keys()
        and torch.equal(one["image"], other["image"])
        and torch.equal(one["label"], other["label"])
        and torch.equal(one["regions"]["tag"], other["regions"]["tag"])
    )


@given(st.lists(st.integers(0, 7), max_size=40))
def test_what_is_kept_is_what_was_put_last_and_the_oldest_make_room(asked: list[int]) -> None:
    kept, recent = KeptItems(3 * BYTES), []
    for position in asked:
        found = kept.get(position)
        assert (found is not None) == (position in recent)
        if found is None:
            kept.put(position, item(position))
        else:
            assert same(found, item(position))
        recent = [*(one for one in recent if one != position), position][-3:]
    assert len(kept) == len(recent)


def test_callers_may_change_what_they_get() -> None:
    kept, given_item = KeptItems(10 * BYTES), item(1)
    kept.put(1, given_item)
    given_item["image"].zero_()
    kept.get(1)["image"].zero_()
    assert same(kept.get(1), item(1))


def test_an_item_of_another_shape_or_larger_than_the_room_is_no_trouble() -> None:
    small = KeptItems(BYTES - 1)
    small.put(1, item(1))
    assert small.get(1) is None
    kept = KeptItems(BYTES)
    kept.put(1, item(1))
    kept.put(2, item(2, side=5))
    assert kept.get(2) is None
    assert same(kept.get(1), item(1))
    kept.put(3, item(3))
    assert list(kept) == [3]


def test_another_process_begins_with_nothing() -> None:
    kept = KeptItems(10 * BYTES)
    kept.put(1, item(1))
    assert len(pickle.dumps(kept)) < 200
    assert len(pickle.loads(pickle.dumps(kept))) == 0  # noqa: S301  (our own bytes)


def test_a_reader_reads_each_row_once(audit_manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    from figureground.datasets.datamodule import Row, RowReader
    from figureground.datasets.sources import TableSource, open_source
    from figureground.datasets.transforms import Preprocess

    source, read = open_source(audit_manifest, classes=("coat", "pullover")), []
    label = source.table()["label"].iloc[3]
    original = TableSource.pixels
    monkeypatch.setattr(TableSource, "pixels", lambda self, at: read.append(at) or original(self, at))
    reader = RowReader(source, Preprocess(), (label,))
    first, again = (reader(Row(5, 3, label)) for _ in range(2))
    assert read == [3]
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["mask"], again["mask"])
