"""The faster copy gives the same logits and maps, touches nothing of the model, and is left where it would not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import NoReturn

import pytest
import torch
from captum.attr import LayerGradCam, Saliency
from torch import Tensor, nn

from figureground.audit.explain.optimised import optimised
from figureground.audit.explain.single_pass import SinglePass

Build = Callable[[str], nn.Module]


def relative(found: Tensor, reference: Tensor) -> float:
    assert float(reference.abs().max()) > 0
    return float((found - reference).abs().max() / reference.abs().max())


def agrees_with_captum(model: nn.Module, layer: str, inputs: Tensor, tolerance: float) -> None:
    faster = optimised(model, inputs, (layer,))
    assert {"no_parameter_gradients", "channels_last"} <= {*faster.steps}
    found = SinglePass(layer)(faster.module, inputs)
    target = model(inputs).argmax(dim=1)
    saliency = Saliency(model).attribute(inputs.clone().requires_grad_(), target=target).amax(dim=1)
    cam = LayerGradCam(model, model.get_submodule(layer)).attribute(inputs, target=target)[:, 0].detach()
    assert torch.equal(found.predicted, target)
    assert relative(found.logits, model(inputs).detach()) <= tolerance
    assert relative(found.maps["saliency", "absolute"], saliency) <= tolerance
    assert relative(found.native["gradcam"], cam) <= tolerance


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121", "mobilenet_v3_small", "squeezenet1_1"])
def test_in_double_precision_nothing_but_rounding_differs(
    architecture: str, layer: str, build: Build, inputs: Tensor
) -> None:
    """Where no rectifier is rounded to the other side of zero; maps are handed over in single precision."""
    agrees_with_captum(deepcopy(build(architecture)).double(), layer, inputs.double(), 1e-6)


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_equal_to_captum_in_single_precision(architecture: str, layer: str, build: Build, inputs: Tensor) -> None:
    agrees_with_captum(build(architecture), layer, inputs, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("resnet50", "layer4"),
        ("convnext_tiny", "features"),
        ("efficientnet_b0", "features"),
        ("regnet_y_400mf", "trunk_output"),
        ("shufflenet_v2_x0_5", "conv5"),
        ("vgg11_bn", "features"),
    ],
)
def test_other_architectures_in_double_precision(architecture: str, layer: str, build: Build, inputs: Tensor) -> None:
    agrees_with_captum(deepcopy(build(architecture)).double(), layer, inputs.double(), 1e-6)


@pytest.mark.parametrize(
    ("architecture", "folded"), [("resnet18", 20), ("densenet121", 59), ("mobilenet_v3_small", 34)]
)
def test_every_normalisation_after_a_convolution_is_folded(
    architecture: str, folded: int, build: Build, inputs: Tensor
) -> None:
    """DenseNet's others come before their convolution, behind a rectifier."""
    model = build(architecture)
    found = optimised(model, inputs)
    norms = [sum(isinstance(part, nn.BatchNorm2d) for part in of.modules()) for of in (model, found.module)]
    assert (found.folded, norms[0] - norms[1]) == (folded, folded)


def test_the_model_stays_as_it_was(build: Build, inputs: Tensor, hook_count: Callable[[nn.Module], int]) -> None:
    model = build("resnet18")
    state, parts = {name: value.clone() for name, value in model.state_dict().items()}, list(model.modules())
    before, images = model(inputs).detach(), inputs.clone()
    found = optimised(model, inputs)
    assert found.module is not model
    assert [name for name, _ in found.module.named_modules()] == [name for name, _ in model.named_modules()]
    assert list(model.modules()) == parts
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(p.requires_grad for p in found.module.parameters())
    assert torch.equal(model(inputs), before)
    assert torch.equal(inputs, images)
    assert hook_count(model) == hook_count(found.module) == 0


@pytest.mark.parametrize("kept", ["layer4.1.conv2", "layer4.1.bn2", "layer2.0.downsample", "bn1"])
def test_what_is_looked_at_gives_what_it_gave(kept: str, build: Build, inputs: Tensor) -> None:
    model = build("resnet18")
    outputs = []
    for part in (model, optimised(model, inputs, (kept,)).module):
        handle = part.get_submodule(kept).register_forward_hook(lambda _m, _a, output: outputs.append(output.clone()))
        part(inputs)
        handle.remove()
    assert relative(outputs[1].detach(), outputs[0].detach()) <= 1e-5
    changed = optimised(model, inputs, (kept,)).module.get_submodule(kept)
    assert [type(part) for part in changed.modules()] == [type(part) for part in model.get_submodule(kept).modules()]


class Net(nn.Module):
    """A convolution, a normalisation and a head, in any order."""

    def __init__(self, body: Callable[[Net, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        nn.init.normal_(self.norm.weight)
        self.norm.running_var.uniform_(0.5, 2.0)  # type: ignore[operator,union-attr]
        self.head, self.body = nn.Linear(6, 3), body
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self, x).relu().mean(dim=(2, 3)))


def test_reshaping_that_channels_last_forbids_leaves_them_where_they_were() -> None:
    model = Net(lambda net, x: net.norm(net.conv(x)).view(len(x), 48, 8).unflatten(1, (6, 8)))
    found = optimised(model, torch.rand(2, 3, 8, 8))
    assert found.steps == ("no_parameter_gradients", "batch_norm_folded")


def test_a_model_that_never_answers_the_same_is_run_itself() -> None:
    model = Net(lambda net, x: net.norm(net.conv(x)) * torch.rand(()))
    found = optimised(model, torch.rand(2, 3, 8, 8))
    assert (found.module, found.steps) == (model, ())
    assert "same answers" in str(found.reason)


def test_a_model_that_cannot_be_copied_is_run_itself() -> None:
    def refuse(_memo: object) -> NoReturn:
        raise TypeError("no copies")

    model = Net(lambda net, x: net.norm(net.conv(x)))
    model.__deepcopy__ = refuse  # type: ignore[assignment]
    found = optimised(model, torch.rand(2, 3, 8, 8))
    assert (found.module, found.reason) == (model, "the model cannot be copied")


def test_half_precision_is_not_folded() -> None:
    model = Net(lambda net, x: net.norm(net.conv(x))).to(torch.bfloat16)
    assert "batch_norm_folded" not in optimised(model, torch.rand(2, 3, 8, 8)).steps
