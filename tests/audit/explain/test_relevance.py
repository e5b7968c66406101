"""DeepLift and LRP: right on networks that Captum alone gets wrong, refused where they cannot be right."""

from __future__ import annotations

import pytest
import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from figureground.audit.classify.readout import TwoClasses
from figureground.audit.explain.registry import explainer_for
from figureground.audit.explain.relevance import RULED
from figureground.audit.methods.options import MethodOptions
from figureground.errors import UsageError

TARGET = torch.tensor([0, 2, 1])
ZERO = MethodOptions(baseline="zero")
quiet = pytest.mark.filterwarnings("ignore:(?s).*:UserWarning")


def native(name: str, model: nn.Module, images: Tensor, options: MethodOptions = ZERO) -> Tensor:
    return explainer_for([name], model, options=options)(model, images, TARGET[: len(images)]).native[name]


def deeplift_of(model: nn.Module, images: Tensor) -> Tensor:
    pixels = images.clone().requires_grad_()
    return DeepLift(model).attribute(pixels, torch.zeros_like(images), target=TARGET[: len(images)]).detach().sum(1)


@quiet
def test_deeplift_is_captums_where_no_module_runs_twice(ending, few):
    torch.testing.assert_close(native("deeplift", ending, few), deeplift_of(ending, few))


@quiet
def test_deeplift_is_right_where_captum_mixes_up_the_runs_of_one_module(ending, tangled, few):
    found = native("deeplift", tangled, few)
    torch.testing.assert_close(found, native("deeplift", ending, few))


@pytest.mark.parametrize("baseline", ["mean", "zero"])
def test_contributions_add_up_to_the_difference_of_the_logits(build, inputs, baseline):
    model = build("resnet18")
    found = native("deeplift", model, inputs, MethodOptions(baseline=baseline))
    base = inputs.mean((2, 3), keepdim=True).expand_as(inputs) if baseline == "mean" else torch.zeros_like(inputs)
    with torch.no_grad():
        difference = (model(inputs) - model(base)).gather(1, TARGET[:2, None])[:, 0]
    torch.testing.assert_close(found.sum((1, 2)), difference, rtol=1e-2, atol=1e-2)


def test_deeplift_by_the_rescale_rule_by_hand():
    """One unit: the multiplier of a ReLU is the change of its output over the change of its input."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[2.0, 1.0]]))
        model[1].bias.fill_(-1.0)
        model[3].weight.copy_(torch.tensor([[3.0], [0.0]]))
    image = torch.tensor([[[[1.0, 2.0]]]])  # 2 + 2 - 1 = 3 in, 3 out; at zero -1 in, 0 out
    found = native("deeplift", model, image)
    torch.testing.assert_close(found, torch.tensor([[[2.0, 2.0]]]) * 3 * (3 - 0) / (3 - -1))


@pytest.mark.parametrize(
    ("middle", "told"),
    [
        (nn.GELU(), "GELU"),
        (nn.ReLU6(), "ReLU6"),
        (type("Mine", (nn.ReLU,), {})(), "Mine"),
        (nn.LayerNorm(8), "LayerNorm"),
    ],
)
def test_deeplift_refuses_what_has_no_rule_by_name(make_ending, few, middle, told):
    model = make_ending(nn.Sequential(nn.Linear(8, 8), middle, nn.Linear(8, 3)))
    with pytest.raises(UsageError, match=rf"METHOD_MODEL.*deeplift.*{told}.*integrated_gradients"):
        native("deeplift", model, few)


@pytest.mark.parametrize("ruled", RULED)
def test_every_module_that_we_take_for_known_adds_up(few, ruled):
    torch.manual_seed(0)
    pooling = {nn.MaxPool1d: nn.Identity(), nn.MaxPool2d: nn.MaxPool2d(2), nn.MaxPool3d: nn.Identity()}
    made = pooling.get(ruled) or ruled()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), made, nn.Flatten(), nn.LazyLinear(3)).eval()
    model(few)
    assert bool(torch.isfinite(native("deeplift", model, few)).all())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.head((images + self.relu(self.conv(images))).mean((2, 3))))


@pytest.mark.parametrize(
    "which", ["ending", "resnet18", pytest.param("densenet121", marks=pytest.mark.slow), "tangled"]
)
def test_lrp_is_input_times_gradient_in_networks_of_relus(which, ending, few, build, inputs):
    """Ancona et al., ICLR 2018, proposition 1: an independent account of the epsilon rule, biases included.

    Sums, and a ReLU that is a function, runs twice or works in place, are no exception.
    """
    images, model = (few, ending) if which in ("ending", "tangled") else (inputs[:1], build(which))
    if which == "tangled":
        model = nn.Sequential(ending.first, (shared := nn.ReLU(inplace=True)), ending.second, shared, nn.MaxPool2d(2),
                              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Identity(), ending.head).eval()  # fmt: skip
    found = native("lrp", model, images)
    reference = native("input_x_gradient", model, images)
    torch.testing.assert_close(found, reference, rtol=0, atol=1e-3 * float(reference.abs().max()))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Residual(), "mean between its modules"),
        (nn.Sequential(nn.Conv2d(3, 3, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(3)), "GELU"),
        (TwoClasses(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Flatten(), nn.LazyLinear(1))), "neg, div"),
    ],
)
def test_lrp_refuses_what_is_no_chain_of_known_modules(few, model, told):
    model.eval()(few)
    with pytest.raises(UsageError, match=rf"METHOD_MODEL.*lrp.*{told}"):
        explainer_for(["lrp"], model)(model, few)


@pytest.mark.parametrize("name", ["deeplift", "lrp"])
def test_what_never_runs_needs_no_rule(ending, few, name):
    reference = native(name, ending, few)
    ending.metric, ending.unused = MulticlassAccuracy(num_classes=3), nn.GELU()
    torch.testing.assert_close(native(name, ending, few), reference)


@pytest.mark.parametrize("name", ["deeplift", "lrp"])
def test_the_model_itself_is_left_as_it_was(tangled, few, name, hook_count):
    model = tangled if name == "deeplift" else nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.ReLU(inplace=True))
    model.eval()(few)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modules, hooks = list(model.modules()), hook_count(model)
    native(name, model, few)
    assert list(model.modules()) == modules
    assert hook_count(model) == hooks
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_network_that_cannot_be_copied_is_refused(ending, few):
    ending.held = (each for each in "a generator")
    with pytest.raises(UsageError, match="cannot be copied"):
        native("deeplift", ending, few)
