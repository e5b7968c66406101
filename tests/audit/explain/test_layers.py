"""Which layer is chosen, and which named layers are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from captum._utils.gradient import compute_layer_gradients_and_eval
from torch import Tensor, nn

from figureground.audit.declared.config import Layout
from figureground.audit.explain.layers import CamLayer, check_layer, choose_layer, find_layer
from figureground.audit.explain.single_pass import SinglePass
from figureground.errors import SubjectError, UsageError

Build = Callable[[str], nn.Module]
Count = Callable[[nn.Module], int]


def test_chosen_layer(architecture: str, layer: str, build: Build, inputs: Tensor, hook_count: Count) -> None:
    model = build(architecture)
    assert choose_layer(model, inputs) == CamLayer(layer)
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
    assert choose_layer(model, inputs) == CamLayer(layer)


def test_a_smaller_image_moves_the_choice_to_the_last_layer_with_a_map(build: Build) -> None:
    images = torch.randn(1, 3, 32, 32)
    assert choose_layer(build("resnet18"), images).name == "layer3"
    with pytest.raises(UsageError, match=r"found shape \[1, 512, 1, 1\]; expected .* 4 or more cells"):
        check_layer(build("resnet18"), "layer4", images)


def test_wrappers_are_seen_through_but_never_chosen(build: Build, inputs: Tensor) -> None:
    wrapped = nn.Sequential(build("resnet18"))
    assert choose_layer(wrapped, inputs).name == "0.layer4"
    fully_convolutional = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))
    assert choose_layer(fully_convolutional, inputs).name == "1"


class Shared(nn.Module):
    """Three convolutions and one rectifier for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(channels, 4, 3, padding=1) for channels in (3, 4, 4))
        self.relu, self.last, self.head = nn.ReLU(), nn.Identity(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = self.relu(block(x))
        return torch.as_tensor(self.head(self.last(x).mean(dim=(2, 3))))


@pytest.mark.fault("B15")
def test_a_shared_rectifier_is_not_chosen_and_named_it_is_its_last_run() -> None:
    model, inputs = Shared().eval(), torch.rand(2, 3, 8, 8)
    assert choose_layer(model, inputs) == CamLayer("blocks.2")
    named = check_layer(model, "relu", inputs)
    assert named == CamLayer("relu", calls=3)
    assert named.described == "relu, the last of its 3 runs"
    own, after = SinglePass.at(named)(model, inputs), SinglePass("last")(model, inputs)
    assert own.native["gradcam"].abs().sum() > 0
    assert torch.equal(own.native["gradcam"], after.native["gradcam"])


@pytest.mark.fault("B12")
def test_swin_is_read_where_its_channels_come_first_or_last(inputs: Tensor) -> None:
    model = torchvision.models.swin_t(weights=None, num_classes=3).eval()
    assert choose_layer(model, inputs) == CamLayer("permute")
    with pytest.raises(
        UsageError, match=r"\[1, 2, 2, 768\]; expected a map .* as NCHW; fix: --layer norm --layout NHWC"
    ):
        check_layer(model, "norm", inputs)
    last = check_layer(model, "norm", inputs, "NHWC")
    assert last == choose_layer(model, inputs, "NHWC")
    assert last.described == "norm, read as NHWC"
    first = SinglePass("permute")(model, inputs).native["gradcam"]
    assert first.shape == (2, 2, 2)
    assert torch.equal(SinglePass.at(last)(model, inputs).native["gradcam"], first)


def transformer() -> nn.Module:
    """A small vision transformer whose head is not at zero, as torchvision leaves it."""
    model = torchvision.models.VisionTransformer(64, 16, 2, 2, 16, 32, num_classes=3).eval()
    nn.init.normal_(model.heads[-1].weight)
    return model


@pytest.mark.fault("B12")
def test_the_last_tokens_that_matter_are_found_and_the_class_token_left_out(inputs: Tensor, hook_count: Count) -> None:
    model = transformer()
    found = choose_layer(model, inputs)
    assert found == CamLayer("encoder.layers.encoder_layer_1.ln_1", "tokens")
    cam = SinglePass.at(found)(model, inputs).native["gradcam"]
    assert cam.shape == (2, 4, 4)
    assert hook_count(model) == 0
    # The same by hand: Captum gives activations and gradients of the layer, whose rows 1 to 16 are the patches.
    layer = model.get_submodule(found.name)
    (gradient,), (activation,) = _layer_gradients(model, layer, inputs)
    by_hand = (gradient[:, 1:].mean(dim=1, keepdim=True) * activation[:, 1:]).sum(dim=2).reshape(2, 4, 4)
    torch.testing.assert_close(cam, by_hand, rtol=1e-4, atol=1e-6)


def _layer_gradients(model: nn.Module, layer: nn.Module, inputs: Tensor) -> Any:
    return compute_layer_gradients_and_eval(model, layer, inputs, model(inputs).argmax(dim=1))


@pytest.mark.fault("B12")
@pytest.mark.parametrize(
    ("name", "layout", "told"),
    [
        ("encoder.layers.encoder_layer_1", "tokens", "cells on which the answer does not depend"),
        ("encoder.layers.encoder_layer_1.ln_1", None, r"shape \[1, 17, 16\]; expected a map .* as NCHW"),
        ("encoder.layers.encoder_layer_1.self_attention", "tokens", "found tuple"),
    ],
)
def test_what_is_no_map_of_a_transformer_is_refused_with_what_is_one(
    name: str, layout: Layout | None, told: str, inputs: Tensor
) -> None:
    with pytest.raises(UsageError, match=told + ".*--layer encoder.layers.encoder_layer_1.ln_1 --layout tokens"):
        check_layer(transformer(), name, inputs, layout)


class Patches(nn.Module):
    """A token model without attention: a patch embedding, then an MLP over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.LayerNorm(8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.mix(self.embed(x).flatten(2).transpose(1, 2))).mean(dim=1))


def test_patches_without_a_class_token(inputs: Tensor, hook_count: Count) -> None:
    patches = Patches()
    assert choose_layer(patches, inputs) == CamLayer("mix", "tokens")
    assert choose_layer(patches, inputs, "NCHW") == CamLayer("embed")
    assert SinglePass("mix", "tokens")(patches, inputs).native["gradcam"].shape == (2, 16, 16)
    assert hook_count(patches) == 0


@pytest.mark.fault("B11")
def test_a_network_without_maps_is_refused_with_what_can_be_had() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(UsageError, match=r"no layer with a map of 4 or more cells.*--methods saliency") as refused:
        choose_layer(model, torch.rand(1, 3, 4, 4))
    assert refused.value.exit_code == 2
    found = SinglePass.at(None)(model, torch.rand(2, 3, 4, 4))
    assert set(found.maps) == {("saliency", "absolute")}
    assert found.layers == {"saliency": "input"}


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lay4", "did you mean layer4, layer4.1, layer4.0"),
        ("qqq", "last ones are"),
        ("", "no module"),
        ("fc", r"shape \[1, 5\]"),
        ("avgpool", r"shape \[1, 512, 1, 1\].*--layer layer4"),
    ],
)
def test_named_layers_that_cannot_be_used(name: str, told: str, build: Build, inputs: Tensor) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        find_layer(build("resnet18"), inputs, name)
    assert refused.value.exit_code == 2


def test_hooks_are_gone_after_a_failure(build: Build, hook_count: Count) -> None:
    model = build("resnet18")
    for attempt in (lambda x: choose_layer(model, x), lambda x: check_layer(model, "layer4", x)):
        with pytest.raises(SubjectError, match=r"MODEL_CHANNELS.*1 channel; expected 3, which conv1 takes"):
            attempt(torch.rand(1, 1, 64, 64))
        assert hook_count(model) == 0


def test_only_the_first_image_is_run(build: Build) -> None:
    model, sizes = build("resnet18"), []
    handle = model.fc.register_forward_hook(lambda _m, _a, output: sizes.append(len(output)))
    choose_layer(model, torch.rand(4, 3, 64, 64))
    handle.remove()
    assert sizes == [1]
