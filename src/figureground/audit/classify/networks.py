"""Architectures: one small network of our own, and torchvision's by name; never with downloaded weights."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torchvision
from torch import Tensor, nn

from figureground.errors import UsageError

SMALL_CNN = "small-cnn"
#: torchvision's GoogLeNet family gives tuples in training unless its auxiliary heads are off, and warns
#: unless its initialisation is chosen.
_SETTINGS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


class SmallCNN(nn.Module):
    """Five convolutions with batch normalisation and ReLU, global average pooling, one linear layer.

    Three of the convolutions halve the image, so 64 pixels give a last map of 8 x 8: fine enough for a class
    activation map to tell an object from its surroundings. The default width is for a few thousand small
    images on a few processor cores.

    Parameters
    ----------
    num_classes : int
        Number of logits.
    channels : int
        Channels of the input, 1 or 3.
    width : int
        Channels after the first convolution; the last one has four times as many.

    Examples
    --------
    >>> import torch
    >>> model = SmallCNN(num_classes=2).eval()
    >>> model(torch.zeros(5, 3, 64, 64)).shape, model.features(torch.zeros(5, 3, 64, 64)).shape
    (torch.Size([5, 2]), torch.Size([5, 32, 8, 8]))
    """

    def __init__(self, num_classes: int, channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(channels, width, stride=2),
            _block(width, 2 * width, stride=2),
            _block(2 * width, 2 * width, stride=1),
            _block(2 * width, 4 * width, stride=2),
            _block(4 * width, 4 * width, stride=1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` for normalised ``[B, channels, H, W]``."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1))
        return logits


def _block(channels: int, width: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())


def build_network(
    architecture: str, num_classes: int, channels: int = 3, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """A network with random weights.

    Parameters
    ----------
    architecture : str
        ``"small-cnn"``, or the name of a torchvision classification model such as ``"resnet18"``.
    num_classes : int
        Number of logits.
    channels : int
        Channels of the input; where torchvision's model wants another number, its first convolution is
        replaced.
    arguments : mapping, optional
        Further arguments of torchvision's builder.

    Raises
    ------
    UsageError
        The name is unknown; close ones are listed.
    """
    if architecture == SMALL_CNN:
        return SmallCNN(num_classes, channels)
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        close = difflib.get_close_matches(architecture, [SMALL_CNN, *known], n=3, cutoff=0.4)
        raise UsageError(
            "ARCHITECTURE",
            "architecture",
            found=repr(architecture),
            expected=f"{SMALL_CNN} or a torchvision classification model",
            fix=f"did you mean {', '.join(close)}?" if close else f"use {SMALL_CNN} or resnet18",
        )
    settings = {**_SETTINGS.get(architecture, {}), **(arguments or {})}
    network = torchvision.models.get_model(architecture, weights=None, num_classes=num_classes, **settings)
    return _with_channels(network, channels)


def _with_channels(network: nn.Module, channels: int) -> nn.Module:
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == channels:
        return network
    parent, _, attribute = name.rpartition(".")
    replacement = nn.Conv2d(
        channels, first.out_channels, _pair(first.kernel_size), stride=_pair(first.stride),
        padding=_pair(first.padding), bias=first.bias is not None,
    )  # fmt: skip
    setattr(network.get_submodule(parent), attribute, replacement)
    return network


def _pair(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])
