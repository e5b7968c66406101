"""Every probe passes on a sound model and fails on one that was spoiled for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from figureground.audit.classify.lasting import hook_counts
from figureground.audit.classify.module import Classifier
from figureground.audit.classify.probes import check_auditable
from figureground.audit.classify.subject import as_subject, weights_sha256
from figureground.audit.declared.task import Kind
from figureground.audit.document.audit_json import TrustCheck
from figureground.errors import SubjectError

NAMES = [
    "eval_mode_holds", "output_shape", "finite", "outputs_are_logits", "deterministic", "batch_invariant",
    "input_not_mutated", "gradient_nonzero", "map_shape", "nothing_kept", "weights_unchanged", "hooks_restored",
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


@pytest.mark.fault("B1")
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


@pytest.mark.fault("B2")
def test_a_part_that_stays_in_training_mode_is_named() -> None:
    class Stubborn(Network):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.drop.train = lambda *_: self.drop  # type: ignore[method-assign, assignment]

        def forward(self, pixels: Tensor) -> object:
            return super().forward(self.drop(pixels))

    with pytest.raises(SubjectError, match=r"MODEL_TRAINING.*after eval\(\): drop;") as refused:
        check(Stubborn())
    assert refused.value.exit_code == 4


@pytest.mark.fault("B6")
def test_a_softmax_is_noted_and_saturated_images_are_counted() -> None:
    sample = images(4)
    sample[0] *= 1e6
    found = check(Network(lambda _m, _p, logits: (logits * 3).softmax(1)), sample)
    assert failed(found) == {"outputs_are_logits", "gradient_nonzero"}
    assert (found["outputs_are_logits"].value, found["gradient_nonzero"].value) == (1, 1)
    assert "rows sum to one: probabilities (softmax)" in str(found["outputs_are_logits"].reason)
    assert "1 of 4 are saturated" in str(found["outputs_are_logits"].reason)


@pytest.mark.fault("B6")
def test_a_log_softmax_is_noted_and_serves() -> None:
    found = check_auditable(as_subject(Network(lambda _m, _p, logits: logits.log_softmax(1))), images(), "conv")
    assert {line.status for line in found} == {"passed"}
    assert [line.reason for line in found if line.reason] == [
        "rows are log-probabilities (log-softmax), which serve as logits"
    ]


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_a_sigmoid_is_told_where_thresholds_would_be_applied_twice(kind: Kind) -> None:
    def sigmoid(_model: Network, _pixels: Tensor, logits: Tensor) -> Tensor:
        return (logits[:, :1] if kind == "binary" else logits[:, :2]).sigmoid()

    model = Network(sigmoid)
    model.classes = ("a", "b")
    subject = as_subject(model, kind=kind)
    found = {line.check: line for line in check_auditable(subject, images(), None)}
    assert "between 0 and 1" in str(found["outputs_are_logits"].reason)
    assert failed(found) == {"outputs_are_logits"}


@pytest.mark.fault("B16")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float32])
def test_probes_of_other_types_and_layouts_pass(dtype: torch.dtype) -> None:
    assert not failed(check(Network().to(dtype=dtype, memory_format=torch.channels_last)))


@pytest.mark.fault("B17")
@pytest.mark.parametrize(("channels", "fix"), [(1, "--channels gray"), (4, "wrap the model")])
def test_channels_that_do_not_suit_are_stated(channels: int, fix: str) -> None:
    model = Network()
    model.conv = nn.Conv2d(channels, 6, 3)
    with pytest.raises(SubjectError, match=rf"images of 3 channels; expected {channels}, which conv takes; fix: {fix}"):
        check(model)


def _raising(_module: nn.Module, _arguments: object, _output: object) -> None:
    raise RuntimeError("no room left")


@pytest.mark.fault("B18")
def test_a_hook_that_raises_is_named_and_none_of_ours_stays() -> None:
    model = Network()
    model.head.register_forward_hook(_raising)
    with pytest.raises(SubjectError, match="the hook _raising on head, which raises RuntimeError: no room left") as why:
        check(model)
    assert why.value.exit_code == 4
    assert sum(hook_counts(model).values()) == 1


@pytest.mark.fault("B18")
@pytest.mark.parametrize("keep", [lambda output: output, lambda output: output.detach()])
def test_a_hook_that_keeps_a_tensor_of_every_pass_is_named(keep: Callable[[Tensor], Tensor]) -> None:
    model, kept = Network(), []

    def hoard(_module: nn.Module, _arguments: object, output: Tensor) -> None:
        kept.append(keep(output))

    model.conv.register_forward_hook(hoard)
    with pytest.raises(SubjectError, match=r"kept after the pass, 3 after 3 passes .* by the hook .*hoard on conv"):
        check(model)
    assert sum(hook_counts(model).values()) == 1


def test_a_hook_that_keeps_the_last_output_only_is_let_be() -> None:
    model, last = Network(), {}
    model.conv.register_forward_hook(lambda _m, _a, output: last.update(output=output))
    assert not failed(check(model))


@pytest.mark.parametrize(
    ("layer", "told"), [("head", "head gives [3, 3]"), ("absent", "runs 0 times"), ("", "gives [3, 3]")]
)
def test_layers_without_a_map(layer: str, told: str) -> None:
    checks = check(Network(), layer=layer)
    assert failed(checks) == {"map_shape"}
    assert told in str(checks["map_shape"].reason)


@pytest.mark.fault("B7", "B9")
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda _m, _p, logits: logits[:, :1], r"found \[B, 1\].*nobody declared.*declare kind='binary'"),
        (lambda _m, _p, logits: logits[:, :2], "found 2 logits; expected 3, one for each of a, b, c.*not replaced"),
        (lambda _m, _p, logits: logits.argmax(1), r"whole numbers, shape \[3\], as argmax gives them; expected logits"),
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


def test_a_forward_pass_that_fails_is_told_with_its_shape() -> None:
    model = Network(lambda _m, pixels, _logits: pixels.view(7))
    with pytest.raises(SubjectError, match=r"MODEL_FORWARD.*RuntimeError: shape.*a forward pass of \[3, 3, 8, 8\]"):
        check(model)


def test_works_inside_inference_mode() -> None:
    model = Network()
    with torch.inference_mode():
        assert not failed(check(model))
