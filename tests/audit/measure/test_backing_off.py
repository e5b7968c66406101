"""A batch that does not fit is halved until it does; what was counted is counted once."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from figureground.audit.measure.backing_off import BackingOff, split_items
from figureground.errors import ResourceError


class Limited:
    """Fails over a batch of more than ``fits``; or over one image."""

    def __init__(self, fits, spent, bad=None, error=None):
        self.fits, self.spent, self.bad, self.tried = fits, spent, bad, []
        self.error = error or RuntimeError("[enforce fail] can't allocate memory: 9 bytes")

    def __call__(self, module, items):
        rows = items["row_id"].tolist()
        self.tried.append(len(rows))
        self.spent.append(len(rows))
        if len(rows) > self.fits or self.bad in rows:
            raise self.error
        assert items["inner"]["x"].tolist() == [10 * row for row in rows]
        return {"rows": pd.DataFrame({"row_id": rows})}


class Telling(Limited):
    def unanswered(self, items):
        return {"rows": pd.DataFrame({"row_id": -items["row_id"].numpy()})}


def items(n):
    rows = torch.arange(1, n + 1)
    return {"row_id": rows, "inner": {"x": 10 * rows}}


@pytest.mark.fault("G1")
@given(n=st.integers(1, 40), fits=st.integers(1, 40))
def test_every_row_comes_once_and_in_order(n, fits):
    spent = []
    backing = BackingOff(Limited(fits, spent), spent)
    assert backing(nn.Identity(), items(n))["rows"]["row_id"].tolist() == list(range(1, n + 1))
    assert sum(spent) == n  # what was given up is not counted
    before = len(backing.step.tried)
    backing(nn.Identity(), items(n))
    assert max(backing.step.tried[before:]) <= max(fits, 1)  # the size that fits is remembered


@pytest.mark.fault("G1")
def test_an_image_that_never_fits_is_told_and_the_others_are_done():
    spent = []
    found = BackingOff(Telling(8, spent, bad=3), spent)(nn.Identity(), items(6))
    assert found["rows"]["row_id"].tolist() == [1, 2, -3, 4, 5, 6]
    assert sum(spent) == 5


def test_where_nothing_can_be_told_the_run_ends_and_can_be_gone_on_with():
    with pytest.raises(ResourceError, match=r"OUT_OF_MEMORY row_id 3.*--resume") as caught:
        BackingOff(Limited(8, [], bad=3))(nn.Identity(), items(6))
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_other_ways_to_say_so(error):
    assert len(BackingOff(Limited(2, [], error=error))(nn.Identity(), items(5))["rows"]) == 5


def test_another_error_is_no_want_of_memory():
    with pytest.raises(RuntimeError, match="shape"):
        BackingOff(Limited(0, [], error=RuntimeError("mat1 and mat2: shape mismatch")))(nn.Identity(), items(4))


def test_parts_are_in_order():
    parts = split_items(items(5), 2)
    assert [part["row_id"].tolist() for part in parts] == [[1, 2], [3, 4], [5]]
