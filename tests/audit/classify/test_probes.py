"""Every probe passes on a sound model and fails on one that was spoiled for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from figureground.audit.classify.module import Classifier
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import as_subject, weights_sha256
from figureground.audit.document import TrustCheck
from figureground.errors import SubjectError

NAMES = [
    "output_shape", "finite", "eval_mode_holds", "deterministic", "batch_invariant", "input_not_mutated",
    "gradient_nonzero", "map_shape", "weights_unchanged", "hooks_restored",
]  # fmt: skip
Spoil = Callable[["Network", Tensor, Tensor], object]


class Network(nn.Module):
    """A sound network whose logits a test can spoil: ``spoil(self, pixels, logits)``."""

    classes = ("a", "b", "c")

    def __init__(self, spoil: Spoil = lambda _self, _pixels, logits: logits) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.spoil = spoil

    def forward(self, pixels: Tensor) -> object:
        logits = self.head(self.conv(pixels).relu().mean(dim=(2, 3)))
        return self.spoil(self, pixels, logits)


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 8, 8)


def check(model: nn.Module, sample: Tensor | None = None, layer: str | None = "conv") -> dict[str, TrustCheck]:
    sample = images() if sample is None else sample
    return {c.check: c for c in check_auditable(as_subject(model), sample, layer)}


def failed(checks: dict[str, TrustCheck]) -> set[str]:
    assert all(c.reason for c in checks.values() if c.status != "passed")
    assert all(c.reason is None for c in checks.values() if c.status == "passed")
    return {name for name, c in checks.items() if c.status == "failed"}


def test_a_sound_model_passes_everything(classifier: Classifier) -> None:
    classifier.train()
    before = weights_sha256(classifier)
    checks = check_auditable(as_subject(classifier), torch.rand(4, 3, 32, 32), "network.features")
    assert [c.check for c in checks] == NAMES
    assert {c.status for c in checks} == {"passed"}
    assert all(module.training for module in classifier.modules())
    assert weights_sha256(classifier) == before
    assert all(p.grad is None for p in classifier.parameters())


def test_one_image_and_no_layer_leave_two_probes_unrun() -> None:
    checks = check(Network(), images(1), layer=None)
    assert {name for name, c in checks.items() if c.status == "not_run"} == {"batch_invariant", "map_shape"}
    assert not failed(checks)


def test_double_precision_models_are_given_double_images() -> None:
    assert not failed(check(Network().double()))


def _noise(_model: Network, _pixels: Tensor, logits: Tensor) -> Tensor:
    return logits + torch.rand_like(logits)


def _batch_mean(_model: Network, _pixels: Tensor, logits: Tensor) -> Tensor:
    return logits - logits.mean(dim=0)


def _in_place(_model: Network, pixels: Tensor, logits: Tensor) -> Tensor:
    with torch.no_grad():
        pixels.data.mul_(0.5)
    return logits


def _count(model: Network, _pixels: Tensor, logits: Tensor) -> Tensor:
    assert isinstance(model.calls, Tensor)
    model.calls += 1
    return logits


def _leak(model: Network, _pixels: Tensor, logits: Tensor) -> Tensor:
    model.head.register_forward_hook(lambda *_: None)
    return logits


def _first_is_nan(_model: Network, pixels: Tensor, logits: Tensor) -> Tensor:
    return torch.where((pixels.amax(dim=(1, 2, 3)) > 2)[:, None], torch.nan, logits)


def _saturated(_model: Network, pixels: Tensor, logits: Tensor) -> Tensor:
    bright = (pixels.amax(dim=(1, 2, 3)) > 2).float()[:, None]
    return logits * (1 - bright)


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (_noise, {"deterministic", "batch_invariant"}),
        (_batch_mean, {"batch_invariant"}),
        (_in_place, {"input_not_mutated"}),
        (_count, {"weights_unchanged"}),
        (_leak, {"hooks_restored"}),
        (_first_is_nan, {"finite"}),
        (_saturated, {"gradient_nonzero"}),
    ],
)
def test_spoiled_models_fail_their_probe_alone(spoil: Spoil, names: set[str]) -> None:
    sample = images()
    sample[0] *= 5
    model = Network(spoil)
    checks = check(model, sample)
    assert failed(checks) == names
    assert not torch.equal(model.conv.weight, torch.zeros_like(model.conv.weight))


def test_counts_say_how_many_images_failed() -> None:
    sample = images(4)
    sample[:2] *= 5
    checks = check(Network(_first_is_nan), sample)
    assert (checks["finite"].value, checks["finite"].n) == (2, 4)
    assert checks["gradient_nonzero"].n == 2


def test_batch_dependence_is_measured() -> None:
    sample = images()
    model = Network(_batch_mean)
    with torch.no_grad():
        alone, together = torch.cat([model(sample[i : i + 1]) for i in range(3)]), model(sample)
    expected = float((alone - together).abs().max() / together.abs().max())
    assert check(model, sample)["batch_invariant"].value == pytest.approx(expected, rel=1e-5)


def test_a_model_that_stays_in_training_mode() -> None:
    class Stubborn(Network):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.drop.train = lambda *_: self.drop  # type: ignore[method-assign, assignment]

        def forward(self, pixels: Tensor) -> object:
            return super().forward(self.drop(pixels))

    checks = check(Stubborn())
    assert {"eval_mode_holds", "deterministic"} <= failed(checks)
    assert "drop" in str(checks["eval_mode_holds"].reason)


@pytest.mark.parametrize(
    ("layer", "told"), [("head", "head gives [3, 3]"), ("absent", "runs 0 times"), ("", "gives [3, 3]")]
)
def test_layers_without_a_map(layer: str, told: str) -> None:
    checks = check(Network(), layer=layer)
    assert failed(checks) == {"map_shape"}
    assert told in str(checks["map_shape"].reason)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda _m, _p, logits: logits[:, :1], r"found \[B, 1\].*nobody declared.*declare kind='binary'"),
        (lambda _m, _p, logits: logits[:, :2], "found 2 logits; expected 3, one for each of a, b, c"),
        (lambda _m, _p, logits: logits[0], r"shape \[3\]"),
        (lambda _m, _p, logits: {"logits": logits}, r"a dict with logits \[3, 3\]"),
        (lambda _m, _p, logits: (logits,), "found a tuple"),
        (lambda _m, _p, logits: logits * torch.nan, "no finite row"),
        (lambda _m, _p, logits: logits.detach(), "logits without a gradient"),
        (lambda _m, _p, logits: logits * 0, "a gradient of zero for every image"),
        (lambda m, _p, logits: 0 * logits.detach() + m.head.bias, "do not depend on the input"),
    ],
)
def test_fatal_faults(spoil: Spoil, told: str) -> None:
    model = Network(spoil).train()
    with pytest.raises(SubjectError, match=told):
        check(model)
    assert all(module.training for module in model.modules())
    assert not any(len(module._forward_hooks) for module in model.modules())


def test_images_that_do_not_suit_the_model() -> None:
    with pytest.raises(SubjectError, match=r"MODEL_FORWARD.*expected input.*channels.*\[2, 1, 8, 8\]"):
        check(Network(), torch.rand(2, 1, 8, 8))


def test_works_inside_inference_mode() -> None:
    model = Network()
    with torch.inference_mode():
        assert not failed(check(model))
