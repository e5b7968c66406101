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


class Ending(nn.Module):
    """Convolutions, global average pooling and a linear layer; its ReLUs are modules that run once."""

    def __init__(self, classes: int = 3, head: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.one = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.second, self.two = nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU()
        self.third, self.three = nn.Conv2d(8, 8, 1), nn.ReLU()
        self.pool, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.head = head or nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.three(self.third(self.two(self.second(self.one(self.first(images))))))
        return torch.as_tensor(self.head(self.flat(self.pool(maps))))


class Tangled(Ending):
    """The same function with one ReLU that works in place and runs twice, and once more as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.ReLU(inplace=True)
        del self.two, self.three

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.third(self.one(self.second(self.one(self.first(images))))))
        return torch.as_tensor(self.head(self.flat(self.pool(maps))))


@pytest.fixture
def ending() -> nn.Module:
    """Seeded, in evaluation mode, with biases that matter."""
    return settled(Ending())


@pytest.fixture
def tangled(ending: nn.Module) -> nn.Module:
    """The weights of ``ending``, the ReLUs in a tangle."""
    other = Tangled()
    other.load_state_dict(ending.state_dict())
    return other.eval()


@pytest.fixture
def make_ending() -> Callable[[nn.Module], nn.Module]:
    """``Ending`` with another head."""
    return lambda head: settled(Ending(head=head))


def settled(model: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for parameter in model.parameters():
            nn.init.normal_(parameter, 0.05, 0.4)
    return model.eval()


@pytest.fixture
def few() -> Tensor:
    """Three pictures of an odd size, not contiguous."""
    return torch.rand(3, 17, 13, 3).permute(0, 3, 1, 2)
