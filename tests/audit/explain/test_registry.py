"""What the registry says of each method, measured: signs, resolution, costs, contract; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from figureground.audit.classify.opaque import Answering
from figureground.audit.explain.layers import CamLayer, choose_layer
from figureground.audit.explain.registry import CAM_METHODS, explainer_for
from figureground.audit.explain.several import ATTRIBUTIONS, Several
from figureground.audit.methods.options import MethodOptions
from figureground.audit.methods.specs import BY_NAME, EVIDENCE, FAMILIES, ILLUSTRATION, SPECS, MethodSpec
from figureground.errors import UsageError

OPTIONS = MethodOptions(steps=3, samples=2, cells=3)
TARGET = torch.tensor([0, 2, 1])
names = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])


def one(spec: MethodSpec, options: MethodOptions = OPTIONS) -> Several:
    found = explainer_for([spec.name], layer=CamLayer("three"), options=options)
    assert isinstance(found, Several)
    return found


def test_each_method_is_shared_or_has_a_function():
    assert {spec.name for spec in SPECS if not spec.shared} == set(ATTRIBUTIONS)
    assert len(BY_NAME) == len(SPECS)
    assert set(EVIDENCE) | set(ILLUSTRATION) == set(BY_NAME)
    assert set(ILLUSTRATION) == {"deconvolution", "guided_backprop", "guided_gradcam"}


@names
def test_the_contract(spec, ending, few):
    found = one(spec)(ending, few, TARGET)
    assert list(found.maps) == [(spec.name, sign) for sign in spec.signs]
    for values in found.maps.values():
        assert values.dtype == torch.float32
        assert values.shape == (3, 17, 13)
        assert float(values.min()) >= 0
        assert not values.requires_grad
    assert torch.equal(found.target, TARGET)
    torch.testing.assert_close(found.logits, ending(few).detach())
    assert set(found.layers) == set(found.native) == {spec.name}


@names
def test_the_resolution_is_the_one_stated(spec, ending, few):
    cells = {"input": (17, 13), "layer": (9, 7), "cells": (3, 3), "segments": (3, 3)}
    assert one(spec)(ending, few, TARGET).native[spec.name].shape[1:] == cells[spec.resolution]


@names
def test_a_picture_alone_has_the_map_that_it_has_in_a_batch(spec, ending, few):
    together = one(spec)(ending, few, TARGET).native[spec.name]
    alone = one(spec)(ending, few[2:], TARGET[2:]).native[spec.name][0]
    torch.testing.assert_close(alone, together[2], rtol=0, atol=1e-4 * float(together.abs().max()))


@names
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_precision(spec, dtype, ending, few):
    reference = one(spec)(ending, few, TARGET).native[spec.name]
    found = one(spec)(ending.to(dtype), few, TARGET).native[spec.name]
    assert found.dtype == torch.float32
    loose = 1e-4 if dtype == torch.float64 else 0.3
    torch.testing.assert_close(found, reference, rtol=0, atol=loose * float(reference.abs().max()))


@contextmanager
def counted(model: nn.Module) -> Iterator[dict[str, int]]:
    """Images that go forward through the model, or a copy of it, and gradients that come back."""
    found = {"forward": 0, "backward": 0}

    def came_back(gradient: Tensor) -> None:
        found["backward"] += len(gradient)

    def went(_module: nn.Module, _given: object, output: Tensor) -> None:
        found["forward"] += len(output)
        if output.requires_grad:
            output.register_hook(came_back)

    handle = model.register_forward_hook(went)
    try:
        yield found
    finally:
        handle.remove()


@names
@pytest.mark.parametrize("options", [OPTIONS, MethodOptions(steps=5, samples=4, cells=4)], ids=["few", "more"])
def test_the_cost_is_what_is_counted(spec, options, ending, few):
    explain = one(spec, options)
    explain(ending, few, TARGET)  # once looks at the network's anatomy
    with counted(ending) as found:
        explain(ending, few, TARGET)
    # What is stated is for the method alone; here the single pass gives the logits, too.
    beside = 0 if spec.shared or spec.name == "guided_gradcam" else 1
    height, width = few.shape[-2:]
    assert found["forward"] == 3 * (spec.forward.of(options, height, width) + beside)
    # CAM asks for the gradient behind its layer only, which is counted and costs nothing.
    behind = 1 if spec.name == "cam" else 0
    assert found["backward"] == 3 * (spec.backward.of(options, height, width) + beside + behind)
    alone = spec.cost(options, height, width)
    assert explain.cost(height, width) == (alone if not beside else alone + 3)


def test_the_cost_of_several_counts_the_shared_pass_once():
    several = explainer_for([*EVIDENCE[:-1], *ILLUSTRATION], layer=CamLayer("three"), options=OPTIONS)
    apart = sum(spec.cost(OPTIONS, 17, 13) for spec in SPECS if not spec.shared and spec.name != "feature_ablation")
    assert several.cost(17, 13) == 3 + apart - 3  # Guided Grad-CAM has its Grad-CAM already


class Corners(nn.Module):
    """The logit of class 0 rises with the brightness of one corner, falls with that of another; it has all layers."""

    def __init__(self) -> None:
        super().__init__()
        self.three, self.flat, self.head = nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(64, 2, bias=False)
        nn.init.ones_(self.three.weight)
        weight = torch.zeros(2, 8, 8)
        weight[0, :4, :4], weight[0, 4:, 4:] = 1, -2
        self.head.weight.data.copy_(weight.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.flat(self.three(images))))


@pytest.mark.parametrize("spec", [s for s in SPECS if s.name != "cam" and s.use == "evidence"], ids=lambda s: s.name)
def test_the_sign_says_what_is_stated(spec):
    torch.manual_seed(0)
    images = torch.rand(2, 1, 8, 8) * 0.2
    images[:, :, :4, :4] += 1
    images[:, :, 4:, 4:] += 1
    options = MethodOptions(cells=4, baseline="zero", noise=0.01, steps=4, samples=4)
    found = one(spec, options)(Corners().eval(), images, torch.zeros(2, dtype=torch.int64))
    first = found.maps[spec.name, spec.signs[0]]
    speaks_for, against, elsewhere = first[:, :3, :3], first[:, 5:, 5:], first[:, 5:, :3]
    assert float(elsewhere.max()) == pytest.approx(0, abs=1e-5)
    if (
        spec.name == "gradcam"
    ):  # the mean of the gradient over places is negative: Grad-CAM cannot tell the two corners apart
        assert float(first.max()) == 0
    elif spec.signs[0] == "positive":
        assert float(speaks_for.min()) > 0
        assert float(against.max()) == pytest.approx(0, abs=1e-5)
    else:
        assert float(against.min()) == pytest.approx(2 * float(speaks_for.min()), rel=0.01)
    if "absolute" in spec.signs and spec.name != "gradcam":
        assert float(found.maps[spec.name, "absolute"][:, 5:, 5:].min()) > 0


def test_methods_of_the_same_gradient_share_their_passes(ending, few):
    shared = [spec.name for spec in SPECS if spec.shared]
    explain = explainer_for(shared, layer=CamLayer("three"))
    with counted(ending) as found:
        together = explain(ending, few, TARGET)
    assert found == {"forward": 3, "backward": 3}
    for name in shared:
        alone = one(BY_NAME[name])(ending, few, TARGET)
        torch.testing.assert_close(together.native[name], alone.native[name], rtol=0, atol=0)


def test_input_times_gradient_and_hirescam_by_autograd(ending, few):
    found = explainer_for(["hirescam", "input_x_gradient"], layer=CamLayer("second"))(ending, few, TARGET)
    pixels = few.clone().requires_grad_()
    maps = ending.second(ending.one(ending.first(pixels)))
    logits = ending.head(ending.flat(ending.pool(ending.three(ending.third(ending.two(maps))))))
    chosen = logits.gather(1, TARGET[:, None]).sum()
    to_maps, to_pixels = torch.autograd.grad(chosen, (maps, pixels))
    torch.testing.assert_close(found.native["hirescam"], (to_maps * maps).sum(1).detach())
    torch.testing.assert_close(found.native["input_x_gradient"], (to_pixels * pixels).sum(1).detach())


def test_behind_global_average_pooling_three_methods_are_one(ending, few):
    """Grad-CAM generalises CAM (Selvaraju et al., section 3.1); HiResCAM equals both there."""
    found = explainer_for(["cam", "gradcam", "hirescam"], layer=CamLayer("three"))(ending, few, TARGET).native
    cells = found["gradcam"][0].numel()
    torch.testing.assert_close(found["gradcam"] * cells, found["cam"])
    torch.testing.assert_close(found["hirescam"] * cells, found["cam"])


@pytest.mark.parametrize(
    ("methods", "said", "told"),
    [
        (["gradcan"], {}, "did you mean gradcam"),
        (["gradcam"], {}, "LAYER_NONE"),
        (["saliency"], {"access": "answers"}, r"METHOD_ACCESS.*answers alone.*occlusion,feature_ablation"),
        (["cam"], {"access": "gradients"}, r"METHOD_ACCESS.*one whose layers can be"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(methods, said, told):
    with pytest.raises(UsageError, match=told):
        explainer_for(methods, **said)


def test_a_sample_tells_at_once_what_is_not_right_for_the_model(few):
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    model(few)
    explainer_for(["guided_backprop"], model)
    with pytest.raises(UsageError, match="no ReLU runs"):
        explainer_for(["guided_backprop"], model, sample=few)


def test_a_model_known_by_its_answers_alone(ending, few):
    found = explainer_for(["feature_ablation"], access="answers", options=OPTIONS)(
        Answering(lambda images: ending(images).detach(), "net"), few
    )
    assert list(found.maps) == [("feature_ablation", "positive"), ("feature_ablation", "absolute")]
    assert explainer_for(["feature_ablation"], access="answers", options=OPTIONS).cost(17, 13) == 1 + 10


MODELS = {
    "ResNet": "resnet18",
    "DenseNet": "densenet121",
    "VGG": "vgg11_bn",
    "MobileNetV2": "mobilenet_v2",
    "ConvNeXt": "convnext_tiny",
    "Swin": "swin_t",
}


def small(family: str) -> nn.Module:
    torch.manual_seed(0)
    if family == "ViT":
        return timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=3).eval()
    return torchvision.models.get_model(MODELS[family], weights=None, num_classes=3).eval()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_each_method_works_on_the_families_that_are_named_and_is_refused_elsewhere(family):
    model, images = small(family), torch.rand(2, 3, 64, 64)
    layer, options = choose_layer(model, images), MethodOptions(steps=2, samples=2, cells=2, noise=0.1)
    for spec in SPECS:
        explain = explainer_for([spec.name], layer=layer, options=options)
        if family not in spec.families:
            with pytest.raises(UsageError, match=f"METHOD_MODEL.*{spec.name}"):
                explain(model, images, TARGET[:2])
            continue
        native = explain(model, images, TARGET[:2]).native[spec.name]
        assert bool(torch.isfinite(native).all()), spec.name
        assert float(native.abs().max()) > 0, spec.name


def test_layers_are_needed_by_those_that_look_at_one():
    assert set(CAM_METHODS) == {spec.name for spec in SPECS if "keeps places" in spec.works_on}
