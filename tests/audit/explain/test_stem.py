"""The first convolution with its gradient computed from blocks, against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from figureground.audit.explain.stem import StemConv2d, faster_stem


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 4),
    kernel=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    stride=st.integers(2, 4),
    padding=st.integers(0, 3),
    size=st.tuples(st.integers(7, 19), st.integers(7, 19)),
    bias=st.booleans(),
)
def test_output_and_gradient_are_those_of_the_plain_convolution(
    channels: int, kernel: tuple[int, int], stride: int, padding: int, size: tuple[int, int], bias: bool
) -> None:
    stride = min(stride, *kernel)
    plain = nn.Conv2d(channels, 5, kernel, stride, padding, bias=bias).double()
    made = StemConv2d.of(plain)
    pixels = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(plain(pixels))
    (wanted,), (found,) = (torch.autograd.grad((one(pixels) * weights).sum(), pixels) for one in (plain, made))
    assert torch.equal(made(pixels), plain(pixels))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    ("first", "replaced"),
    [
        (nn.Conv2d(3, 4, 7, 2, 3), 1),
        (nn.Conv2d(3, 4, 4, 4), 1),
        (nn.Conv2d(3, 4, 3, 1, 1), 0),
        (nn.Conv2d(3, 4, 3, (2, 1)), 0),
        (nn.Conv2d(3, 3, 3, 2, groups=3), 0),
        (nn.Conv2d(3, 4, 3, 2, dilation=2), 0),
        (nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect"), 0),
        (nn.Conv2d(3, 4, 1, 2), 0),
    ],
)
def test_which_convolutions_are_replaced(first: nn.Module, replaced: int) -> None:
    model = nn.Sequential(first, nn.Flatten())
    assert faster_stem(model, torch.rand(1, 3, 16, 16)) == replaced
    assert isinstance(model[0], StemConv2d) is bool(replaced)
    assert not any(part._forward_hooks for part in model.modules())


def test_one_that_runs_twice_is_left() -> None:
    first = nn.Conv2d(3, 3, 3, 2, 1)
    assert faster_stem(nn.Sequential(first, first), torch.rand(1, 3, 16, 16)) == 0
