"""A small classifier with weights that are not the initial ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from figureground.audit.classify.module import Classifier
from figureground.datasets.transforms import Preprocess

PREPROCESS = Preprocess(resize=(32, 32), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def classifier() -> Classifier:
    model = Classifier("small-cnn", ("coat", "pullover", "shirt"), PREPROCESS, learning_rate=1e-3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(0, 0.1)
    return model.eval()
