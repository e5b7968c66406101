"""Units: deconvolution against transposed layers by hand, receptive fields against their arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.rectified import Rectifying
from figureground.audit.explain.units import UnitLayer, projection, seen_by, unit_layer
from figureground.errors import UsageError


class Functional(nn.Module):
    """The same layers as ``stack``, called as functions."""

    def __init__(self, like: nn.Sequential) -> None:
        super().__init__()
        self.one, self.two = like[0], like[3]
        self.last = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        pooled = F.max_pool2d(F.relu(self.one(images)), 2)
        return self.last(torch.relu_(self.two(pooled))).mean((2, 3))


def stack(*, inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(1)
    parts = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(inplace)]
    return nn.Sequential(*parts).eval()


def transposed(model: nn.Sequential, images: Tensor, unit: tuple[int, int, int]) -> Tensor:
    """Zeiler and Fergus by hand: unpool with switches, rectify, filter with the transposed weights."""
    one, two = model[0], model[3]
    first = F.relu(F.conv2d(images, one.weight, one.bias, padding=1))
    pooled, switches = F.max_pool2d(first, 2, return_indices=True)
    top = F.relu(F.conv2d(pooled, two.weight, two.bias))
    alone = torch.zeros_like(top)
    alone[(0, *unit)] = top[(0, *unit)]
    back = F.conv_transpose2d(F.relu(alone), two.weight)
    back = F.max_unpool2d(back, switches, 2, output_size=first.shape[-2:])
    return F.conv_transpose2d(F.relu(back), one.weight, padding=1)[0].detach()


@pytest.mark.parametrize("unit", [(0, 0, 0), (2, 1, 2), (4, 2, 3)])
@pytest.mark.parametrize("inplace", [False, True])
def test_deconvolution_is_that_of_transposed_layers(unit: tuple[int, int, int], inplace: bool) -> None:
    images = torch.randn(1, 2, 11, 13)
    with torch.no_grad():
        model = stack()
        model[3].bias += 2.0  # so that the units are active
    expected = transposed(model, images, unit)
    model[1].inplace = model[4].inplace = inplace
    found, met = projection(model, UnitLayer("4"), images, unit)
    assert (met.relus, met.switches) == (2, 1)
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected)


def test_functions_are_rectified_like_modules() -> None:
    images, model = torch.randn(1, 2, 11, 13), stack()
    with torch.no_grad():
        model[3].bias += 2.0
    found, met = projection(Functional(model).eval(), UnitLayer("last"), images, (1, 1, 1))
    assert (met.relus, met.switches) == (2, 1)
    torch.testing.assert_close(found, transposed(model, images, (1, 1, 1)))


def test_deconvolution_is_not_the_gradient() -> None:
    images, model = torch.randn(1, 2, 11, 13), stack()
    with torch.no_grad():
        model[3].bias += 2.0
    pixels = images.clone().requires_grad_()
    value = model(pixels)[0, 2, 1, 2]
    (gradient,) = torch.autograd.grad(value, pixels, grad_outputs=value.detach())
    found, _ = projection(model, UnitLayer("4"), images, (2, 1, 2))
    assert (found - gradient[0]).abs().max() > 1e-3


def test_the_block_changes_no_answer_and_nothing_after_it() -> None:
    images, model = torch.randn(1, 2, 11, 13), stack(inplace=True)
    plain = model(images)
    with Rectifying():
        torch.testing.assert_close(model(images), plain)
    values = torch.tensor([-1.0, 2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(F.relu(values).sum() * -1, values)
    assert gradient.tolist() == [0.0, -1.0]


def test_without_a_rectifier_it_is_said() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU()).eval()
    _, met = projection(model, UnitLayer("1"), torch.randn(1, 1, 8, 8), (0, 2, 2))
    assert (met.relus, met.switches) == (0, 0)


@pytest.mark.parametrize(
    ("layers", "cell", "box"),
    [
        ([nn.Conv2d(1, 3, 3)], (4, 5), (4, 5, 7, 8)),
        ([nn.Conv2d(1, 3, 3, stride=2, padding=1)], (4, 5), (7, 9, 10, 12)),
        ([nn.Conv2d(1, 3, 5), nn.ReLU(), nn.MaxPool2d(3, 2)], (2, 3), (4, 6, 11, 13)),
        ([nn.Conv2d(1, 3, 3, dilation=2), nn.ReLU(), nn.Conv2d(3, 2, 3)], (0, 0), (0, 0, 7, 7)),
        ([nn.Conv2d(1, 3, 3, padding=1)], (0, 0), (0, 0, 2, 2)),  # cut at the border
        ([nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1)], (0, 0), (0, 0, 20, 24)),
    ],
)
def test_receptive_field_is_that_of_the_arithmetic(
    layers: list[nn.Module], cell: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    model = nn.Sequential(*layers).eval()
    name = str(len(layers) - 1)
    assert seen_by(model, UnitLayer(name), torch.Size((1, 20, 24)), cell) == box


def test_a_dead_unit_still_has_its_field() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, 3), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    assert seen_by(model, UnitLayer("3"), torch.Size((1, 12, 12)), (1, 2)) == (1, 2, 6, 7)


def test_layers_by_name_by_end_and_by_nothing() -> None:
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 3)), nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()))
    assert unit_layer(model, "1.1").name == "1.1"
    named = nn.ModuleDict({"network": nn.ModuleDict({"stem": nn.Conv2d(1, 1, 3)})})
    assert unit_layer(named, "stem").name == "network.stem"
    twice = nn.ModuleDict({end: nn.ModuleDict({"act": nn.ReLU()}) for end in ("a", "b")})
    with pytest.raises(UsageError, match=r"several layers.*a\.act, b\.act"):
        unit_layer(twice, "act")
    with pytest.raises(UsageError, match="LAYER_UNKNOWN"):
        unit_layer(model, "layer9")


def test_other_outputs_are_refused_or_read_as_one_cell() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    images = torch.randn(2, 1, 4, 4)
    assert UnitLayer("1").values(model, images).shape == (2, 3, 1, 1)
    idle = nn.ModuleDict({"idle": nn.ReLU()})
    idle.forward = lambda given: given  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="does not run"):
        UnitLayer("idle").values(idle, images)
