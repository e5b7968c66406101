"""Architectures by name."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from figureground.audit.classify.networks import SmallCNN, build_network
from figureground.errors import UsageError


@pytest.mark.parametrize(("channels", "classes", "side"), [(3, 2, 64), (1, 7, 28), (3, 5, 65)])
def test_small_cnn_shapes(channels: int, classes: int, side: int) -> None:
    model = build_network("small-cnn", classes, channels)
    images = torch.randn(2, channels, side, side)
    assert model(images).shape == (2, classes)
    assert isinstance(model, SmallCNN)
    assert model.features(images).shape[-1] == -(-side // 8)


def test_every_pixel_of_64_reaches_the_last_map() -> None:
    """Over several images, since a single one leaves a pixel dark where all its ReLUs are closed."""
    model = SmallCNN(2).eval()
    images = torch.randn(16, 3, 64, 64, requires_grad=True)
    model(images)[:, 0].sum().backward()
    assert images.grad is not None
    assert model.features(images).shape == (16, 32, 8, 8)
    assert bool((images.grad.abs().sum(dim=(0, 1)) > 0).all())


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1", "mobilenet_v3_small"])
@pytest.mark.parametrize("channels", [1, 3])
def test_torchvision_by_name(architecture: str, channels: int) -> None:
    model = build_network(architecture, 4, channels).eval()
    assert model(torch.randn(2, channels, 64, 64)).shape == (2, 4)


def test_one_channel_changes_the_first_convolution_alone() -> None:
    grey = build_network("resnet18", 4, 1)
    colour = torchvision.models.resnet18(weights=None, num_classes=4)
    shapes = {n: tuple(p.shape) for n, p in colour.named_parameters()}
    found = {n: tuple(p.shape) for n, p in grey.named_parameters()}
    assert found == shapes | {"conv1.weight": (64, 1, 7, 7)}
    assert isinstance(grey.conv1, nn.Conv2d)
    assert grey.conv1.stride == (2, 2)
    assert grey.conv1.padding == (3, 3)


def test_googlenet_gives_plain_logits_in_training() -> None:
    model = build_network("googlenet", 3, 3)
    assert model.train()(torch.randn(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "told"), [("resnet8", "resnet18"), ("smallcnn", "small-cnn"), ("???", "use small-cnn")]
)
def test_unknown_names_get_suggestions(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        build_network(name, 2, 3)
