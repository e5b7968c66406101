"""Integrated gradients, SmoothGrad and Gradient SHAP against Captum's own, and what must not change them."""

from __future__ import annotations

import captum.attr._core.gradient_shap as captum_shap
import captum.attr._core.noise_tunnel as captum_noise
import pytest
import torch
from captum.attr import GradientShap, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

from figureground.audit.explain.explanation import Explanation
from figureground.audit.explain.gradients import generator_of
from figureground.audit.explain.registry import explainer_for
from figureground.audit.methods.options import MethodOptions

SAMPLED = ("integrated_gradients", "smoothgrad", "gradient_shap")
FEW = MethodOptions(steps=6, samples=4)
TARGET = torch.tensor([0, 2, 1])


def explained(names, model: nn.Module, images: Tensor, options: MethodOptions = FEW, **said) -> Explanation:
    given = [names] if isinstance(names, str) else names
    return explainer_for(given, model, options=options)(model, images, said.get("target", TARGET[: len(images)]))


def near(found: Tensor, reference: Tensor, tolerance: float = 1e-5) -> None:
    assert float(reference.abs().max()) > 0
    torch.testing.assert_close(found, reference, rtol=0, atol=tolerance * float(reference.abs().max()))


@pytest.mark.parametrize("baseline", ["mean", "zero"])
def test_integrated_gradients_are_captums(ending, few, baseline):
    options = MethodOptions(steps=6, baseline=baseline)
    found = explained("integrated_gradients", ending, few, options)
    base = few.mean((2, 3), keepdim=True).expand_as(few) if baseline == "mean" else torch.zeros_like(few)
    reference = IntegratedGradients(ending).attribute(few, base, target=TARGET, n_steps=6).sum(1)
    near(found.native["integrated_gradients"], reference)
    near(found.maps["integrated_gradients", "positive"], reference.clamp(min=0))
    near(found.maps["integrated_gradients", "absolute"], reference.abs())


def test_integrated_gradients_add_up_to_the_difference_of_the_logits(ending, few):
    options = MethodOptions(steps=200, baseline="zero")
    found = explained("integrated_gradients", ending, few, options).native["integrated_gradients"].sum((1, 2))
    logits = ending(few) - ending(torch.zeros_like(few))
    torch.testing.assert_close(found, logits.gather(1, TARGET[:, None])[:, 0].detach(), rtol=2e-3, atol=2e-3)


def noise_of(images: Tensor, samples: int, seed: int = 0) -> Tensor:
    """What the methods draw for SmoothGrad: ``[B * samples, C, H, W]``."""
    parts = []
    for image in images:
        generator = generator_of(image, seed)
        spread = FEW.noise * (image.max() - image.min())
        parts += [spread * torch.randn(image.shape, generator=generator) for _ in range(samples)]
    return torch.stack(parts)


def test_smoothgrad_is_captums_noise_tunnel_with_the_same_noise(ending, few, monkeypatch):
    monkeypatch.setattr(captum_noise.torch, "normal", lambda *_: noise_of(few, 4))
    tunnel = NoiseTunnel(Saliency(ending))
    reference = tunnel.attribute(few, nt_samples=4, stdevs=1.0, target=TARGET, abs=False).abs().amax(1)
    found = explained("smoothgrad", ending, few)
    monkeypatch.undo()
    near(found.maps["smoothgrad", "absolute"], reference)
    assert set(found.maps) == {("smoothgrad", "absolute")}


def test_gradient_shap_is_captums_with_the_same_draws(ending, few, monkeypatch):
    noise, at = [], []
    for image in few:
        generator = generator_of(image, 0)
        spread = FEW.noise * (image.max() - image.min())
        for _ in range(4):
            noise.append(spread * torch.randn(image.shape, generator=generator))
            at.append(float(torch.rand((), generator=generator, dtype=torch.float64)))
    found = torch.cat(
        [explained("gradient_shap", ending, few[[i]], target=TARGET[[i]]).native["gradient_shap"] for i in range(3)]
    )
    references = []
    for row in range(3):
        baseline = few[[row]].mean((2, 3), keepdim=True).expand_as(few[[row]])
        part = slice(4 * row, 4 * row + 4)
        monkeypatch.setattr(captum_noise.torch, "normal", lambda *_, part=part: torch.stack(noise[part]))
        monkeypatch.setattr(captum_shap.np.random, "uniform", lambda *_, part=part: at[part])
        shap = GradientShap(ending)
        references.append(shap.attribute(few[[row]], baseline, n_samples=4, stdevs=1.0, target=TARGET[[row]]).sum(1))
        monkeypatch.undo()
    near(found, torch.cat(references))


def test_the_rest_of_the_batch_and_its_order_do_not_matter(ending, few):
    together = explained(SAMPLED, ending, few)
    turned = explained(SAMPLED, ending, few.flip(0), target=TARGET.flip(0))
    for row in range(3):
        alone = explained(SAMPLED, ending, few[[row]], target=TARGET[[row]])
        for name in SAMPLED:
            near(alone.native[name][0], together.native[name][row])
            near(turned.native[name][2 - row], together.native[name][row])


def test_another_seed_draws_other_noise(ending, few):
    one = explainer_for(["smoothgrad"], options=FEW, seed=0)(ending, few).native["smoothgrad"]
    two = explainer_for(["smoothgrad"], options=FEW, seed=1)(ending, few).native["smoothgrad"]
    assert not torch.allclose(one, two)


@pytest.mark.parametrize("images", [1, 2, 5, 1000])
def test_the_memory_budget_bounds_what_is_evaluated_together_and_changes_no_number(ending, few, images, monkeypatch):
    names = (*SAMPLED, "occlusion")
    free = explained(names, ending, few)
    largest = []
    monkeypatch.setattr("figureground.audit.explain.anatomy.Anatomy.images_in", lambda *_: images)
    ending.first.register_forward_pre_hook(lambda _, given: largest.append(len(given[0])))
    bound = explained(names, ending, few)
    # The single pass before them has the whole batch, as it was given.
    assert max(largest[2:]) <= images
    assert images < 1000 or max(largest[2:]) > 10
    for name in names:
        near(bound.native[name], free.native[name], 1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_precision(ending, few, dtype):
    reference = explained(SAMPLED, ending, few)
    found = explained(SAMPLED, ending.to(dtype), few)
    for name in SAMPLED:
        assert found.native[name].dtype == torch.float32
        near(found.native[name], reference.native[name], 1e-5 if dtype == torch.float64 else 0.1)


def test_a_logit_that_depends_on_nothing_gives_zero_maps(ending, few):
    nn.init.zeros_(ending.head.weight)
    found = explained(SAMPLED, ending, few)
    assert all(float(values.abs().max()) == 0 for values in found.maps.values())


def test_callers_in_inference_mode_get_the_same_and_keep_their_images(ending, few):
    before = few.clone()
    reference = explained(SAMPLED, ending, few)
    with torch.inference_mode():
        found = explained(SAMPLED, ending, few)
    for name in SAMPLED:
        near(found.native[name], reference.native[name], 1e-6)
    assert torch.equal(few, before)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in ending.parameters())
