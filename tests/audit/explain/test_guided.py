"""Deconvolution and guided backpropagation against Captum, hooks by hand, and networks that hooks get wrong."""

from __future__ import annotations

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam
from torch import Tensor, nn
from torch.nn import functional as F

from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.registry import explainer_for
from figureground.errors import UsageError

TARGET = torch.tensor([0, 2, 1])
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*hooks:UserWarning")


def explained(name: str, model: nn.Module, images: Tensor, layer: str | None = None) -> Tensor:
    explainer = explainer_for([name], model, None if layer is None else CamLayer(layer))
    found = explainer(model, images, TARGET[: len(images)])
    assert set(found.maps) == {(name, "absolute")}
    return found.maps[name, "absolute"]


def by_hand(model: nn.Module, images: Tensor, guided: bool) -> Tensor:
    """Hooks on the ReLUs of ``Ending``, written from the papers' own definitions."""
    kept: dict[nn.Module, Tensor] = {}

    def back(module: nn.Module, _given: object, gradients: tuple[Tensor, ...]) -> tuple[Tensor]:
        passed = gradients[0].clamp(min=0)
        return (passed * (kept[module] > 0) if guided else passed,)

    handles = []
    for relu in (model.one, model.two, model.three):
        handles.append(relu.register_forward_hook(lambda module, _, output: kept.__setitem__(module, output.detach())))
        handles.append(relu.register_full_backward_hook(back))
    pixels = images.clone().requires_grad_()
    model(pixels).gather(1, TARGET[:, None]).sum().backward()
    for handle in handles:
        handle.remove()
    assert pixels.grad is not None
    return pixels.grad.abs().amax(1)


@pytest.mark.parametrize(("name", "method"), [("deconvolution", Deconvolution), ("guided_backprop", GuidedBackprop)])
def test_equal_to_captum_and_to_hooks_by_hand(ending, few, name, method):
    found = explained(name, ending, few)
    reference = method(ending).attribute(few.clone().requires_grad_(), target=TARGET).abs().amax(1)
    assert float(reference.max()) > 0
    torch.testing.assert_close(found, reference)
    torch.testing.assert_close(found, by_hand(ending, few, guided=name == "guided_backprop"))


def test_guided_gradcam_is_captums(ending, few):
    reference = GuidedGradCam(ending, ending.two).attribute(
        few.clone().requires_grad_(), target=TARGET, interpolate_mode="bilinear"
    )
    found = explained("guided_gradcam", ending, few, "two")
    cam = explainer_for(["gradcam"], ending, CamLayer("two"))(ending, few, TARGET).native["gradcam"]
    grown = F.interpolate(cam.clamp(min=0)[:, None], few.shape[-2:], mode="bilinear", align_corners=False)
    # Captum takes the positive part after enlarging, so that the two are alike and not the same.
    torch.testing.assert_close(found, (explained("guided_backprop", ending, few)[:, None] * grown)[:, 0])
    assert float(torch.corrcoef(torch.stack([found.flatten(), reference.detach().abs().amax(1).flatten()]))[0, 1]) > 0.9


@pytest.mark.parametrize("name", ["deconvolution", "guided_backprop"])
def test_a_relu_that_works_in_place_runs_often_or_is_a_function_counts_every_time(ending, tangled, few, name):
    """Captum's hooks see one module, whose runs they mix up: it gives another map here, without a word."""
    torch.testing.assert_close(tangled(few), ending(few))
    torch.testing.assert_close(explained(name, tangled, few), explained(name, ending, few))


class Functions(nn.Module):
    """ReLUs by other names."""

    def __init__(self, relu) -> None:
        super().__init__()
        self.conv, self.head, self.relu = nn.Conv2d(3, 5, 3), nn.Linear(5, 3), relu

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.relu(self.conv(images)).mean((2, 3))))


RELUS = {
    "F.relu": F.relu,
    "in place": lambda x: F.relu(x, inplace=True),
    "relu_": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0.0),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=list(RELUS))
def test_relus_by_other_names(few, relu):
    torch.manual_seed(0)
    model, plain = Functions(relu).eval(), Functions(nn.ReLU()).eval()
    plain.load_state_dict(model.state_dict())
    reference = GuidedBackprop(plain).attribute(few.clone().requires_grad_(), target=TARGET).abs().amax(1)
    torch.testing.assert_close(explained("guided_backprop", model, few), reference)


class Aliased(Functions):
    """Its ReLU is used for what it does to its argument."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        F.relu(maps, inplace=True)
        return torch.as_tensor(self.head(maps.mean((2, 3))))


@pytest.mark.parametrize("relu", [F.gelu, lambda x: x.clamp(min=0, max=6), F.silu])
def test_networks_without_relus_are_refused_with_what_would_do(few, relu):
    with pytest.raises(UsageError, match=r"METHOD_MODEL.*no ReLU runs.*--methods saliency,"):
        explained("guided_backprop", Functions(relu).eval(), few)


@pytest.mark.parametrize(("name", "method"), [("deconvolution", Deconvolution), ("guided_backprop", GuidedBackprop)])
def test_an_activation_that_is_used_for_what_it_does_to_its_argument(few, name, method):
    torch.manual_seed(0)
    model, plain = Aliased(None).eval(), Functions(nn.ReLU()).eval()
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(few), plain(few))
    reference = method(plain).attribute(few.clone().requires_grad_(), target=TARGET).abs().amax(1)
    torch.testing.assert_close(explained(name, model, few), reference)


class Fickle(Functions):
    """Answers otherwise each time that it is asked."""

    asked = 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += 1
        return torch.as_tensor(super().forward(images) + self.asked)


def test_a_network_that_answers_otherwise_when_its_relus_are_replaced_is_refused(few):
    with pytest.raises(UsageError, match="answers otherwise"):
        explained("deconvolution", Fickle(nn.ReLU()).eval(), few)


def test_resnet_needs_what_hooks_on_modules_do_not_see(build, inputs):
    model = build("resnet18")
    found = explained("guided_backprop", model, inputs)
    with_hooks = GuidedBackprop(model).attribute(inputs.clone().requires_grad_(), target=TARGET[:2]).abs().amax(1)
    torch.testing.assert_close(found, with_hooks, rtol=1e-3, atol=1e-3 * float(found.max()))
