"""Which layer is chosen, and which named layers are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from figureground.audit.explain.layers import check_layer, choose_layer
from figureground.errors import SubjectError

Build = Callable[[str], nn.Module]
Count = Callable[[nn.Module], int]


def test_chosen_layer(architecture: str, layer: str, build: Build, inputs: Tensor, hook_count: Count) -> None:
    model = build(architecture)
    assert choose_layer(model, inputs) == layer
    check_layer(model, layer, inputs)
    assert hook_count(model) == 0


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("shufflenet_v2_x0_5", "conv5"),
        ("mnasnet0_5", "layers"),
        ("efficientnet_b0", "features"),
        ("alexnet", "features.11"),
    ],
)
def test_chosen_layer_of_other_families(architecture: str, layer: str, inputs: Tensor) -> None:
    model = torchvision.models.get_model(architecture, weights=None, num_classes=3).eval()
    assert choose_layer(model, inputs) == layer


def test_a_smaller_image_moves_the_choice_to_the_last_layer_with_a_map(build: Build) -> None:
    images = torch.randn(1, 3, 32, 32)
    assert choose_layer(build("resnet18"), images) == "layer3"
    with pytest.raises(SubjectError, match=r"found shape \[1, 512, 1, 1\]; expected .* 4 or more cells"):
        check_layer(build("resnet18"), "layer4", images)


def test_wrappers_are_seen_through_but_never_chosen(build: Build, inputs: Tensor) -> None:
    wrapped = nn.Sequential(build("resnet18"))
    assert choose_layer(wrapped, inputs) == "0.layer4"
    fully_convolutional = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))
    assert choose_layer(fully_convolutional, inputs) == "1"


def test_a_layer_that_runs_twice_is_not_chosen() -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu, nn.Flatten(), nn.Linear(64, 2))
    assert choose_layer(model, torch.rand(1, 3, 8, 8)) == "2"
    with pytest.raises(SubjectError, match="2 calls in one forward pass"):
        check_layer(model, "1", torch.rand(1, 3, 8, 8))


def test_swin_is_read_where_its_channels_come_first(inputs: Tensor) -> None:
    model = torchvision.models.swin_t(weights=None, num_classes=3).eval()
    assert choose_layer(model, inputs) == "permute"
    with pytest.raises(SubjectError, match="in the proportions of the image"):
        check_layer(model, "features", inputs)


class Patches(nn.Module):
    """A token model without MultiheadAttention: a patch embedding, then an MLP over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.mix(self.embed(x).flatten(2).transpose(1, 2)).mean(dim=1)))


def test_token_models_are_told_to_name_a_layer(inputs: Tensor, hook_count: Count) -> None:
    vit = torchvision.models.VisionTransformer(64, 16, 1, 2, 16, 32, num_classes=3).eval()
    with pytest.raises(SubjectError, match=r"MultiheadAttention.*name a layer"):
        choose_layer(vit, inputs)
    patches = Patches()
    with pytest.raises(SubjectError, match=r"tokens: mix gives shape \[1, 256, 8\]"):
        choose_layer(patches, inputs)
    check_layer(patches, "embed", inputs)
    assert hook_count(vit) == hook_count(patches) == 0


def test_a_network_without_maps_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(SubjectError, match="no layer with a map of 4 or more cells"):
        choose_layer(model, torch.rand(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("name", "told"),
    [("lay4", "did you mean layer4"), ("qqq", "last ones are"), ("", "no module"), ("fc", r"shape \[1, 5\]")],
)
def test_named_layers_that_cannot_be_used(name: str, told: str, build: Build, inputs: Tensor) -> None:
    with pytest.raises(SubjectError, match=told):
        check_layer(build("resnet18"), name, inputs)


def test_hooks_are_gone_after_a_failure(build: Build, hook_count: Count) -> None:
    model = build("resnet18")
    for attempt in (lambda x: choose_layer(model, x), lambda x: check_layer(model, "layer4", x)):
        with pytest.raises(SubjectError, match=r"MODEL_FORWARD.*channels"):
            attempt(torch.rand(1, 1, 64, 64))
        assert hook_count(model) == 0


def test_only_the_first_image_is_run(build: Build) -> None:
    model, sizes = build("resnet18"), []
    handle = model.fc.register_forward_hook(lambda _m, _a, output: sizes.append(len(output)))
    choose_layer(model, torch.rand(4, 3, 64, 64))
    handle.remove()
    assert sizes == [1]
