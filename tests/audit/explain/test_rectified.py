"""Convolutions that rectify what they write give what a rectifier after them gave, and only where it alone read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.rectifying import HandingOn, RectifiedConv2d, rectify
from figureground.audit.explain.stem import faster_stem


class Net(nn.Module):
    def __init__(self, body: Callable[[Net, Tensor], Tensor], inplace: bool = True, **options: object) -> None:
        super().__init__()
        self.first, self.act, self.body = nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace), body
        self.second = nn.Conv2d(4, 4, 3, padding=1, **options)  # type: ignore[arg-type]
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def twice(net: Net, x: Tensor) -> Tensor:
    return net.act(net.second(net.act(net.first(x))))


def gradient(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    pixels = x.clone().requires_grad_()
    output = model(pixels.clone())
    weights = torch.linspace(-1, 2, output.numel()).reshape(output.shape)
    return output.detach(), torch.autograd.grad((output * weights).sum(), pixels)[0]


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("stem", [True, False])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"dilation": 2}, {"groups": 2}, {"stride": 2}])
def test_output_and_gradient_are_those_of_convolution_and_rectifier(
    inplace: bool, stem: bool, options: dict[str, object]
) -> None:
    torch.manual_seed(1)
    model, x = Net(twice, inplace, **options), torch.randn(2, 3, 13, 18)
    wanted = gradient(model, x)
    assert not stem or faster_stem(model, x) == 1
    assert rectify(model, x) == 2
    assert isinstance(model.act, HandingOn)
    for found, reference in zip(gradient(model, x), wanted, strict=True):
        assert float((found - reference).abs().max()) <= 1e-6 * float(reference.abs().max())


def functional(net: Net, x: Tensor) -> Tensor:
    return F.relu(net.second(F.relu(net.first(x))))


def skipped(net: Net, x: Tensor) -> Tensor:
    y = net.first(x)
    return y.sigmoid() + net.act(y)


def summed(net: Net, x: Tensor) -> Tensor:
    y = net.first(x)
    return net.act(y + y.detach())


def decides(net: Net, x: Tensor) -> Tensor:
    return net.act(net.first(x)) if x.sum() > 0 else net.first(x)


@pytest.mark.parametrize("body", [functional, skipped, summed, decides])
def test_others_are_left(body: Callable[[Net, Tensor], Tensor]) -> None:
    model, x = Net(body), torch.randn(2, 3, 8, 8)
    assert rectify(model, x) == 0
    assert not any(isinstance(part, RectifiedConv2d | HandingOn) for part in model.modules())


def test_what_is_looked_at_is_left_and_what_reads_a_rectified_output_later_sees_it() -> None:
    def later(net: Net, x: Tensor) -> Tensor:
        y = net.first(x)
        return net.act(y) + net.second(y)  # in place: the same tensor, rectified

    x = torch.randn(2, 3, 8, 8)
    model = Net(later)
    wanted = gradient(model, x)
    assert rectify(model, x, keep=("first",)) == 0
    assert rectify(model, x) == 1
    for found, reference in zip(gradient(model, x), wanted, strict=True):
        assert torch.allclose(found, reference, atol=1e-6)


def test_a_hook_that_sees_the_output_keeps_it_as_it_is() -> None:
    model, x = Net(twice), torch.randn(2, 3, 8, 8)
    model.first.register_forward_hook(lambda *_: None)
    assert rectify(model, x) == 1
    assert type(model.first) is nn.Conv2d
