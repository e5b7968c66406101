"""Grad-CAM at the second choice of layer: its numbers against scipy and plain sums, and what it says of masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from figureground.audit.explain.layers import CamLayer
from figureground.audit.explain.single_pass import SinglePass
from figureground.audit.measure.masked_maps import ObjectMasks
from figureground.audit.measure.trust.layers import compare_layers
from figureground.audit.measure.trust.limits import Limits
from figureground.audit.measure.trust.lines import Line, Outcome
from figureground.audit.measure.trust.maps import Mapper
from figureground.audit.measure.trust.sample import Sample
from figureground.audit.measure.trust.study import Study

SIDE, ROWS = 16, 12


def drawn(seed: int) -> tuple[tuple[Any, Any], np.ndarray[Any, Any]]:
    """Two maps at 4 and at 8 cells that are partly alike, enlarged, and masks; the first row has no object."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((ROWS, 4, 4))
    fine = np.repeat(np.repeat(coarse, 2, 1), 2, 2) + rng.random((ROWS, 8, 8))
    maps = tuple(np.kron(one, np.ones((SIDE // one.shape[1],) * 2)).astype(np.float32) for one in (coarse, fine))
    masks = np.zeros((ROWS, SIDE, SIDE), np.uint8)
    for row, mask in enumerate(masks[1:]):
        mask[2 : 9 + row % 4, 3:12] = 1
    return (maps[0], maps[1]), masks


def by_check(lines: tuple[Line, ...]) -> dict[str, Line]:
    return {line.check.removeprefix("second_layer_"): line for line in lines}


def test_every_number_is_what_scipy_and_plain_sums_give() -> None:
    maps, masks = drawn(0)
    found = by_check(compare_layers("gradcam", maps, ((4, 4), (8, 8)), ObjectMasks.of(masks), Limits()))
    assert list(found) == ["ldr", "maps", "difference", "share_chosen", "share_second", "share_difference"]
    shares = [np.array([m[k == 0].sum() / m.sum() for m, k in zip(one, masks, strict=True)])[1:] for one in maps]
    alike = [
        stats.spearmanr(left.reshape(4, 4, 4, 4).mean((1, 3)).ravel(), right.reshape(4, 4, 4, 4).mean((1, 3)).ravel())
        for left, right in zip(*maps, strict=True)
    ]
    expected = {
        "maps": np.array([one.statistic for one in alike]),
        "share_chosen": shares[0],
        "share_second": shares[1],
        "share_difference": shares[0] - shares[1],
    }
    for name, values in expected.items():
        line = found[name]
        half = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (line.value, line.ci_low, line.ci_high) == pytest.approx((values.mean(), *half), abs=1e-5), name
        assert (line.n, line.status) == (len(values), "reference")
    ratios = [
        [np.log((m[k == 0].mean()) / (m[k == 1].mean())) for m, k in zip(one[1:], masks[1:], strict=True)]
        for one in maps
    ]
    assert found["ldr"].value == pytest.approx(stats.spearmanr(*ratios).statistic, abs=1e-6)
    assert found["difference"].value == pytest.approx(np.subtract(*ratios).mean(), abs=1e-5)


@pytest.mark.parametrize(("turned", "status"), [(False, "passed"), (True, "failed")])
def test_without_masks_it_is_the_maps_that_decide(turned: bool, status: str) -> None:
    (first, second), masks = drawn(1)
    second = second.max() - second if turned else second
    lines = compare_layers("gradcam", (first, second), ((4, 4), (8, 8)), ObjectMasks.of(masks * 0), Limits())
    found = by_check(lines)
    assert list(found) == ["ldr", "maps"]
    assert (found["ldr"].status, found["maps"].status) == ("not_run", status)
    told = Outcome("second_layer", "gradcam", lines, ("a", "b")).as_trust_check()
    assert (told.status, told.n, told.compared_with) == (status, ROWS, ["a", "b"])
    assert [measure.name for measure in told.measures] == ["second_layer_ldr", "second_layer_maps"]
    assert told.measures[0].value is None
    assert told.reason == ("a second layer points at different places" if turned else None)


def test_a_few_maps_decide_nothing() -> None:
    maps, masks = drawn(2)
    few = (maps[0][:5], maps[1][:5])
    found = by_check(compare_layers("gradcam", few, ((4, 4), (8, 8)), ObjectMasks.of(masks[:5] * 0), Limits()))
    assert (found["maps"].status, found["maps"].n, found["maps"].reason) == ("not_run", 5, "too few images")
    assert math.isnan(found["maps"].value)


def study(model: nn.Module, layer: CamLayer) -> Study:
    inputs = torch.rand(ROWS, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    sample = Sample(np.arange(ROWS), inputs, inputs, ObjectMasks.of(drawn(3)[1]), np.ones(ROWS, bool))
    mapper = Mapper(SinglePass.at(layer), ROWS)
    return Study(model, sample, mapper(model, inputs), mapper, layer, 0, Limits())


class Halving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.stage2(self.stage1(x)).mean((2, 3))))


def test_the_check_names_both_layers_and_counts_the_second_pass() -> None:
    torch.manual_seed(0)
    found = study(Halving().eval(), CamLayer("stage2"))
    before = found.mapper.spent
    told = found._second_layer().as_trust_check()
    assert told.compared_with == ["stage2", "stage1"]
    assert found.mapper.spent - before == 3 * (ROWS + 1)
    numbers = {measure.name: measure for measure in told.measures}
    own = found.first.primary["gradcam"][1:]
    masks = found.sample.masks.foreground[1:]
    share = np.mean([1 - m[k].sum() / m.sum() for m, k in zip(own, masks, strict=True) if m.sum() > 0])
    assert numbers["second_layer_share_chosen"].value == pytest.approx(share, abs=1e-5)
    assert all(measure.ci_level == 0.95 and measure.n > 0 for measure in told.measures)


def test_where_there_is_no_second_layer_nothing_was_tested() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), head).eval()
    told = study(model, CamLayer("1"))._second_layer().as_trust_check()
    assert (told.status, told.reason) == ("not_run", "no second layer that would do")
    assert told.compared_with == told.measures == []
