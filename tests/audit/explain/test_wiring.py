"""Which normalisations may be folded: only those whose convolution nothing else reads, in any kind of forward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.wiring import Pair, foldable_pairs

IMAGES = torch.rand(2, 3, 8, 8)


class Net(nn.Module):
    def __init__(self, body: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm, self.body = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), body
        self.other = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.eval()

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        if scale is not None and x.shape[0] > 1:  # a traced graph has no word for this
            x = x * scale
        return self.body(self, x).mean(dim=(2, 3))


def pairs(body: Callable[[Net, Tensor], Tensor], change: Callable[[Net], object] = lambda _: None, keep=()):  # type: ignore[no-untyped-def]
    net = Net(body)
    change(net)
    return foldable_pairs(net, IMAGES, keep)


@pytest.mark.parametrize(
    "body",
    [
        lambda net, x: net.norm(net.conv(x)),
        lambda net, x: F.relu(net.norm(net.conv(x)), inplace=True),
        lambda net, x: net.norm(net.conv(x)) + x,
        lambda net, x: net.norm(net.conv(x)) * (1 if x.shape[-1] > 4 else 0),
    ],
)
def test_pairs_are_found(body: Callable[[Net, Tensor], Tensor]) -> None:
    assert pairs(body) == [Pair("conv", "norm")]


def test_several_in_the_order_of_the_pass() -> None:
    assert pairs(lambda net, x: net.norm(net.conv(net.other(x)))) == [Pair("other.0", "other.1"), Pair("conv", "norm")]


def skipped(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.norm(y) + y


def twice(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(net.conv(x)))


def shared_norm(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(net.norm(x)))


def detached(net: Net, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.norm(y) * (y.detach() > 0)


def looks_at_values(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(x)) if x.sum() > 0 else net.conv(x)


def selects(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(x)) + x[x > 0.5].mean()


def weight_read_elsewhere(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(x)) * net.conv.weight.abs().mean()


def own_weight(net: Net, x: Tensor) -> Tensor:
    return net.norm(F.conv2d(x, net.conv.weight * 2, net.conv.bias, padding=1))


def rectified_between(net: Net, x: Tensor) -> Tensor:
    return net.norm(net.conv(x).relu())


@pytest.mark.parametrize(
    "body",
    [
        skipped, twice, shared_norm, detached, looks_at_values, selects, weight_read_elsewhere, own_weight,
        rectified_between,
    ],
)  # fmt: skip
def test_others_are_left(body: Callable[[Net, Tensor], Tensor]) -> None:
    assert pairs(body) == []


class Own(nn.BatchNorm2d):
    """Somebody's own."""


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.norm.register_forward_hook(lambda *_: None),
        lambda net: net.conv.register_forward_hook(lambda *_: None),
        lambda net: net.norm.train(),
        lambda net: setattr(net, "norm", Own(3).eval()),
        lambda net: setattr(net, "norm", nn.BatchNorm2d(3, track_running_stats=False).eval()),
        lambda net: torch.nn.utils.parametrizations.weight_norm(net.conv),
    ],
)
def test_parts_that_are_more_than_they_seem_are_left(change: Callable[[Net], object]) -> None:
    assert pairs(lambda net, x: net.norm(net.conv(x)), change) == []


@pytest.mark.parametrize("kept", ["conv", "norm"])
def test_parts_that_are_looked_at_are_left(kept: str) -> None:
    assert pairs(lambda net, x: net.norm(net.conv(x)), keep=(kept,)) == []


def test_the_sole_producer_of_what_is_looked_at_is_left() -> None:
    assert pairs(lambda net, x: net.other(x), keep=("other",)) == []
    assert pairs(lambda net, x: net.other(x), keep=("conv",)) == [Pair("other.0", "other.1")]
