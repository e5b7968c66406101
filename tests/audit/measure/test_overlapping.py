"""Work beside the network: the same results in the same order, one thing at a time, errors where they belong."""

from __future__ import annotations

from threading import Event, Lock, get_ident

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from figureground.audit.measure.backing_off import BackingOff
from figureground.audit.measure.overlapping import Ahead, Pending, settled
from figureground.errors import ResourceError


class Slow(Dataset):
    """Counts who reads at once, and tells what was read."""

    def __init__(self, n, fails_at=None):
        self.n, self.fails_at, self.lock, self.read = n, fails_at, Lock(), []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        assert self.lock.acquire(blocking=False), "two threads read at once"
        try:
            self.read.append((index, get_ident()))
            if index == self.fails_at:
                raise KeyError(index)
            return index * 10
        finally:
            self.lock.release()


def test_items_come_in_order_and_the_next_is_read_meanwhile():
    slow = Slow(5)
    ahead = Ahead(slow)
    assert [ahead[index] for index in range(len(ahead))] == [0, 10, 20, 30, 40]
    ahead.close()
    assert [index for index, _ in slow.read] == [0, 1, 2, 3, 4]
    assert slow.read[0][1] == get_ident()
    assert all(thread != get_ident() for _, thread in slow.read[1:])


@pytest.mark.parametrize("order", [[3, 1, 0, 4, 2], [0, 0, 1, 1], [4, 3, 2, 1, 0]])
def test_any_other_order_gives_what_is_asked_for(order):
    ahead = Ahead(Slow(5))
    assert [ahead[index] for index in order] == [10 * index for index in order]
    ahead.close()


def test_an_item_that_cannot_be_read_fails_where_it_is_asked_for():
    ahead = Ahead(Slow(4, fails_at=2))
    assert (ahead[0], ahead[1]) == (0, 10)
    with pytest.raises(KeyError, match="2"):
        ahead[2]
    ahead.close()


def test_what_is_pending_is_computed_while_nobody_waits():
    begun, go = Event(), Event()

    def work():
        begun.set()
        assert go.wait(10)
        return 7

    pending = Pending(work)
    assert begun.wait(10)
    go.set()
    assert settled(pending) == 7
    assert settled(8) == 8


def test_an_error_is_raised_where_the_result_is_wanted():
    def fails():
        raise ValueError("not this")

    pending = Pending(fails)
    with pytest.raises(ValueError, match="not this"):
        pending.result()


def items(n):
    return {"row_id": torch.arange(n)}


class Later:
    """Measures in a thread of its own, where it has room for so many images."""

    def __init__(self, fits, error=MemoryError):
        self.fits, self.error = fits, error

    def __call__(self, module, batch):
        return Pending(lambda: self._measured(batch["row_id"]))

    def _measured(self, row_id):
        if len(row_id) > self.fits:
            raise self.error("no room")
        return {"rows": pd.DataFrame({"row_id": row_id.numpy()})}


@pytest.mark.parametrize(("n", "fits"), [(8, 8), (8, 3), (7, 2), (5, 1)])
def test_where_measuring_runs_out_of_memory_the_batch_is_done_in_parts(n, fits):
    found = settled(BackingOff(Later(fits))(nn.Identity(), items(n)))
    assert found["rows"]["row_id"].tolist() == list(range(n))


def test_what_cannot_be_measured_alone_ends_the_run_as_ever():
    with pytest.raises(ResourceError, match="OUT_OF_MEMORY"):
        settled(BackingOff(Later(0))(nn.Identity(), items(3)))


def test_any_other_error_of_measuring_is_itself():
    with pytest.raises(LookupError, match="no room"):
        settled(BackingOff(Later(0, LookupError))(nn.Identity(), items(3)))
