"""The single pass against Captum's own Saliency and LayerGradCam, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, Saliency
from torch import Tensor, nn

from figureground.audit.explain.explanation import Explanation
from figureground.audit.explain.single_pass import SinglePass
from figureground.errors import SubjectError, UsageError

Build = Callable[[str], nn.Module]
Count = Callable[[nn.Module], int]


def relative(found: Tensor, reference: Tensor) -> float:
    assert float(reference.abs().max()) > 0
    return float((found - reference).abs().max() / reference.abs().max())


def test_equal_to_captum(architecture: str, layer: str, build: Build, inputs: Tensor) -> None:
    model = build(architecture)
    explanation = SinglePass(layer)(model, inputs)
    target = model(inputs).argmax(dim=1)
    saliency = Saliency(model).attribute(inputs.clone().requires_grad_(), target=target).amax(dim=1)
    cam = LayerGradCam(model, model.get_submodule(layer)).attribute(inputs, target=target)[:, 0].detach()
    assert torch.equal(explanation.predicted, target)
    assert torch.equal(explanation.target, target)
    assert relative(explanation.logits, model(inputs).detach()) <= 1e-6
    assert relative(explanation.maps["saliency", "absolute"], saliency) <= 1e-6
    assert relative(explanation.native["gradcam"], cam) <= 1e-6
    assert cam.shape[1] * cam.shape[2] >= 4
    assert float(cam.std()) > 0


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121"])
def test_explains_the_given_target(architecture: str, layer: str, build: Build, inputs: Tensor) -> None:
    model = build(architecture)
    target = (model(inputs).argmax(dim=1) + torch.tensor([1, 2])) % 5
    explanation = SinglePass(layer)(model, inputs, target)
    cam = LayerGradCam(model, model.get_submodule(layer)).attribute(inputs, target=target)[:, 0].detach()
    assert torch.equal(explanation.target, target)
    assert not torch.equal(explanation.predicted, target)
    assert relative(explanation.native["gradcam"], cam) <= 1e-6


def test_without_the_clone_densenet_would_give_another_map(build: Build, inputs: Tensor) -> None:
    """DenseNet applies an in-place ReLU to the output of ``features``: a bare reference sees its result."""
    model = build("densenet121")
    kept: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _arguments: object, output: Tensor) -> None:
        kept["activation"] = output.detach()
        output.register_hook(lambda gradient: kept.update(gradient=gradient))

    handle = model.get_submodule("features").register_forward_hook(keep)
    logits = model(inputs)
    handle.remove()
    logits.gather(1, logits.argmax(dim=1, keepdim=True)).sum().backward()
    model.zero_grad(set_to_none=True)
    naive = (kept["gradient"].mean(dim=(2, 3), keepdim=True) * kept["activation"]).sum(dim=1)
    assert relative(SinglePass("features")(model, inputs).native["gradcam"], naive) > 0.05


def test_maps_follow_from_the_signed_map(build: Build, inputs: Tensor) -> None:
    """Sign first, at layer resolution; then bilinear upsampling, written out here with NumPy."""
    explanation = SinglePass("layer4")(build("resnet18"), inputs)
    cam = explanation.native["gradcam"].numpy()
    for sign, kept in (("positive", np.maximum(cam, 0)), ("absolute", np.abs(cam))):
        expected = np.stack([_bilinear(image, 64) for image in kept])
        found = explanation.maps["gradcam", sign].numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(cam).max())


def _bilinear(cam: np.ndarray, size: int) -> np.ndarray:
    cells = len(cam)
    centres = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(cells)[None, :]))
    return weights @ cam @ weights.T


def test_shapes_types_and_signs(build: Build) -> None:
    explanation = SinglePass("layer4")(build("resnet18"), torch.randn(3, 3, 64, 96))
    signs = {"saliency": ("absolute",), "gradcam": ("positive", "absolute")}
    assert set(explanation.maps) == {(method, sign) for method in signs for sign in signs[method]}
    for values in explanation.maps.values():
        assert values.shape == (3, 64, 96)
        assert values.dtype == torch.float32
        assert float(values.min()) >= 0
    assert explanation.native["gradcam"].shape == (3, 2, 3)
    assert explanation.native["saliency"].shape == (3, 64, 96)
    assert explanation.layers == {"saliency": "input", "gradcam": "layer4"}
    assert explanation.logits.dtype == torch.float32
    assert not any(t.requires_grad for t in (explanation.logits, *explanation.maps.values()))


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121"])
def test_order_and_batch_do_not_matter(architecture: str, layer: str, build: Build) -> None:
    # In double precision: single rounding flips a ReLU near zero now and then and moves a gradient by 1e-3.
    model, images = deepcopy(build(architecture)).double(), torch.randn(3, 3, 64, 64)
    explain = SinglePass(layer)
    whole, turned = explain(model, images), explain(model, images.flip(0))
    single = [explain(model, images[i : i + 1]) for i in range(3)]
    for key, values in whole.maps.items():
        assert relative(turned.maps[key].flip(0), values) <= 1e-5
        assert relative(torch.cat([one.maps[key] for one in single]), values) <= 1e-5


def test_one_forward_and_one_backward(build: Build, inputs: Tensor) -> None:
    model = build("resnet18")
    forwards: list[int] = []
    backwards: list[int] = []

    def count(_module: nn.Module, _arguments: object, output: Tensor) -> None:
        forwards.append(len(output))
        output.register_hook(lambda gradient: backwards.append(len(gradient)))

    handle = model.conv1.register_forward_hook(count)
    SinglePass("layer4")(model, inputs)
    handle.remove()
    assert forwards == [2]
    assert backwards == [2]


@pytest.mark.fault("B8")
@pytest.mark.parametrize("frozen", [False, True])
def test_leaves_model_and_inputs_alone(frozen: bool, build: Build, inputs: Tensor) -> None:
    model = build("mobilenet_v3_small")
    reference = SinglePass("features")(model, inputs)
    before = inputs.clone()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        model.requires_grad_(not frozen)
        explanation = SinglePass("features")(model, inputs)
        assert all(p.grad is None and p.requires_grad is not frozen for p in model.parameters())
    finally:
        model.requires_grad_(True)
    assert torch.equal(explanation.native["gradcam"], reference.native["gradcam"])
    assert torch.equal(inputs, before)
    assert inputs.grad is None
    assert not inputs.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(context: Callable[[], object], build: Build, inputs: Tensor) -> None:
    model, target = build("resnet18"), torch.tensor([4, 0])
    reference = SinglePass("layer4")(model, inputs, target)
    with context():  # type: ignore[attr-defined]
        explanation = SinglePass("layer4")(model, inputs * 1.0, target + 0)
    for key, values in reference.maps.items():
        assert torch.equal(explanation.maps[key], values)


class Network(nn.Module):
    """A small network whose forward a test can spoil."""

    def __init__(self, spoil: Callable[[Tensor], object] = lambda logits: logits, classes: int = 3) -> None:
        super().__init__()
        self.conv, self.relu, self.spoil = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), spoil
        self.head = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> object:
        x -= 0.1  # in-place preprocessing, as found in the wild
        return self.spoil(self.head(self.relu(self.conv(x)).mean(dim=(2, 3))))


def test_in_place_preprocessing_is_no_obstacle() -> None:
    images = torch.rand(2, 3, 8, 8)
    before = images.clone()
    explanation = SinglePass("conv")(Network(), images)
    assert torch.equal(images, before)
    assert float(explanation.maps["saliency", "absolute"].max()) > 0


@pytest.mark.fault("B16")
def test_double_precision_models_get_double_inputs() -> None:
    images, model = torch.rand(2, 3, 8, 8), Network()
    single = SinglePass("conv")(model, images)
    double = SinglePass("conv")(model.double(), images)
    assert double.maps["gradcam", "absolute"].dtype == torch.float32
    assert relative(double.native["gradcam"], single.native["gradcam"]) <= 1e-5


@pytest.mark.fault("B16")
@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (lambda model: model.to(torch.bfloat16), 0.05),
        (lambda model: model.to(memory_format=torch.channels_last), 1e-5),
    ],
)
def test_other_types_and_memory_layouts_give_the_same_maps(
    change: Callable[[nn.Module], nn.Module], tolerance: float
) -> None:
    images, model = torch.rand(2, 3, 8, 8), Network()
    plain = SinglePass("conv")(model, images)
    other = SinglePass("conv")(change(model), images)
    for method, native in other.native.items():
        assert native.dtype == torch.float32
        # On average: a rectifier whose input rounds to the other side of zero changes single pixels.
        reference = plain.native[method].abs().mean()
        assert (native - plain.native[method]).abs().mean() <= tolerance * reference


def test_nonfinite_logits_are_the_callers_to_see() -> None:
    def spoil(logits: Tensor) -> Tensor:
        return logits + torch.tensor([[0.0], [float("nan")]])

    explanation = SinglePass("conv")(Network(spoil), torch.rand(2, 3, 8, 8))
    assert torch.isfinite(explanation.logits).all(dim=1).tolist() == [True, False]
    assert torch.isfinite(explanation.maps["saliency", "absolute"][0]).all()


def _fails(logits: Tensor) -> Tensor:
    raise ZeroDivisionError("spoiled")


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (_fails, ZeroDivisionError, "spoiled"),
        (lambda logits: logits[:, 0], SubjectError, r"shape \[2\]"),
        (lambda logits: {"logits": logits}, SubjectError, "found dict"),
        (lambda logits: logits.detach(), SubjectError, "without a gradient"),
    ],
)
def test_failures_leave_no_hook(
    spoil: Callable[[Tensor], object], error: type[Exception], told: str, hook_count: Count
) -> None:
    model = Network(spoil)
    with pytest.raises(error, match=told):
        SinglePass("conv")(model, torch.rand(2, 3, 8, 8))
    assert hook_count(model) == 0


@pytest.mark.parametrize(
    "target",
    [
        torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0]), torch.tensor([[0], [1]]),
        torch.tensor([0, 1], dtype=torch.int32), torch.tensor([0.0, 1.0]),
    ],
)  # fmt: skip
def test_bad_targets_are_refused(target: Tensor, hook_count: Count) -> None:
    model = Network()
    with pytest.raises(UsageError, match="TARGET"):
        SinglePass("conv")(model, torch.rand(2, 3, 8, 8), target)
    assert hook_count(model) == 0


def test_layers_that_give_no_map_are_refused(hook_count: Count) -> None:
    model = Network()
    unused = Network()
    unused.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(SubjectError, match=r"layer head: found shape \[2, 3\]"):
        SinglePass("head")(model, torch.rand(2, 3, 8, 8))
    with pytest.raises(SubjectError, match="layer con: found no module"):
        SinglePass("con")(model, torch.rand(2, 3, 8, 8))
    with pytest.raises(SubjectError, match="0 forward calls, 0 backward"):
        SinglePass("spare")(unused, torch.rand(2, 3, 8, 8))
    assert hook_count(model) == hook_count(unused) == 0


@pytest.mark.fault("B18")
def test_users_hooks_stay(hook_count: Count) -> None:
    model = Network()
    seen: list[str] = []
    model.conv.register_forward_hook(lambda *_: seen.append("user"))
    explanation = SinglePass("conv")(model, torch.rand(2, 3, 8, 8))
    assert isinstance(explanation, Explanation)
    assert seen == ["user"]
    assert hook_count(model) == 1
