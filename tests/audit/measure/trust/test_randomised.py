"""Fresh networks, and the published measures against Quantus and scikit-image."""

import numpy as np
import pytest
import quantus
import torch
from quantus.functions.similarity_func import ssim
from skimage.metrics import structural_similarity
from torch import nn

from figureground.audit.classify.networks import SmallCNN
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.measure.trust.maps import Mapper
from figureground.audit.measure.trust.randomised import (
    BINS,
    complexity,
    complexity_rise,
    reinitialised,
    similarity,
    smoothed,
)
from figureground.audit.measure.trust.sample import Sample


def maps(seed, count=4, side=24):
    return np.random.default_rng(seed).gamma(1.0, size=(count, side, side)).astype(np.float32)


def test_fresh_weights_are_others_and_reproducible():
    model = SmallCNN(2, width=4)
    model(torch.rand(8, 3, 32, 32))  # moves the running statistics
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    one, two, other = (reinitialised(model, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    pairs = zip(one.module.parameters(), two.module.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.module.head.weight, other.module.head.weight)
    assert one.module.features[0][1].running_mean.abs().max() == 0
    assert one.changed
    assert one.drawn == ()


class Owning(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Parameter(3 * torch.randn(400))
        self.scaled = nn.utils.parametrizations.weight_norm(nn.Linear(400, 2))


def test_parameters_without_a_reset_are_drawn_and_named():
    model = Owning()
    found = reinitialised(model, 0)
    assert {"own", "scaled.parametrizations.weight.original1"} <= set(found.drawn)
    assert not torch.equal(found.module.own, model.own)
    assert found.module.own.std().item() == pytest.approx(3, rel=0.3)


def test_no_parameters_and_no_copy():
    assert not reinitialised(nn.ReLU(), 0).changed
    model = nn.Linear(2, 2)
    model.held = (n for n in range(3))  # a generator cannot be copied
    assert reinitialised(model, 0) is None


def test_similarity_is_scikit_image_s():
    """scikit-image leaves the edges out of its mean, which reflected edges of our own give back."""
    left, right = maps(0), maps(1)
    for a, b, found in zip(left, right, similarity(left, right), strict=True):
        a, b = (one.astype(np.float64) / np.sqrt((one.astype(np.float64) ** 2).mean()) for one in (a, b))
        a, b = (np.pad(one, 5, mode="reflect") for one in (a, b))
        span = max(a.max(), b.max()) - min(a.min(), b.min())
        wanted = structural_similarity(
            a, b, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert found == pytest.approx(wanted, abs=1e-6)
    assert similarity(left, 7 * left) == pytest.approx(np.ones(4))


def test_quantus_compares_flattened_maps():
    """SmoothMPRT hands its similarity one row of pixels per image, which knows no neighbours above and below.

    Transposing both maps leaves the similarity of pictures as it is; that of their rows of pixels changes.
    """
    left, right = maps(2, 1), maps(2, 1)
    right[:, ::2] += 1.0
    turned = [values.transpose(0, 2, 1) for values in (left, right)]
    assert similarity(left, right) == pytest.approx(similarity(*turned), abs=1e-6)
    flat = [ssim(*(v.reshape(1, -1) for v in pair), batched=True)[0] for pair in ((left, right), turned)]
    assert abs(flat[0] - flat[1]) > 0.01


def test_blank_and_small_maps_have_no_number():
    blank = np.zeros((1, 24, 24), np.float32)
    assert np.isnan(similarity(blank, maps(0, 1))).all()
    assert np.isnan(similarity(maps(0, 1, 8), maps(1, 1, 8))).all()
    assert np.isnan(complexity(blank)).all()
    assert np.isnan(complexity_rise(maps(0, 1), np.full_like(blank, np.nan))).all()


def saliency_of(model, inputs, targets, **_):
    with torch.enable_grad():
        found = SinglePass("features")(
            model.eval(), torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets)
        )
    return found.maps["saliency", "absolute"][:, None].numpy()


def test_complexity_rise_is_quantus_s():
    torch.manual_seed(0)
    model, inputs = SmallCNN(2, width=4).eval(), torch.rand(4, 3, 24, 24)
    targets = np.zeros(4, dtype=np.int64)
    metric = quantus.EfficientMPRT(
        complexity_func_kwargs={"n_bins": BINS}, seed=3, disable_warnings=True, display_progressbar=False
    )
    wanted = metric(model, inputs.numpy(), targets, explain_func=saliency_of, device="cpu", channel_first=True)
    wrapped = quantus.helpers.model.pytorch_model.PyTorchModel(model, channel_first=True)
    *_, (_, fresh) = wrapped.get_random_layer_generator(order="bottom_up", seed=3)
    trained, random = (saliency_of(net, inputs, targets)[:, 0] for net in (model, fresh))
    assert complexity_rise(trained, random) == pytest.approx(np.array(wanted))


def test_smoothing_averages_noisy_copies_in_any_batch():
    model, inputs = SmallCNN(2, width=4).eval(), torch.rand(6, 3, 32, 32)
    sample = Sample(np.arange(6), inputs, inputs, None, None)
    mapper = Mapper(SinglePass("features"), 4)
    plain = mapper(model, inputs)
    one = smoothed(mapper, model, sample, plain, plain.predicted, 1, 0)
    assert np.array_equal(one.primary["saliency"], plain.primary["saliency"])
    several = smoothed(mapper, model, sample, plain, plain.predicted, 3, 0)
    assert mapper.spent == 3 * 6 * 3
    alone = Sample(np.arange(6)[2:3], inputs[2:3], inputs[2:3], None, None)
    again = smoothed(mapper, model, alone, mapper(model, inputs[2:3]), plain.predicted[2:3], 3, 0)
    assert again.primary["saliency"][0] == pytest.approx(several.primary["saliency"][2], rel=1e-3, abs=1e-6)
    assert not np.allclose(several.primary["saliency"], plain.primary["saliency"])
