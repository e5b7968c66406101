"""CAM by its own definition: the last layer's weights times the maps that are pooled."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.classify.readout import OneNumber, TwoClasses
from figureground.audit.explain.registry import explainer_for
from figureground.errors import UsageError

TARGET = torch.tensor([0, 2, 1])


def slow(*names: str) -> list[Any]:
    """Names of networks that take long to build."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def cam_of(model: nn.Module, images: Tensor, target: Tensor | None = TARGET) -> Tensor:
    return explainer_for(["cam"], model)(model, images, target).native["cam"]


def test_weights_times_maps(ending, few):
    with torch.no_grad():
        maps = ending.three(ending.third(ending.two(ending.second(ending.one(ending.first(few))))))
        by_hand = sum(ending.head.weight[TARGET, c, None, None] * maps[:, c] for c in range(8))
    found = explainer_for(["cam"], ending)(ending, few, TARGET)
    torch.testing.assert_close(found.native["cam"], by_hand)
    grown = F.interpolate(by_hand.clamp(min=0)[:, None], (17, 13), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(found.maps["cam", "positive"], grown)
    logits = found.logits.gather(1, TARGET[:, None])[:, 0]
    torch.testing.assert_close(found.native["cam"].mean((1, 2)) + ending.head.bias[TARGET].detach(), logits)


def small(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    if name.startswith("timm:"):
        return timm.create_model(name.removeprefix("timm:"), num_classes=3).eval(), torch.rand(1, 3, 64, 64)
    return torchvision.models.get_model(name, weights=None, num_classes=3).eval(), torch.rand(1, 3, 64, 64)


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "timm:resnet10t", *slow("densenet121", "shufflenet_v2_x0_5", "swin_t")]
)
def test_networks_that_end_in_pooling_and_one_linear_layer(name):
    model, images = small(name)
    found = cam_of(model, images, TARGET[:1])
    linear = [each for each in model.modules() if isinstance(each, nn.Linear) and each.out_features == 3][-1]
    logit = model(images)[0, 0] - linear.bias[0]
    torch.testing.assert_close(found.mean(), logit.detach(), rtol=1e-3, atol=1e-5)
    assert found.shape[1:] == (2, 2)


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", "squeezenet1_1", *slow("alexnet", "vgg11_bn", "convnext_tiny", "vit_b_32")]
)
def test_others_are_refused_with_what_would_do(name):
    size = {"vit_b_32": 224, "alexnet": 96}.get(name, 64)
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=3).eval()
    with pytest.raises(UsageError, match=r"METHOD_MODEL.*cam.*global average pooling.*saliency,gradcam"):
        cam_of(model, torch.rand(1, 3, size, size), TARGET[:1])


def test_one_logit_for_two_classes(make_ending, few):
    single = make_ending(nn.Linear(8, 1))
    target = torch.tensor([0, 1, 1])
    found, plain = cam_of(TwoClasses(single), few, target), cam_of(single, few, torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(found, plain * torch.tensor([-0.5, 0.5, 0.5])[:, None, None])


def test_what_follows_the_linear_layer_must_not_bend_it(make_ending, few):
    bent = make_ending(nn.Sequential(nn.Linear(8, 3), nn.Tanh()))
    number = OneNumber(make_ending(nn.Linear(8, 1)), lambda z: z[:, 0].exp(), 1.0, "exp")
    for model in (bent, number):
        with pytest.raises(UsageError, match="changes what its outputs mean"):
            cam_of(model, few, torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(ending, few, dtype):
    reference = cam_of(ending, few)
    found = cam_of(ending.to(dtype), few)
    torch.testing.assert_close(
        found, reference, rtol=0, atol=(1e-5 if dtype == torch.float64 else 0.05) * float(reference.abs().max())
    )
