"""The checks as a whole: a sound model passes, what does not depend on the model fails, blank maps pass nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from figureground.audit.classify.networks import SmallCNN
from figureground.audit.classify.subject import as_subject, weights_sha256
from figureground.audit.explain.explanation import Explanation
from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.measure.trust.checks import MapChecks
from figureground.audit.measure.trust.limits import Limits
from figureground.datasets.datamodule import Row, RowReader
from figureground.datasets.sources import Pixels
from figureground.datasets.transforms import Preprocess

SIDE, CLASSES = 32, ("cat", "dog")
FEW = Limits(rows=16, reinitialisations=3, noisy_copies=2)
ROWS = [Row((position * 7919) % 997, position, CLASSES[position % 2]) for position in range(24)]


class Scenes:
    """Noise with a bright (cat) or dark (dog) square, which the mask marks."""

    def __init__(self, masked=True):
        self.masked = masked

    def pixels(self, position):
        rng = np.random.default_rng(position)
        image = rng.integers(60, 190, (SIDE, SIDE, 3)).astype(np.uint8)
        down, right = rng.integers(2, 14, 2)
        place = (slice(down, down + 14), slice(right, right + 14))
        image[place] = image[place] // 4 + (180 if position % 2 == 0 else 0)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[place] = 1
        return Pixels(Image.fromarray(image), mask if self.masked else None, {}, "0")


def reader(masked=True):
    return RowReader(Scenes(masked), Preprocess(), CLASSES)


@pytest.fixture(scope="module")
def trained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SmallCNN(2, width=4)
        read = reader()
        items = [read(Row(i, i, CLASSES[i % 2])) for i in range(100, 164)]
        images, labels = (torch.stack([item[name] for item in items]) for name in ("image", "label"))
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(40):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
        model.zero_grad()
        assert (model.eval()(images).argmax(1) == labels).float().mean() > 0.9
    return model


def checks_of(model, explainer=None, limits=FEW, **options):
    subject = as_subject(model, classes=CLASSES)
    return MapChecks(subject, explainer or SinglePass("features"), CamLayer("features"), limits=limits, **options)


def by_name(report):
    return {check.check: check for check in report.checks}


@pytest.fixture(scope="module")
def report(trained):
    return checks_of(trained)(ROWS, reader())


def test_a_trained_model_passes_what_disqualifies(report):
    found = by_name(report)
    assert list(found) == [
        "randomised_weights_saliency", "randomised_weights_gradcam", "repeatability_saliency", "repeatability_gradcam",
        "agreement", "mask_sensitivity_saliency", "mask_sensitivity_gradcam", "second_layer",
    ]  # fmt: skip
    for name in list(found)[:4]:
        assert found[name].status == "passed", found[name]
        assert found[name].n == 16
        assert found[name].value < found[name].threshold
    assert report.failed_methods == ()
    assert all(check.status != "not_run" for check in report.checks)


def test_the_table_has_every_line_and_the_limits(report):
    assert list(report.table) == [
        "method", "check", "value", "ci_low", "ci_high", "n", "threshold", "status", "reason"
    ]  # fmt: skip
    assert not report.table.duplicated(["method", "check"]).any()
    named = {check for names in report.method_limits.values() for check in names}
    assert named == {c.check for c in report.checks if c.status == "failed"} - {"agreement"}
    lines = report.table.set_index(["method", "check"])
    assert lines.loc[("uniform", "reference_ldr"), "value"] == pytest.approx(0, abs=1e-9)
    assert lines.loc[("uniform", "reference_background_share"), "value"] == pytest.approx(1 - (14 / SIDE) ** 2)
    wanted = {"uniform", "centred", "sobel", "saliency", "gradcam", "random_saliency", "random_gradcam"}
    assert set(report.table.method[report.table.check == "reference_ldr"]) == wanted


def test_the_cost_is_what_was_run(trained):
    calls = []
    handle = trained.register_forward_hook(lambda _module, _args, out: calls.append(len(out) * out.requires_grad))
    try:  # a copy brings its hooks along, so fresh networks are counted too
        report = checks_of(trained)(ROWS, reader())
    finally:
        handle.remove()
    assert report.cost == 3 * sum(calls) == 3 * (16 * ((1 + 3) * 2 + 2 + 1) + 1)


def test_the_caller_s_module_and_generators_are_left_alone(trained):
    trained.features[1].train()
    before, state, hashed = (
        [m.training for m in trained.modules()],
        torch.random.get_rng_state(),
        weights_sha256(trained),
    )
    with torch.inference_mode():
        checks_of(trained)(ROWS[:9], reader())
    assert [m.training for m in trained.modules()] == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert weights_sha256(trained) == hashed
    assert not any(m._forward_hooks for m in trained.modules())
    trained.eval()


def test_same_seed_same_report_whatever_the_order_of_the_rows(trained, report):
    again = checks_of(trained)(ROWS[::-1], reader())
    assert again.checks == report.checks
    other = checks_of(trained, seed=1)(ROWS, reader())
    assert by_name(other)["randomised_weights_saliency"].value != by_name(report)["randomised_weights_saliency"].value


class InputCopy:
    """Like guided backpropagation: an edge image of the input, whatever the weights."""

    def __call__(self, model, inputs, target=None):
        found = SinglePass("features")(model, inputs, target)
        edges = inputs.float().diff(dim=-1, prepend=inputs[..., :1].float()).abs().amax(1)
        return replace(
            found, maps={**found.maps, ("saliency", "absolute"): edges}, native={**found.native, "saliency": edges}
        )


def test_a_method_that_copies_the_input_fails(trained):
    report = checks_of(trained, InputCopy())(ROWS, reader())
    found = by_name(report)
    assert found["randomised_weights_saliency"].status == "failed"
    assert found["randomised_weights_saliency"].value == pytest.approx(1, abs=1e-4)
    assert found["randomised_weights_gradcam"].status == "passed"
    assert report.failed_methods == ("saliency",)
    assert "randomised_weights_saliency" in report.method_limits["saliency"]
    assert found["second_layer"].status == "not_run"


class Unsteady(nn.Module):
    """Its output depends on how often it was called."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, images):
        self.calls += 1
        return self.inner(images * (1 + 0.2 * self.calls * images))


def test_maps_that_do_not_repeat_fail(trained):
    subject = as_subject(Unsteady(trained).eval(), classes=CLASSES)
    report = MapChecks(subject, SinglePass("inner.features"), CamLayer("inner.features"), limits=FEW)(ROWS, reader())
    assert by_name(report)["repeatability_saliency"].status == "failed"
    assert set(report.failed_methods) == {"saliency", "gradcam"}


def blanked(value):
    class Blanked:
        def __call__(self, model, inputs, target=None) -> Explanation:
            found = SinglePass("features")(model, inputs, target)
            maps = {k: torch.full_like(v, value) if k[0] == "gradcam" else v for k, v in found.maps.items()}
            native = {**found.native, "gradcam": torch.full_like(found.native["gradcam"], value)}
            return replace(found, maps=maps, native=native)

    return Blanked()


@pytest.mark.parametrize("value", [0.0, 2.0, float("nan"), float("inf")])
def test_blank_constant_and_non_finite_maps_pass_nothing(trained, value):
    report = checks_of(trained, blanked(value))(ROWS, reader())
    found = by_name(report)
    for name in ("randomised_weights_gradcam", "repeatability_gradcam", "agreement", "mask_sensitivity_gradcam"):
        assert (found[name].status, found[name].reason, found[name].value) == ("failed", "degenerate", 1.0)
    assert found["randomised_weights_saliency"].status == "passed"
    assert report.failed_methods == ("gradcam",)


def with_head(trained, fill):
    model = SmallCNN(2, width=4).eval()
    model.load_state_dict(trained.state_dict())
    nn.init.constant_(model.head.weight, fill)
    return model


@pytest.mark.parametrize("fill", [0.0, float("nan")])
def test_constant_and_nan_logits_fail_everything(trained, fill):
    report = checks_of(with_head(trained, fill))(ROWS, reader())
    assert {(check.status, check.reason) for check in report.checks} == {("failed", "degenerate")}
    assert set(report.failed_methods) == {"saliency", "gradcam"}


def test_without_masks_only_the_parts_that_need_them_are_not_run(trained):
    report = checks_of(trained)(ROWS, reader(masked=False))
    found = by_name(report)
    assert found["randomised_weights_saliency"].status == found["repeatability_gradcam"].status == "passed"
    for name in ("mask_sensitivity_saliency", "mask_sensitivity_gradcam"):
        assert (found[name].status, found[name].reason) == ("not_run", "no masks")
    lines = report.table.set_index(["method", "check"])
    assert lines.loc[("saliency/gradcam", "agreement_ldr"), "reason"] == "no masks"
    assert set(report.table.reason[report.table.check == "reference_ldr"]) == {"no masks"}


def test_few_rows_compare_nothing_and_no_rows_run_nothing(trained):
    few = by_name(checks_of(trained)(ROWS[:5], reader()))
    assert few["randomised_weights_saliency"].reason == few["mask_sensitivity_gradcam"].reason == "too few images"
    assert few["repeatability_saliency"].status == "passed"
    none = checks_of(trained)([], reader())
    assert {check.status for check in none.checks} == {"not_run"}
    assert (none.failed_methods, none.cost) == ((), 0.0)


class OnlySaliency:
    """An explainer of one family."""

    def __call__(self, model, inputs, target=None):
        found = SinglePass("features")(model, inputs, target)
        return replace(
            found,
            maps={("saliency", "absolute"): found.maps["saliency", "absolute"]},
            native={"saliency": found.native["saliency"]},
        )


def test_one_family_is_compared_with_occlusion(trained):
    report = checks_of(trained, OnlySaliency())(ROWS, reader())
    line = report.table[report.table.check == "agreement_maps"].iloc[0]
    assert line.method == "saliency/occlusion"
    assert line.n > 8
    assert line.status in ("passed", "failed")
    assert by_name(report)["second_layer"].status == "not_run"
