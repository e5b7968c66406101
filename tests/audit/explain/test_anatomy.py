"""What one forward pass shows of a network."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from figureground.audit.explain.anatomy import Anatomies, anatomy


def of(model: nn.Module, images: Tensor):
    return anatomy(model, images[:1], model)


def test_runs_of_modules_and_relus_of_every_kind_are_counted(ending, tangled, few):
    plain, knotted = of(ending, few), of(tangled, few)
    assert plain.relus == knotted.relus == 3
    assert plain.calls["one"] == 1
    assert knotted.calls["one"] == 2
    assert plain.outside == ()
    assert knotted.outside == ("relu",)


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.part(images) + images
        maps += 1
        maps = maps * 2 * maps
        return torch.cat([maps.clamp(min=0).mean((2, 3)), maps.flatten(1)[:, :2].sigmoid()], 1)


def test_functions_between_modules_are_told_as_what_they_do(few):
    names = ("add", "add of a number", "mul", "mul of tensors", "relu", "mean", "sigmoid")
    assert of(Sums(), few).outside == names


@pytest.mark.parametrize("size", [16, 48])
def test_memory_is_what_autograd_keeps_forward_and_back(size):
    model = nn.Sequential(
        nn.Conv2d(3, 200, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(200, 2)
    )
    found = of(model, torch.rand(1, 3, size, size)).bytes_per_image
    # The input of the convolution and the result of the ReLU, 4 bytes each, and the pooled values.
    assert found == pytest.approx(2 * 4 * (203 * size * size + 200), rel=0.02)


def test_a_model_that_shows_nothing_is_taken_to_need_so_many_inputs(few):
    class Hidden(nn.Module):
        def forward(self, images):
            with torch.no_grad():
                return images.mean((2, 3))

    found = of(Hidden(), few)
    assert found.bytes_per_image == 32 * 3 * 17 * 13 * 4
    assert found.images_in(1) == 2**20 // found.bytes_per_image
    assert found.images_in(0) == 1


def test_a_network_is_looked_at_once_for_each_size_and_kept_by_nobody(ending, few):
    seen, runs = Anatomies(), []
    ending.register_forward_hook(lambda *_: runs.append(1))
    first = seen(ending, few, ending)
    assert seen(ending, few, ending) is first
    assert len(runs) == 1
    assert seen(ending, torch.rand(1, 3, 20, 20), ending) is not first
    model = nn.Linear(3, 2)
    seen(model, torch.rand(1, 3), model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
