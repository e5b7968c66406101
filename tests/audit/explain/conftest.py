"""Randomly initialised torchvision networks with running statistics that are not the identity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

#: The layer that `choose_layer` gives for each at 64 px.
LAYERS = {
    "resnet18": "layer4",
    "densenet121": "features",
    "vgg11_bn": "features",
    "mobilenet_v3_small": "features",
    "squeezenet1_1": "classifier.2",
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=LAYERS)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def layer(architecture: str) -> str:
    return LAYERS[architecture]


@pytest.fixture
def hook_count() -> Callable[[nn.Module], int]:
    return _hook_count


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(2, 3, 64, 64)


@pytest.fixture(scope="module")
def build() -> Callable[[str], nn.Module]:
    """A function that builds an architecture once per module of tests."""
    built: dict[str, nn.Module] = {}

    def network(architecture: str) -> nn.Module:
        if architecture not in built:
            with torch.random.fork_rng():
                torch.manual_seed(3)
                model = torchvision.models.get_model(architecture, weights=None, num_classes=5)
                built[architecture] = _unsettled(model)
        return built[architecture]

    return network


def _unsettled(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def _hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())
