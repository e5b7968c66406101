"""The generator's own truth about models whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from figureground.audit.selftest.truth import directional_effect
from figureground.datasets.planted_cues import PlantedCue
from figureground.datasets.transforms import Preprocess


class CornerReader(nn.Module):
    """Says 1 where the top left corner is striped."""

    def forward(self, x):
        striped = x[:, :, 1:9, 1:9].std(dim=(1, 2, 3)) > 0.3
        return torch.stack([(~striped).float(), striped.float()], dim=1)


class Stubborn(nn.Module):
    def forward(self, x):
        return torch.tensor([[0.0, 1.0]]).repeat(len(x), 1)


@pytest.mark.parametrize(("module", "expected"), [(CornerReader(), 1.0), (Stubborn(), 0.0)])
def test_a_reader_of_the_corner_follows_it_and_a_stubborn_model_does_not(module, expected):
    planted = PlantedCue("corner_tag", 0.5, "test", per_label=20, repeats=2)
    truth = directional_effect(module, Preprocess(), planted, batch_size=32)
    assert truth.estimate == pytest.approx(expected, abs=0.03)
    assert truth.n == 80
    assert truth.standard_error < 0.03


def test_each_of_two_cues_has_its_own_truth():
    planted = PlantedCue("two_cues", 0.5, "test", per_label=10)
    mirrored = directional_effect(CornerReader(), Preprocess(), planted, 0)
    assert mirrored.estimate == 0  # the tag of this family is in another corner
